"""Who keeps a claim from going."""

import pytest

from windlass_controllers.storageprotection.plan import CLAIM_FINALIZER, is_used, wanted_finalizers


def pod(name="p", node="n1", phase="Running", *, ephemeral=False):
    source = {"ephemeral": {"volumeClaimTemplate": {}}} if ephemeral else {"persistentVolumeClaim": {"claimName": "c"}}
    spec = {"volumes": [{"name": "c" if not ephemeral else "scratch", **source}], "nodeName": node}
    return {"metadata": {"name": name, "uid": f"uid-{name}"}, "spec": spec, "status": {"phase": phase}}


@pytest.mark.parametrize(
    ("one", "used"),
    [(pod(), True), (pod(node=""), False), (pod(phase="Succeeded"), True), (pod(ephemeral=True), False)],
)
def test_pods_that_have_a_node_use_their_claims(make, one, used):
    assert is_used(make.claim(), [one]) == used


@pytest.mark.parametrize(("phase", "owner", "used"), [("Running", "uid-p", True), ("Failed", "uid-p", False),
                                                     ("Running", "other", False)])  # fmt: skip
def test_an_ephemeral_claim_need_not_outlive_the_containers(make, phase, owner, used):
    claim = make.claim("p-scratch")
    claim["metadata"]["ownerReferences"] = [{"uid": owner, "controller": True}]
    assert is_used(claim, [pod(phase=phase, ephemeral=True)]) == used


def test_the_finalizer_comes_and_goes(make):
    claim = make.claim()
    assert wanted_finalizers(claim, CLAIM_FINALIZER, used=False) == [CLAIM_FINALIZER]
    claim["metadata"]["finalizers"] = ["example.com/mine", CLAIM_FINALIZER]
    assert wanted_finalizers(claim, CLAIM_FINALIZER, used=False) is None
    claim["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert wanted_finalizers(claim, CLAIM_FINALIZER, used=True) is None
    assert wanted_finalizers(claim, CLAIM_FINALIZER, used=False) == ["example.com/mine"]
    claim["metadata"]["finalizers"] = ["example.com/mine"]
    assert wanted_finalizers(claim, CLAIM_FINALIZER, used=False) is None
