"""What the binder does next, from each state."""

import copy

import pytest

from windlass.apis.resources import PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES
from windlass_controllers.persistentvolume.matching import find_volume
from windlass_controllers.persistentvolume.plan import View, plan_claim, plan_volume
from windlass_controllers.persistentvolume.steps import NOTHING

NOW = "2026-01-01T00:00:00Z"
BOUND_BY, COMPLETED = "pv.kubernetes.io/bound-by-controller", "pv.kubernetes.io/bind-completed"
SELECTED = "volume.kubernetes.io/selected-node"
PROVISIONER = "volume.kubernetes.io/storage-provisioner"
MADE_BY = {"pv.kubernetes.io/provisioned-by": "p.example.com"}


class World:
    def __init__(self, *volumes, classes=(), nodes=()):
        self.volumes = {v["metadata"]["name"]: v for v in volumes}
        self.classes = {c["metadata"]["name"]: c for c in classes}
        self.nodes = {n["metadata"]["name"]: n for n in nodes}

    @property
    def view(self):
        return View(self.volumes.get, lambda _: list(self.volumes.values()), lambda: list(self.classes.values()),
                    self.classes.get, self.nodes.get)  # fmt: skip

    def step(self, claim):
        before = copy.deepcopy((claim, self.volumes))
        step = plan_claim(claim, self.view, NOW)
        assert (claim, self.volumes) == before  # nothing that came from a cache is changed
        return step


def event(step):
    return (step.telling.type, step.telling.reason, step.telling.message) if step.telling else None


def found(claim, *volumes, **options):
    chosen = find_volume(claim, volumes, **options)
    return chosen and chosen["metadata"]["name"]


# -- which volume


def test_the_smallest_that_is_large_enough(make):
    sizes = [make.volume("small", "512Mi"), make.volume("large", "9Gi"), make.volume("fits", "2Gi")]
    assert found(make.claim(), *sizes) == "fits"
    assert found(make.claim(size="20Gi"), *sizes) is None


def test_modes_to_spare_are_for_those_who_need_them(make):
    both = make.volume("both", "1Gi", modes=("ReadWriteOnce", "ReadWriteMany"))
    once = make.volume("once", "5Gi")
    assert found(make.claim(), both, once) == "once"
    assert found(make.claim(modes=("ReadWriteMany",)), both, once) == "both"
    assert found(make.claim(modes=("ReadOnlyMany",)), both, once) is None
    assert found(make.claim(modes=("ReadWriteOncePod",)), both, once) is None


@pytest.mark.parametrize(
    "more",
    [
        {"storage_class": "fast"},
        {"volumeMode": "Block"},
        {"phase": "Pending"},
        {"phase": "Released"},
        {"ref": {"namespace": "default", "name": "other"}},
        {"ref": {"namespace": "elsewhere", "name": "c"}},
        {"ref": {"namespace": "default", "name": "c", "uid": "an earlier claim's"}},
        {"labels": {"tier": "slow"}},
    ],
)
def test_volumes_that_are_not_for_the_claim(make, more):
    claim = make.claim(selector={"matchLabels": {"tier": "quick"}})
    assert found(claim, make.volume(**{"labels": {"tier": "quick"}, **more})) is None
    assert found(claim, make.volume(labels={"tier": "quick"})) == "v"


def test_one_that_was_kept_for_the_claim_comes_first(make):
    kept = make.volume("kept", "9Gi", ref=make.ref(), phase="Pending", storage_class="other")
    assert found(make.claim(), make.volume("fits"), kept) == "kept"
    small = make.volume("kept", "1Mi", ref=make.ref())
    assert found(make.claim(), small) is None


def test_one_that_is_being_deleted_is_nobodys(make):
    going = make.volume()
    going["metadata"]["deletionTimestamp"] = NOW
    assert found(make.claim(), going) is None


def test_a_delayed_claim_takes_what_its_node_reaches(make):
    here, there = make.volume("here", nodeAffinity=make.affinity("n1")), make.volume("a", nodeAffinity=make.affinity("n2"))
    assert found(make.claim(), here, there, delayed=True) is None
    assert found(make.claim(), here, there, delayed=True, node=make.node("n1")) == "here"


# -- claims


def test_the_four_writes_of_a_binding(make):
    world, claim = World(make.volume()), make.claim()
    step = world.step(claim)
    assert (step.resource, step.subresource) == (PERSISTENTVOLUMES, "")
    assert step.obj["spec"]["claimRef"]["uid"] == "uid-c"
    assert step.obj["metadata"]["annotations"] == {BOUND_BY: "yes"}
    world.volumes["v"] = step.obj
    step = world.step(claim)
    assert (step.resource, step.subresource) == (PERSISTENTVOLUMES, "status")
    assert step.obj["status"] == {"phase": "Bound", "lastPhaseTransitionTime": NOW}
    world.volumes["v"] = step.obj
    step = world.step(claim)
    assert (step.resource, step.subresource) == (PERSISTENTVOLUMECLAIMS, "")
    assert step.obj["spec"]["volumeName"] == "v"
    assert step.obj["metadata"]["annotations"] == {BOUND_BY: "yes", COMPLETED: "yes"}
    step = world.step(step.obj)
    assert (step.resource, step.subresource) == (PERSISTENTVOLUMECLAIMS, "status")
    assert step.obj["status"] == {"phase": "Bound", "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}}
    assert world.step(step.obj) == NOTHING


def test_a_claim_may_name_its_volume(make):
    claim = make.claim(volumeName="v")
    step = World(make.volume()).step(claim)
    assert step.obj["spec"]["claimRef"]["uid"] == "uid-c"
    done = World(make.volume(ref=make.ref(uid="uid-c"), phase="Bound")).step(claim)
    assert done.obj["metadata"]["annotations"] == {COMPLETED: "yes"}


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"size": "1Mi"}, "requested PV is too small"),
        ({"storage_class": "fast"}, "storageClassName does not match"),
        ({"volumeMode": "Block"}, "incompatible volumeMode"),
        ({"modes": ("ReadOnlyMany",)}, "incompatible accessMode"),
    ],
)
def test_a_named_volume_that_does_not_fit(make, more, why):
    step = World(make.volume(**more)).step(make.claim(volumeName="v"))
    assert (step.obj, event(step)) == (None, ("Warning", "VolumeMismatch", f'Cannot bind to requested volume "v": {why}'))


def test_a_named_volume_that_is_another_claims_or_not_there(make):
    claim = make.claim(volumeName="v")
    taken = World(make.volume(ref=make.ref("other", "uid-other"), phase="Bound")).step(claim)
    assert event(taken) == ("Warning", "FailedBinding", 'volume "v" already bound to a different claim.')
    assert event(World().step(claim)) == ("Normal", "FailedBinding", 'volume "v" not found.')


def test_a_volume_may_name_its_claim(make):
    step = World(make.volume(ref=make.ref()), make.volume("a")).step(make.claim())
    assert (step.obj["metadata"]["name"], step.obj["spec"]["claimRef"]["uid"]) == ("v", "uid-c")
    assert BOUND_BY not in step.obj["metadata"]["annotations"]  # so that it stays the claim's


def test_nothing_there_and_no_class(make):
    step = World().step(make.claim(status=""))
    assert step.obj["status"] == {"phase": "Pending"}
    assert event(step)[1:] == (
        "FailedBinding",
        "no persistent volumes available for this claim and no storage class is set",
    )
    assert World().step(make.claim()).obj is None


def test_a_provisioner_is_asked_once(make):
    world = World(classes=[make.fast])
    step = world.step(make.claim(storage_class="fast"))
    assert step.obj["metadata"]["annotations"][PROVISIONER] == "p.example.com"
    assert event(step)[:2] == ("Normal", "ExternalProvisioning")
    again = world.step(step.obj)
    assert (again.obj, event(again)) == (None, event(step))


def test_a_class_that_is_missing_or_makes_nothing(make):
    step = World().step(make.claim(storage_class="fast"))
    assert event(step) == ("Warning", "ProvisioningFailed", 'storageclass.storage.k8s.io "fast" not found')
    step = World(classes=[{**make.local, "volumeBindingMode": "Immediate"}]).step(make.claim(storage_class="local"))
    assert event(step)[1:] == ("ProvisioningFailed", "no volume plugin matched name: kubernetes.io/no-provisioner")


def test_waiting_for_the_first_consumer(make):
    world = World(make.volume(storage_class="late"), classes=[make.late], nodes=[make.node("n1")])
    step = world.step(make.claim(storage_class="late"))
    assert (step.obj, event(step)[:2]) == (None, ("Normal", "WaitForFirstConsumer"))
    chosen = make.claim(storage_class="late", annotations={SELECTED: "n1"})
    assert world.step(chosen).obj["spec"]["claimRef"]["uid"] == "uid-c"
    world.volumes.clear()
    assert world.step(chosen).obj["metadata"]["annotations"][PROVISIONER] == "p.example.com"


def test_a_default_class_that_comes_later(make):
    """A claim without a class gets it; one that wants none ('') stays as it is."""
    marked = {**make.fast, "metadata": {"name": "fast", "creationTimestamp": "2026-01-01T00:00:00Z",
                                        "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}}  # fmt: skip
    newer = {**marked, "metadata": {**marked["metadata"], "name": "new", "creationTimestamp": "2026-01-02T00:00:00Z"}}
    world = World(classes=[marked, newer, make.late])
    assert world.step(make.claim(storage_class=None)).obj["spec"]["storageClassName"] == "new"
    assert world.step(make.claim()).obj is None


def test_a_claim_that_goes_is_not_bound(make):
    claim = make.claim()
    claim["metadata"]["deletionTimestamp"] = NOW
    assert World(make.volume()).step(claim) == NOTHING


def bound(make, name="v", **status):
    claim = make.claim(volumeName=name, annotations={COMPLETED: "yes"}, status="Bound")
    claim["status"] |= {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, **status}
    return claim


def test_a_claim_that_lost_its_volume(make):
    step = World().step(bound(make))
    assert step.obj["status"] == {"phase": "Lost"}
    assert event(step)[:2] == ("Warning", "ClaimLost")
    other = World(make.volume(ref=make.ref("other", "uid-other"), phase="Bound")).step(bound(make))
    assert (other.obj["status"]["phase"], event(other)[1]) == ("Lost", "ClaimMisbound")
    nameless = World().step({**bound(make), "spec": make.claim()["spec"]})
    assert nameless.obj["status"]["phase"] == "Lost"


def test_a_volume_that_grows_leaves_the_claims_size_to_those_who_grow_its_file_system(make):
    grown = make.volume(size="5Gi", ref=make.ref(uid="uid-c"), phase="Bound")
    assert World(grown).step(bound(make)) == NOTHING


# -- volumes


def phase(step):
    return step.obj["status"]["phase"] if step.obj else None


def test_phases_of_a_volume(make):
    assert phase(plan_volume(make.volume(phase="Pending"), None, NOW)) == "Available"
    assert plan_volume(make.volume(), None, NOW) == NOTHING
    assert phase(plan_volume(make.volume(ref=make.ref(), phase="Pending"), None, NOW)) == "Available"
    mine = make.volume(ref=make.ref(uid="uid-c"))
    assert plan_volume(mine, make.claim(), NOW).other == "default/c"
    assert phase(plan_volume(mine, bound(make), NOW)) == "Bound"
    assert phase(plan_volume(mine, None, NOW)) == "Released"
    later = {**make.claim(), "metadata": {**make.claim()["metadata"], "uid": "another"}}
    assert phase(plan_volume(mine, later, NOW)) == "Released"


def test_what_becomes_of_a_released_volume(make):
    def released(**more):
        return plan_volume(make.volume(ref=make.ref(uid="gone"), phase="Released", **more), None, NOW)

    assert released() == NOTHING
    delete = released(persistentVolumeReclaimPolicy="Delete")
    assert (phase(delete), event(delete)[1]) == ("Failed", "VolumeFailedDelete")
    assert "no deletable volume plugin matched" in delete.obj["status"]["message"]
    assert released(persistentVolumeReclaimPolicy="Delete", annotations=MADE_BY) == NOTHING
    recycle = released(persistentVolumeReclaimPolicy="Recycle")
    assert (phase(recycle), event(recycle)[1]) == ("Failed", "VolumeFailedRecycle")
    assert plan_volume(recycle.obj, None, NOW) == NOTHING


def test_a_volume_whose_claim_took_another(make):
    claim = bound(make, "other")
    ours = make.volume(ref=make.ref(uid="uid-c"), phase="Bound", annotations={BOUND_BY: "yes"})
    step = plan_volume(ours, claim, NOW)
    assert "claimRef" not in step.obj["spec"]
    assert step.obj["metadata"]["annotations"] == {}
    users = make.volume(ref=make.ref(uid="uid-c"), phase="Bound")
    assert plan_volume(users, claim, NOW).obj["spec"]["claimRef"] == make.ref()
    made = make.volume(ref=make.ref(uid="uid-c"), annotations=MADE_BY, persistentVolumeReclaimPolicy="Delete")
    assert phase(plan_volume(made, claim, NOW)) == "Released"
