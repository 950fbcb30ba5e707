"""StatefulSets whose pods have claims."""

import pytest

from windlass.apis.resources import EVENTS, PERSISTENTVOLUMECLAIMS, PODS, STATEFULSETS
from windlass_controllers.garbagecollector.controller import GarbageCollector
from windlass_controllers.statefulset.claims import is_claim_of, wanted_claims, wanted_owners
from windlass_controllers.statefulset.controller import StatefulSetController
from windlass_controllers.statefulset.identity import new_pod
from windlass_controllers.storageprotection.controller import ClaimProtection

PVC = PERSISTENTVOLUMECLAIMS
CLAIM = {
    "metadata": {"name": "data", "labels": {"tier": "db"}, "annotations": {"a": "b"}},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "storageClassName": "x"},
}
SET = {
    "apiVersion": "apps/v1",
    "kind": "StatefulSet",
    "metadata": {"name": "db", "namespace": "default", "uid": "uid-set"},
    "spec": {
        "serviceName": "db",
        "replicas": 2,
        "selector": {"matchLabels": {"app": "db"}},
        "template": {
            "metadata": {"labels": {"app": "db"}},
            "spec": {
                "containers": [{"name": "c", "image": "a:1"}],
                "volumes": [{"name": "data", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}}],
            },
        },
        "volumeClaimTemplates": [CLAIM],
    },
}
SET_OWNER = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db", "uid": "uid-set", "controller": True,
             "blockOwnerDeletion": True}  # fmt: skip
POD_OWNER = {**SET_OWNER, "apiVersion": "v1", "kind": "Pod", "name": "db-1", "uid": "uid-pod"}
FOREIGN = {**SET_OWNER, "kind": "Other", "name": "o", "uid": "uid-other"}


def with_policy(deleted="Retain", scaled="Retain", **spec):
    policy = {"whenDeleted": deleted, "whenScaled": scaled}
    return {**SET, "spec": {**SET["spec"], "persistentVolumeClaimRetentionPolicy": policy, **spec}}


def pod(name="db-1", uid="uid-pod"):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default", "uid": uid}}


def test_claims_and_volumes_of_a_pod():
    revision = {"metadata": {"labels": {}, "name": "r"}, "data": {"spec": {"template": SET["spec"]["template"]}}}
    made = new_pod(SET, 1, revision)
    assert made["spec"]["volumes"] == [
        {"name": "data", "persistentVolumeClaim": {"claimName": "data-db-1"}},
        {"name": "tmp", "emptyDir": {}},
    ]
    (claim,) = wanted_claims(SET, 1)
    assert claim["metadata"] == {
        "name": "data-db-1", "namespace": "default", "labels": {"tier": "db", "app": "db"}, "annotations": {"a": "b"},
    }  # fmt: skip
    assert claim["spec"] == CLAIM["spec"]
    (owned,) = wanted_claims(with_policy(deleted="Delete"), 0)
    assert owned["metadata"]["ownerReferences"] == [SET_OWNER]
    assert [is_claim_of(SET, name) for name in ("data-db-0", "data-db-x", "other-db-0")] == [True, False, False]


@pytest.mark.parametrize(
    ("deleted", "scaled", "replicas", "before", "wanted"),
    [
        ("Retain", "Retain", 2, [], None),
        ("Retain", "Retain", 2, [SET_OWNER], []),
        ("Retain", "Retain", 0, [POD_OWNER], []),
        ("Delete", "Retain", 2, [], [SET_OWNER]),
        ("Delete", "Retain", 2, [SET_OWNER], None),
        ("Delete", "Retain", 1, [POD_OWNER], [SET_OWNER]),
        ("Retain", "Delete", 2, [], None),
        ("Retain", "Delete", 2, [POD_OWNER], []),
        ("Retain", "Delete", 1, [], [POD_OWNER]),
        ("Delete", "Delete", 2, [POD_OWNER], [SET_OWNER]),
        ("Delete", "Delete", 1, [SET_OWNER], [POD_OWNER]),
        ("Delete", "Delete", 1, [POD_OWNER], None),
        ("Delete", "Delete", 1, [FOREIGN], None),
        ("Delete", "Delete", 2, [{**POD_OWNER, "uid": "an earlier pod's"}], [SET_OWNER]),
    ],
)
def test_owners_by_the_retention_policy(deleted, scaled, replicas, before, wanted):
    claim = {"metadata": {"name": "data-db-1", "ownerReferences": before}}
    assert wanted_owners(with_policy(deleted, scaled, replicas=replicas), pod(), claim) == wanted


def to_create(**options):
    made = with_policy(**options)
    return {**made, "metadata": {"name": "db"}}


async def claims(cluster):
    return sorted(claim["metadata"]["name"] for claim in await cluster.items(PVC))


async def ready(cluster, count):
    async def claim():
        status = (await cluster.client.get(STATEFULSETS, "db", "default")).get("status") or {}
        return status.get("readyReplicas") == count and len(await cluster.items(PODS)) == count

    await cluster.eventually(claim)


async def scale(cluster, replicas):
    await cluster.client.patch(STATEFULSETS, "db", {"spec": {"replicas": replicas}}, "default", subresource="scale")


async def test_claims_outlive_pods_and_set(cluster):
    """A pod of the same number finds the claim of the one before, also after scaling and deletion of the set."""
    cluster.run_controllers(StatefulSetController, GarbageCollector, ClaimProtection)
    await cluster.client.create(STATEFULSETS, to_create(), "default")
    await ready(cluster, 2)
    before = {claim["metadata"]["name"]: claim["metadata"]["uid"] for claim in await cluster.items(PVC)}
    assert sorted(before) == ["data-db-0", "data-db-1"]
    await scale(cluster, 0)
    await cluster.eventually(lambda: _none(cluster))
    await scale(cluster, 2)
    await ready(cluster, 2)
    assert {claim["metadata"]["name"]: claim["metadata"]["uid"] for claim in await cluster.items(PVC)} == before
    await cluster.client.delete(STATEFULSETS, "db", "default")
    await cluster.eventually(lambda: _none(cluster))
    assert await claims(cluster) == sorted(before)


async def _none(cluster):
    return not await cluster.items(PODS)


async def test_claims_that_go_with_pods_and_set(cluster):
    cluster.run_controllers(StatefulSetController, GarbageCollector, ClaimProtection)
    await cluster.client.create(STATEFULSETS, to_create(deleted="Delete", scaled="Delete"), "default")
    await ready(cluster, 2)
    await scale(cluster, 1)

    async def first_only():
        return await claims(cluster) == ["data-db-0"]

    async def none():
        return not await claims(cluster)

    await cluster.eventually(first_only)
    await ready(cluster, 1)
    await cluster.client.delete(STATEFULSETS, "db", "default")
    await cluster.eventually(none)


async def test_a_claim_that_cannot_be_made_is_told_and_no_pod_comes(cluster):
    cluster.run_controllers(StatefulSetController)
    bad = {**CLAIM, "spec": {**CLAIM["spec"], "accessModes": ["Sometimes"]}}
    await cluster.client.create(STATEFULSETS, to_create(volumeClaimTemplates=[bad]), "default")

    async def told():
        return [e["message"] for e in await cluster.items(EVENTS) if e["reason"] == "FailedCreate"]

    (message, *_) = await cluster.eventually(told)
    assert message.startswith("create Claim data-db-0 Pod db-0 in StatefulSet db failed error: ")
    assert await cluster.items(PODS) == []


async def test_a_pod_does_not_take_a_claim_that_goes_with_the_former_one(cluster):
    """Scaled down and up again: the claim is collected and made anew before its pod is."""
    cluster.run_controllers(StatefulSetController)
    stale = {"apiVersion": "v1", "kind": "Pod", "name": "db-0", "uid": "gone", "controller": True}
    former = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "spec": CLAIM["spec"],
              "metadata": {"name": "data-db-0", "ownerReferences": [stale]}}  # fmt: skip
    uid = (await cluster.client.create(PVC, former, "default"))["metadata"]["uid"]
    await cluster.client.create(STATEFULSETS, to_create(scaled="Delete", replicas=1), "default")

    async def told():
        return any("pvc data-db-0 is being deleted" in e["message"] for e in await cluster.items(EVENTS))

    await cluster.eventually(told)
    assert await cluster.items(PODS) == []
    await cluster.client.delete(PVC, "data-db-0", "default")
    await ready(cluster, 1)
    assert (await cluster.client.get(PVC, "data-db-0", "default"))["metadata"]["uid"] != uid
