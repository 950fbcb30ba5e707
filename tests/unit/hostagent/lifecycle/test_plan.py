"""The pod planner: example cases and, with made-up pods, what must hold in every one of them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windlass.plugin.interfaces.runtime import ContainerState, ContainerStatus, SandboxStatus
from windlass_hostagent.pods.observation import LABEL_HASH, Health, PodObservation
from windlass_hostagent.pods.plan import (
    ContainerStart,
    active_seconds_left,
    definition_hash,
    initialized,
    plan_pod,
    start_batches,
)
from windlass_hostagent.pods.restart import BackOff
from windlass_hostagent.pods.termination import stop_after

RUNNING, EXITED, CREATED = ContainerState.RUNNING, ContainerState.EXITED, ContainerState.CREATED
BOX = SandboxStatus("box", ready=True, created_at=0.0, labels={})


def status(name, state=RUNNING, *, attempt=0, code=0, image="app:1", made_as=""):
    return ContainerStatus(
        id=f"{name}-{attempt}",
        sandbox_id="box",
        name=name,
        attempt=attempt,
        state=state,
        image=image,
        image_id="",
        created_at=0.0,
        started_at=1.0,
        finished_at=2.0 if state is EXITED else 0.0,
        exit_code=code,
        reason="",
        message="",
        labels={LABEL_HASH: made_as} if made_as else {},
    )


def container(name, **fields):
    return {"name": name, "image": "app:1", **fields}


def pod(*apps, init=(), policy="Always", ephemeral=()):
    spec = {"restartPolicy": policy, "containers": list(apps), "initContainers": list(init)}
    if ephemeral:
        spec["ephemeralContainers"] = list(ephemeral)
    return {"metadata": {"name": "web", "namespace": "default", "uid": "u"}, "spec": spec}


def seen(*containers, **fields):
    return PodObservation(sandboxes=[BOX], containers=containers, **fields)


def started(plan):
    return [s.spec["name"] for s in plan.start]


SIDECAR = container("proxy", restartPolicy="Always")


def test_a_sidecar_must_have_started_before_what_follows_it():
    one = pod(container("main"), init=[SIDECAR, container("setup")])
    assert started(plan_pod(one, seen(), {}, 10.0)) == ["proxy"]
    waits = seen(status("proxy"), health={"proxy-0": Health(started=False)})
    assert started(plan_pod(one, waits, {}, 10.0)) == []
    assert started(plan_pod(one, seen(status("proxy")), {}, 10.0)) == ["setup"]
    both = seen(status("proxy"), status("setup", EXITED))
    assert started(plan_pod(one, both, {}, 10.0)) == ["main"]


def test_a_sidecar_does_not_keep_a_finished_pod_alive():
    one = pod(container("main"), init=[SIDECAR], policy="Never")
    plan = plan_pod(one, seen(status("proxy"), status("main", EXITED)), {}, 10.0)
    assert plan.finished


@pytest.mark.parametrize("policy", ["Always", "OnFailure", "Never"])
def test_a_sidecar_that_ended_runs_again_in_all_policies(policy):
    one = pod(container("main"), init=[SIDECAR], policy=policy)
    plan = plan_pod(one, seen(status("proxy", EXITED), status("main")), {}, 10.0)
    assert [(s.spec["name"], s.attempt) for s in plan.start] == [("proxy", 1)]


def test_sidecars_stop_after_the_containers_the_last_one_first():
    two = [SIDECAR, container("setup"), container("log", restartPolicy="Always")]
    assert stop_after(pod(container("a"), container("b"), init=two)) == {
        "proxy": {"a", "b", "log"},
        "log": {"a", "b"},
    }


def test_a_failing_init_container_is_tried_again_and_blocks():
    """C247."""
    one = pod(container("main"), init=[container("setup")])
    plan = plan_pod(one, seen(status("setup", EXITED, code=1)), {}, 10.0)
    assert started(plan) == ["setup"]
    assert not initialized(one, seen(status("setup", EXITED, code=1)))


def test_a_changed_image_restarts_that_container_only():
    one = pod(container("a", image="app:2"), container("b"), policy="Never")
    old = definition_hash(container("a"))
    both = [status("a", made_as=old), status("b", made_as=definition_hash(container("b")))]
    plan = plan_pod(one, seen(*both), {}, 10.0)
    (kill,) = plan.kill
    assert (kill.container.name, kill.forced) == ("a", True)
    assert kill.message == "Container a definition changed, will be restarted"
    ended = seen(status("a", EXITED, code=143, made_as=old), both[1], forced=frozenset({"a-0"}))
    plan = plan_pod(one, ended, {}, 10.0)
    assert [(s.spec["name"], s.attempt) for s in plan.start] == [("a", 1)]


def test_a_failed_liveness_probe_kills_with_the_probes_own_grace():
    health = {"main-0": Health(failed="liveness", grace_seconds=3)}
    (kill,) = plan_pod(pod(container("main")), seen(status("main"), health=health), {}, 10.0).kill
    assert kill.message == "Container main failed liveness probe, will be restarted"
    assert (kill.grace_seconds, kill.forced) == (3, False)
    never = pod(container("main"), policy="Never")
    (kill,) = plan_pod(never, seen(status("main"), health=health), {}, 10.0).kill
    assert kill.message == "Container main failed liveness probe"


def test_an_ephemeral_container_starts_once_and_sees_its_target():
    """C242."""
    debug = container("debug", targetContainerName="main")
    one = pod(container("main"), ephemeral=[debug])
    (start,) = plan_pod(one, seen(status("main")), {}, 10.0).start
    assert (start.spec["name"], start.target_id) == ("debug", "main-0")
    assert started(plan_pod(one, seen(status("main"), status("debug", EXITED, code=1)), {}, 10.0)) == []
    plan = plan_pod(one, seen(status("main", EXITED)), {}, 10.0)
    assert plan.waiting["debug"].message == 'unable to find target container "main"'
    forgotten = seen(status("main"), attempts={"debug": 0})
    assert started(plan_pod(one, forgotten, {}, 10.0)) == []


def test_an_ephemeral_container_keeps_no_pod_alive():
    one = pod(container("main"), ephemeral=[container("debug")], policy="OnFailure")
    assert plan_pod(one, seen(status("main", EXITED), status("debug")), {}, 10.0).finished


def test_a_back_off_counts_from_the_steady_end():
    ended = seen(status("main", EXITED, code=1), ended={"main-0": 100.0})
    plan = plan_pod(pod(container("main")), ended, {"main": BackOff(10.0, 95.0)}, 104.0)
    assert plan.wake_seconds == 6.0
    assert plan.waiting["main"].reason == "CrashLoopBackOff"


@pytest.mark.parametrize("now", [-1e9, 0.0, 99.0])
def test_a_clock_that_went_back_holds_nobody_up_longer_than_the_delay(now):
    """N74."""
    ended = seen(status("main", EXITED, code=1), ended={"main-0": 100.0})
    assert plan_pod(pod(container("main")), ended, {"main": BackOff(10.0, 95.0)}, now).wake_seconds == 10.0


def test_the_active_deadline_counts_from_the_start():
    """C262."""
    limited = {"spec": {"activeDeadlineSeconds": 5}}
    assert active_seconds_left(limited, 103.0, 100.0) == 2.0
    assert active_seconds_left(limited, 200.0, 100.0) == 0.0
    assert active_seconds_left({"spec": {}}, 200.0, 100.0) is None


def test_nothing_starts_before_the_hook_of_one_before_it():
    hooked = container("a", lifecycle={"postStart": {"sleep": {"seconds": 1}}})
    starts = [ContainerStart(c, 0, restart=False) for c in (container("z"), hooked, container("b"))]
    assert [[s.spec["name"] for s in batch] for batch in start_batches(starts)] == [["z", "a"], ["b"]]


NAMES = ("a", "b", "i1", "s1", "i2", "s2")
STATES = st.sampled_from([CREATED, RUNNING, EXITED])
ATTEMPTS = st.lists(st.tuples(STATES, st.sampled_from([0, 1, 137])), max_size=3)


@st.composite
def situations(draw):
    """A pod with two containers, init containers and sidecars, in any state: only the newest attempt may run."""
    init = [
        container(name, **({"restartPolicy": "Always"} if name.startswith("s") else {}))
        for name in draw(st.lists(st.sampled_from(["i1", "s1", "i2", "s2"]), unique=True))
    ]
    apps = [container(n) for n in draw(st.sampled_from([["a"], ["a", "b"]]))]
    found = []
    for one in [*init, *apps]:
        attempts = draw(ATTEMPTS)
        for number, (state, code) in enumerate(attempts):
            last = number == len(attempts) - 1
            found.append(status(one["name"], state if last else EXITED, attempt=number, code=code))
    health = {c.id: Health(started=draw(st.booleans())) for c in found if c.state is RUNNING}
    one = pod(*apps, init=init, policy=draw(st.sampled_from(["Always", "OnFailure", "Never"])))
    boxes = [BOX] if draw(st.booleans()) else []
    back_offs = {n: BackOff(10.0, 5.0) for n in draw(st.sets(st.sampled_from(NAMES)))}
    return one, PodObservation(sandboxes=boxes, containers=found, health=health), back_offs


@given(situations(), st.floats(0, 1000))
@settings(max_examples=400)
def test_what_holds_in_every_plan(situation, now):
    one, observed, back_offs = situation
    plan = plan_pod(one, observed, back_offs, now)
    names = started(plan)
    assert len(names) == len(set(names))
    for start in plan.start:
        last = observed.latest(start.spec["name"])
        assert last is None or last.state is not RUNNING, "nothing starts twice"
        assert start.existing_id or last is None or start.attempt > last.attempt
    assert not (plan.finished and plan.start)
    assert not (plan.needs_sandbox and plan.start), "nothing starts without a sandbox"
    assert not set(names) & set(plan.waiting), "what waits does not start"
    removed = [c for c in observed.containers if c.id in plan.remove]
    assert all(c.state is not RUNNING for c in removed)
    assert all(c is not observed.latest(c.name) for c in removed)
    apps = {c["name"] for c in one["spec"]["containers"]}
    if not initialized(one, observed):
        assert not apps & set(names), "no container before the init containers"
        ordinary = [n for n in names if n.startswith("i")]
        assert len(ordinary) <= 1, "one init container at a time"


@given(situations())
@settings(max_examples=200)
def test_a_pod_comes_to_rest_when_its_plans_are_followed(situation):
    """Follow the plan with containers that run for ever (init containers: that succeed): it comes to an end."""
    one, observed, _ = situation
    containers = [
        status(c.name, EXITED, attempt=c.attempt) if c.name.startswith("i") and c.state is RUNNING else c
        for c in observed.containers
    ]
    for _ in range(30):
        observed = PodObservation(sandboxes=[BOX], containers=containers)
        plan = plan_pod(one, observed, {}, 1e6)
        if plan.finished or not plan.start:
            break
        for start in plan.start:
            name = start.spec["name"]
            containers = [c for c in containers if c.id != start.existing_id]
            state = EXITED if name.startswith("i") else RUNNING
            containers.append(status(name, state, attempt=start.attempt))
    assert plan.finished or all(
        (last := observed.latest(c["name"])) is not None and last.state is not CREATED
        for c in one["spec"]["containers"]
    )
