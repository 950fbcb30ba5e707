"""The plan is driven against a small model of ReplicaSets, whose pods become ready or not as the test says."""

import copy
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windlass.apimachinery.meta import find_condition
from windlass_controllers.deployment.annotations import REVISION, REVISION_HISTORY
from windlass_controllers.deployment.plan import Observed, plan_deployment
from windlass_controllers.deployment.replicasets import HASH_LABEL, template_hash
from windlass_controllers.deployment.rolling import surge_and_unavailable

START = datetime(2026, 1, 1, tzinfo=UTC)


class World:
    """Applies plans as the controller does; `settle` makes pods appear and become available."""

    def __init__(self, replicas=3, strategy=None, **spec):
        self.now, self.sets, self.events, self.created = START, {}, [], 0
        self.deployment = {
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "default", "uid": "d", "generation": 1,
                         "annotations": {"kubernetes.io/change-cause": "first"}},
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}},
                     "strategy": strategy or {"type": "RollingUpdate"}, "progressDeadlineSeconds": 600,
                     "revisionHistoryLimit": 10, **spec},
        }
        self.set_image("v1")
        self.bad_images = set()

    def set_image(self, image):
        self.change(template={"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"image": image}]}})

    def change(self, **spec):
        self.deployment = copy.deepcopy(self.deployment)
        self.deployment["spec"].update(spec)
        self.deployment["metadata"]["generation"] += 1

    def step(self):
        frozen = copy.deepcopy((self.deployment, self.sets))
        old_remain = any((rs.get("status") or {}).get("replicas") for rs in self.sets.values()
                         if rs["spec"]["template"]["spec"] != self.deployment["spec"]["template"]["spec"])
        plan = plan_deployment(Observed(self.deployment, list(self.sets.values()), old_remain, self.now))
        assert frozen == (self.deployment, self.sets), "a plan changes nothing itself"
        self.apply(plan)
        return plan

    def apply(self, plan):
        if plan.create is not None:
            self.created += 1
            made = copy.deepcopy(plan.create)
            moment = f"2026-01-01T00:00:{self.created:02}Z"
            made["metadata"] |= {"uid": f"rs{self.created}", "creationTimestamp": moment, "generation": 1}
            self.sets[made["metadata"]["uid"]] = made
        for rs in plan.updates:
            self.sets[rs["metadata"]["uid"]] = rs
        for rs in plan.deletes:
            del self.sets[rs["metadata"]["uid"]]
        self.events += plan.events
        metadata = copy.deepcopy(self.deployment["metadata"])
        if plan.revision:
            metadata["annotations"][REVISION] = plan.revision
        self.deployment = {**self.deployment, "metadata": metadata, "status": plan.status}

    def observe(self, pick=lambda image, wanted: wanted):
        """Let the ReplicaSets follow; `pick` says how many pods of an image are available."""
        for uid, rs in self.sets.items():
            wanted, image = rs["spec"]["replicas"], rs["spec"]["template"]["spec"]["containers"][0]["image"]
            available = 0 if image in self.bad_images else min(wanted, pick(image, wanted))
            status = {"replicas": wanted, "readyReplicas": available, "availableReplicas": available,
                      "observedGeneration": rs["metadata"]["generation"]}
            self.sets[uid] = {**rs, "status": status}

    def run(self, rounds=60, **how):
        for _ in range(rounds):
            plan = self.step()
            self.observe(**how)
            self.now += timedelta(seconds=1)
        return plan

    def sizes(self):
        return {rs["spec"]["template"]["spec"]["containers"][0]["image"]: rs["spec"]["replicas"]
                for rs in self.sets.values()}

    def condition(self, kind):
        found = find_condition(self.deployment["status"]["conditions"], kind)
        return found["status"], found["reason"]


def test_a_first_rollout():
    world = World()
    world.run()
    assert world.sizes() == {"v1": 3}
    assert world.deployment["metadata"]["annotations"][REVISION] == "1"
    assert world.condition("Available") == ("True", "MinimumReplicasAvailable")
    assert world.condition("Progressing") == ("True", "NewReplicaSetAvailable")
    (rs,) = world.sets.values()
    name = rs["metadata"]["name"]
    assert world.events == [f"Scaled up replica set {name} from 0 to 3"]
    assert rs["metadata"]["annotations"]["deployment.kubernetes.io/desired-replicas"] == "3"
    assert rs["metadata"]["annotations"]["deployment.kubernetes.io/max-replicas"] == "4"
    assert rs["metadata"]["annotations"]["kubernetes.io/change-cause"] == "first"
    hashed = rs["metadata"]["labels"][HASH_LABEL]
    assert name == f"web-{hashed}"
    assert rs["spec"]["selector"]["matchLabels"] == {"app": "web", HASH_LABEL: hashed}


numbers_or_percent = st.integers(0, 5) | st.integers(0, 100).map(lambda n: f"{n}%")


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 12), numbers_or_percent, numbers_or_percent, st.lists(st.booleans(), min_size=1, max_size=4),
       st.data())
def test_a_rolling_update_keeps_its_bounds_and_ends(replicas, surge, unavailable, slow, data):
    """C109, C112: in every state between, maxSurge and maxUnavailable hold, also when templates change midway."""
    rolling = {"maxSurge": surge, "maxUnavailable": unavailable}
    world = World(replicas, {"type": "RollingUpdate", "rollingUpdate": rolling})
    world.run(8)
    max_surge, max_unavailable = surge_and_unavailable(world.deployment)
    assert max_surge + max_unavailable or not replicas
    for number in range(2, 2 + len(slow)):
        world.set_image(f"v{number}")
        for _ in range(data.draw(st.integers(1, 6))):
            world.step()
            total = sum(world.sizes().values())
            assert total <= replicas + max_surge
            alive = sum(min(rs["spec"]["replicas"], (rs.get("status") or {}).get("availableReplicas", 0))
                        for rs in world.sets.values())
            assert alive >= replicas - max_unavailable
            if not slow[number - 2]:
                world.observe()
    world.run(80)
    assert {image: size for image, size in world.sizes().items() if size} == (
        {f"v{1 + len(slow)}": replicas} if replicas else {}
    )
    assert world.condition("Progressing") == ("True", "NewReplicaSetAvailable")


def test_recreate_waits_until_the_old_pods_are_gone():
    world = World(3, {"type": "Recreate"})
    world.run()
    world.set_image("v2")
    world.step()
    assert world.sizes() == {"v1": 0}
    world.step()  # the old pods have not ended yet
    assert world.sizes() == {"v1": 0}
    world.run()
    assert world.sizes() == {"v1": 0, "v2": 3}


def test_a_paused_deployment_resizes_but_does_not_roll():
    world = World()
    world.run()
    world.change(paused=True)
    world.set_image("v2")
    world.run()
    assert world.sizes() == {"v1": 3}
    assert world.condition("Progressing") == ("Unknown", "DeploymentPaused")
    world.change(replicas=5)
    world.run()
    assert world.sizes() == {"v1": 5}
    world.change(paused=False)
    world.run()
    assert world.sizes() == {"v1": 0, "v2": 5}


def test_rollback_brings_the_old_set_back_in_a_new_revision():
    world = World()
    world.run()
    world.set_image("v2")
    world.run()
    world.set_image("v1")
    world.run()
    assert world.sizes() == {"v1": 3, "v2": 0}
    back = next(rs for rs in world.sets.values() if rs["spec"]["replicas"])
    assert back["metadata"]["annotations"][REVISION] == "3"
    assert back["metadata"]["annotations"][REVISION_HISTORY] == "1"
    assert world.deployment["metadata"]["annotations"][REVISION] == "3"


@pytest.mark.parametrize("limit", [0, 1, 2])
def test_old_sets_beyond_the_limit_go(limit):
    """C110."""
    world = World(revisionHistoryLimit=limit)
    for image in ("v1", "v2", "v3", "v4"):
        world.set_image(image)
        world.run()
    assert [image for image in world.sizes() if image != "v4"] == ["v1", "v2", "v3"][3 - limit :]


def test_a_rollout_that_hangs_times_out_and_can_still_end():
    world = World()
    world.run()
    world.bad_images = {"v2"}
    world.set_image("v2")
    plan = world.run(20)
    assert world.condition("Progressing")[0] == "True"
    assert 0 < plan.again_seconds <= 602
    world.now += timedelta(seconds=700)
    world.run(3)
    assert world.condition("Progressing") == ("False", "ProgressDeadlineExceeded")
    assert world.sizes()["v1"] == 3  # 25 % of three is no pod less
    world.bad_images = set()
    world.run()
    assert world.condition("Progressing") == ("True", "NewReplicaSetAvailable")


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 20), st.integers(0, 20), st.integers(1, 5))
def test_a_resize_in_the_middle_of_a_rollout_is_proportional_and_exact(replicas, wanted, steps):
    world = World(replicas, {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 2, "maxUnavailable": 1}})
    world.run(8)
    world.bad_images = {"v2"}
    world.set_image("v2")
    for _ in range(steps):
        world.step()
        world.observe()
    world.change(replicas=wanted)
    world.step()
    sizes = [size for size in world.sizes().values() if size]
    assert sum(world.sizes().values()) <= wanted + 2
    assert all(size >= 0 for size in sizes)
    world.bad_images = set()
    world.run(80)
    assert sum(world.sizes().values()) == wanted


def test_a_settled_deployment_asks_for_nothing():
    world = World()
    world.run()
    plan = world.step()
    assert (plan.create, plan.updates, plan.deletes, plan.events) == (None, [], [], [])
    assert plan.status == world.deployment["status"]
    assert plan.again_seconds is None


@given(st.integers(0, 3), st.integers(0, 3))
def test_a_collision_gives_another_name(first, second):
    template = {"spec": {"containers": [{"image": "x"}]}}
    assert (template_hash(template, first) == template_hash(template, second)) == (first == second)


def test_a_set_that_fails_is_told():
    world = World()
    world.step()
    (uid,) = world.sets
    failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "quota"}
    world.sets[uid] = {**world.sets[uid], "status": {"conditions": [failure]}}
    world.step()
    assert world.condition("ReplicaFailure") == ("True", "FailedCreate")


def test_a_rollback_by_a_go_client_finds_the_old_set():
    """`kubectl rollout undo` sends the template as Go types it: without false, zero and empty values."""
    world = World()
    loose = {"containers": [{"image": "v1", "tty": False, "stdin": False, "env": [{"name": "A", "value": ""}]}],
             "hostNetwork": False, "securityContext": {}, "automountServiceAccountToken": False}
    world.change(template={"metadata": {"labels": {"app": "web"}, "generation": 0}, "spec": loose})
    world.run()
    world.set_image("v2")
    world.run()
    tight = {"containers": [{"image": "v1", "env": [{"name": "A"}]}], "automountServiceAccountToken": False}
    world.change(template={"metadata": {"labels": {"app": "web"}, "creationTimestamp": None}, "spec": tight})
    world.run()
    assert len(world.sets) == 2
    world.change(template={"metadata": {"labels": {"app": "web"}}, "spec": {"containers": tight["containers"]}})
    world.run()
    assert len(world.sets) == 3
