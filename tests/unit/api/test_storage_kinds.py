"""Every verb on the storage kinds, as drivers and administrators use them."""

import pytest

GROUP = "/apis/storage.k8s.io/v1"
CLAIMS = "/api/v1/namespaces/default/persistentvolumeclaims"
VOLUMES = "/api/v1/persistentvolumes"
MERGE = {"content-type": "application/merge-patch+json"}
LABELS = {"for": "test"}
SELECTED = "labelSelector=for%3Dtest"
SIZE = {"storage": "1Gi"}
VOLUME = {"capacity": SIZE, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/srv/data"}}
CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": SIZE}, "storageClassName": ""}
ATTACHMENT = {"attacher": "e.example.com", "nodeName": "n", "source": {"persistentVolumeName": "v"}}
BODIES = {
    "storageclasses": {"provisioner": "e.example.com/x"},
    "csidrivers": {"spec": {}},
    "csinodes": {"spec": {"drivers": [{"name": "e.example.com", "nodeID": "n"}]}},
    "volumeattachments": {"spec": ATTACHMENT},
    "namespaces/default/csistoragecapacities": {"storageClassName": "fast", "capacity": "10Gi"},
}


def _named(name, body):
    return {**body, "metadata": {"name": name, "labels": LABELS}}


async def _life(api, where, body):
    """Create, get, list, watch, PUT, patch, delete, deletecollection."""
    async with api.watch(f"{where}?watch=1&{SELECTED}") as watch:
        made = await api.call("POST", where, _named("one", body))
        assert (made.status, made.warnings) == (201, [])
        assert await api.get(f"{where}/one") == made.json
        changed = {**made.json, "metadata": {**made.json["metadata"], "labels": {**LABELS, "put": "yes"}}}
        assert (await api.ok("PUT", f"{where}/one", changed))["metadata"]["labels"]["put"] == "yes"
        patched = await api.patch(f"{where}/one", {"metadata": {"labels": {"patched": "yes"}}})
        assert patched["metadata"]["labels"] == {**LABELS, "put": "yes", "patched": "yes"}
        await api.ok("DELETE", f"{where}/one")
        assert [event["type"] for event in await watch.take(4)] == ["ADDED", "MODIFIED", "MODIFIED", "DELETED"]
    assert (await api.call("GET", f"{where}/one")).status == 404
    for name in ("one", "two"):
        await api.ok("POST", where, _named(name, body))
    assert len((await api.get(f"{where}?{SELECTED}"))["items"]) == 2
    await api.ok("DELETE", f"{where}/one")
    await api.ok("DELETE", f"{where}?{SELECTED}")
    assert (await api.get(where))["items"] == []


@pytest.mark.parametrize("resource", BODIES)
async def test_every_verb(api, resource):
    """C319 CSIDrivers, C322 CSIStorageCapacities, C401 StorageClasses, C407 VolumeAttachments; CSINodes too."""
    plural = resource.rpartition("/")[2]
    found = {one["name"]: one for one in (await api.get(GROUP))["resources"]}
    assert found[plural]["namespaced"] == ("/" in resource)
    await _life(api, f"{GROUP}/{resource}", BODIES[resource])


async def test_capacities_of_all_namespaces(api):
    """C322: one list of all namespaces."""
    where = f"{GROUP}/namespaces/default/csistoragecapacities"
    await api.ok("POST", where, _named("one", BODIES["namespaces/default/csistoragecapacities"]))
    assert [one["metadata"]["name"] for one in (await api.get(f"{GROUP}/csistoragecapacities"))["items"]] == ["one"]


async def test_an_attachment_has_a_status_of_its_own(api):
    """C407: attached is false at first; patch and PUT of the status change it."""
    where = f"{GROUP}/volumeattachments"
    await api.ok("POST", where, _named("one", {"spec": ATTACHMENT, "status": {"attached": True}}))
    assert (await api.get(f"{where}/one/status"))["status"] == {"attached": False}
    patched = await api.patch(f"{where}/one/status", {"status": {"attached": True}})
    assert patched["status"] == {"attached": True}
    assert (await api.get(f"{where}/one/status"))["status"] == {"attached": True}
    await api.ok("PUT", f"{where}/one/status", {**patched, "status": {"attached": False}})
    assert (await api.get(f"{where}/one"))["status"] == {"attached": False}


async def test_status_of_volumes_and_claims(api):
    """C362: both start with a valid phase; PATCH and PUT of the status are read back and leave the spec alone."""
    await api.ok("POST", VOLUMES, _named("v", {"spec": VOLUME}))
    made = await api.ok("POST", CLAIMS, _named("c", {"spec": CLAIM}))
    assert [one["metadata"]["name"] for one in (await api.get(f"{VOLUMES}?{SELECTED}"))["items"]] == ["v"]
    assert [one["metadata"]["name"] for one in (await api.get("/api/v1/persistentvolumeclaims"))["items"]] == ["c"]
    assert (await api.get(f"{VOLUMES}/v/status"))["status"]["phase"] == "Pending"
    assert (await api.get(f"{CLAIMS}/c/status"))["status"]["phase"] == "Pending"
    patched = await api.patch(f"{VOLUMES}/v/status", {"status": {"reason": "Patched", "message": "by patch"}})
    assert (patched["status"]["reason"], patched["status"]["message"]) == ("Patched", "by patch")
    put = {**patched, "status": {**patched["status"], "reason": "Put"}, "spec": {**VOLUME, "capacity": {"storage": "9"}}}
    assert (await api.ok("PUT", f"{VOLUMES}/v/status", put))["status"]["reason"] == "Put"
    assert (await api.get(f"{VOLUMES}/v"))["spec"]["capacity"] == SIZE
    condition = {"type": "Tested", "status": "True"}
    patched = await api.patch(f"{CLAIMS}/c/status", {"status": {"conditions": [condition]}})
    assert patched["status"]["conditions"] == [condition]
    changed = {**patched, "status": {**patched["status"], "conditions": [{"type": "Put", "status": "False"}]}}
    await api.ok("PUT", f"{CLAIMS}/c/status", changed)
    found = await api.get(f"{CLAIMS}/c")
    assert found["status"]["conditions"] == [{"type": "Put", "status": "False"}]
    assert found["spec"] == made["spec"]


async def test_what_admission_adds_to_claims_and_refuses(api):
    """Claims get the default class and a finalizer; they grow only where the class says so, and once they are bound."""
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    body = {**BODIES["storageclasses"], "metadata": {"name": "usual", "annotations": default}}
    await api.ok("POST", f"{GROUP}/storageclasses", body)
    await api.get(f"{GROUP}/storageclasses")  # what is read is in the cache that admission looks into
    spec = {key: value for key, value in CLAIM.items() if key != "storageClassName"}
    made = await api.ok("POST", CLAIMS, _named("c", {"spec": spec}))
    assert made["spec"]["storageClassName"] == "usual"
    assert made["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
    larger = {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}
    pending = await api.call("PATCH", f"{CLAIMS}/c", larger, headers=MERGE)
    assert pending.status in (403, 422)
    bound = {"phase": "Bound", "capacity": SIZE}
    await api.patch(f"{CLAIMS}/c/status", {"status": bound})
    refused = await api.call("PATCH", f"{CLAIMS}/c", larger, headers=MERGE)
    assert refused.status == 403
    assert refused.json["message"].startswith('persistentvolumeclaims "c" is forbidden: only dynamically provisioned pvc')
    await api.patch(f"{GROUP}/storageclasses/usual", {"allowVolumeExpansion": True})
    await api.get(f"{GROUP}/storageclasses")
    assert (await api.patch(f"{CLAIMS}/c", larger))["spec"]["resources"]["requests"] == {"storage": "2Gi"}
    assert (await api.ok("DELETE", f"{CLAIMS}/c"))["metadata"]["deletionTimestamp"]
