"""Binder, protection and ephemeral volumes over a whole API."""

import pytest

from windlass.apis.resources import EVENTS, PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES, PODS, STORAGECLASSES
from windlass_controllers.ephemeralvolume.controller import EphemeralVolumeController
from windlass_controllers.garbagecollector.controller import GarbageCollector
from windlass_controllers.persistentvolume.controller import PersistentVolumeBinder
from windlass_controllers.storageprotection.controller import ClaimProtection, VolumeProtection

PVC, PV = PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES
PROVISIONER = "volume.kubernetes.io/storage-provisioner"
USER_FIELDS = ("name", "namespace", "annotations", "labels")


def fresh(obj):
    """Drop what the server fills in."""
    metadata = {key: value for key, value in obj["metadata"].items() if key in USER_FIELDS and value}
    return {key: value for key, value in obj.items() if key != "status"} | {"metadata": metadata}


@pytest.fixture
def has_phase(cluster):
    def wait(resource, name, phase):
        async def claim():
            found = await cluster.client.get(resource, name, "default" if resource is PVC else "")
            return found if (found.get("status") or {}).get("phase") == phase else None

        return cluster.eventually(claim)

    return wait


@pytest.fixture
def told(cluster):
    def wait(reason, name):
        async def claim():
            found = [e for e in await cluster.items(EVENTS) if e["reason"] == reason and e["involvedObject"]["name"] == name]
            return found[0] if found else None

        return cluster.eventually(claim)

    return wait


async def test_a_claim_finds_its_volume_keeps_it_and_lets_it_go(cluster, make, has_phase):
    """C362: Available, Bound both ways, Released; a volume whose claimRef is taken away may be claimed again."""
    cluster.run_controllers(PersistentVolumeBinder, ClaimProtection, VolumeProtection)
    for name, size in (("large", "5Gi"), ("small", "1Gi")):
        await cluster.client.create(PV, fresh(make.volume(name, size)))
        await has_phase(PV, name, "Available")
    await cluster.client.create(PVC, fresh(make.claim()))
    claim = await has_phase(PVC, "c", "Bound")
    assert (claim["spec"]["volumeName"], claim["status"]["capacity"]) == ("small", {"storage": "1Gi"})
    volume = await has_phase(PV, "small", "Bound")
    assert volume["spec"]["claimRef"]["uid"] == claim["metadata"]["uid"]
    await has_phase(PV, "large", "Available")
    await cluster.client.delete(PVC, "c", "default")
    released = await has_phase(PV, "small", "Released")
    await cluster.client.create(PVC, fresh(make.claim("d")))
    assert (await has_phase(PVC, "d", "Bound"))["spec"]["volumeName"] == "large"
    spec = {key: value for key, value in released["spec"].items() if key != "claimRef"}
    await cluster.client.update(PV, {**released, "spec": spec})
    await has_phase(PV, "small", "Available")
    await cluster.client.create(PVC, fresh(make.claim("e")))
    assert (await has_phase(PVC, "e", "Bound"))["spec"]["volumeName"] == "small"


async def test_what_waits_says_so_once_and_goes_on_by_itself(cluster, make, has_phase, told):
    """A claim that nothing can satisfy causes no writes; a class, and what its provisioner made, are picked up."""
    cluster.run_controllers(PersistentVolumeBinder, ClaimProtection)
    await cluster.client.create(PVC, fresh(make.claim(storage_class="fast")))
    event = await told("ProvisioningFailed", "c")
    assert event["message"] == 'storageclass.storage.k8s.io "fast" not found'
    before = await cluster.client.get(PVC, "c", "default")
    await cluster.client.create(PVC, fresh(make.claim("other")))
    await told("FailedBinding", "other")
    assert await cluster.client.get(PVC, "c", "default") == before
    assert (await told("ProvisioningFailed", "c"))["count"] == 1
    await cluster.client.create(STORAGECLASSES, {**make.fast, "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass"})
    await told("ExternalProvisioning", "c")
    claim = await cluster.client.get(PVC, "c", "default")
    assert claim["metadata"]["annotations"][PROVISIONER] == "p.example.com"
    made = make.volume("pvc-1", storage_class="fast", ref=make.ref(uid=claim["metadata"]["uid"]),
                       annotations={"pv.kubernetes.io/provisioned-by": "p.example.com"},
                       persistentVolumeReclaimPolicy="Delete")  # fmt: skip
    await cluster.client.create(PV, fresh(made))
    assert (await has_phase(PVC, "c", "Bound"))["spec"]["volumeName"] == "pvc-1"


async def test_a_claim_stays_while_a_pod_uses_it(cluster, make, has_phase):
    """A deleted claim is Terminating until the pod on a node is gone, and its volume as long as the claim."""
    cluster.run_controllers(PersistentVolumeBinder, ClaimProtection, VolumeProtection)
    await cluster.client.create(PV, fresh(make.volume()))
    await cluster.client.create(PVC, fresh(make.claim()))
    await has_phase(PVC, "c", "Bound")
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "c"}}]
    spec = {"volumes": volumes, "containers": [{"name": "m", "image": "i"}]}
    await cluster.client.create(PODS, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}, "default")

    async def on_a_node():
        return (await cluster.client.get(PODS, "p", "default"))["spec"].get("nodeName")

    async def protected():
        return (await cluster.client.get(PV, "v"))["metadata"].get("finalizers")

    await cluster.eventually(on_a_node)
    await cluster.eventually(protected)
    assert (await cluster.client.delete(PVC, "c", "default"))["metadata"]["deletionTimestamp"]
    assert (await cluster.client.delete(PV, "v"))["metadata"]["deletionTimestamp"]
    await cluster.client.create(PVC, fresh(make.claim("later")))
    await has_phase(PVC, "later", "Pending")
    assert not await cluster.is_gone(PVC, "c")
    await cluster.client.delete(PODS, "p", "default")
    await cluster.eventually(lambda: cluster.is_gone(PVC, "c"))
    await cluster.eventually(lambda: cluster.is_gone(PV, "v", ""))


def ephemeral_pod(name):
    template = {"metadata": {"labels": {"a": "b"}},
                "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}}  # fmt: skip
    volumes = [{"name": "scratch", "ephemeral": {"volumeClaimTemplate": template}}]
    spec = {"volumes": volumes, "containers": [{"name": "m", "image": "i"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


async def test_a_claim_that_comes_and_goes_with_its_pod(cluster):
    cluster.run_controllers(EphemeralVolumeController, ClaimProtection, GarbageCollector)
    pod = await cluster.client.create(PODS, ephemeral_pod("p"), "default")

    async def made():
        found = await cluster.items(PVC)
        return found[0] if found else None

    claim = await cluster.eventually(made)
    metadata = claim["metadata"]
    assert (metadata["name"], metadata["labels"]) == ("p-scratch", {"a": "b"})
    assert metadata["ownerReferences"][0]["uid"] == pod["metadata"]["uid"]
    await cluster.client.delete(PODS, "p", "default")
    await cluster.eventually(lambda: cluster.is_gone(PVC, "p-scratch"))


async def test_an_ephemeral_volume_whose_claim_is_somebody_elses(cluster, make, told):
    """The claim is left alone, the pod told; once the name is free the claim is made."""
    cluster.run_controllers(EphemeralVolumeController)
    other = await cluster.client.create(PVC, fresh(make.claim("p-scratch")))
    await cluster.client.create(PODS, ephemeral_pod("p"), "default")
    event = await told("FailedBinding", "p")
    assert "was not created for pod default/p (pod is not owner)" in event["message"]
    assert await cluster.client.get(PVC, "p-scratch", "default") == other
    await cluster.client.delete(PVC, "p-scratch", "default")

    async def ours():
        return any(claim["metadata"].get("ownerReferences") for claim in await cluster.items(PVC))

    await cluster.eventually(ours)
