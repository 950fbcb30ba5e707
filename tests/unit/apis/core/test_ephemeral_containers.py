"""`pods/ephemeralcontainers`: what may be added, and that nothing else changes (C242)."""

import copy

import pytest

from windlass.apis.core.v1.pod import KINDS

STRATEGY = KINDS[0].strategy.of_subresource("ephemeralcontainers")
DEBUGGER = {"name": "dbg", "image": "busybox:1.36", "stdin": True, "tty": True, "targetContainerName": "web"}


@pytest.fixture
def update(make_pod):
    """Return the pod after an update of its ephemeral containers, and what is wrong with it."""

    def change(containers, old=(), **more):
        before = make_pod()
        before["spec"]["ephemeralContainers"] = list(old)
        new = copy.deepcopy(before)
        new["spec"] |= {"ephemeralContainers": containers, **more}
        STRATEGY.prepare_for_update(new, before)
        STRATEGY.default(new)
        found = [*STRATEGY.validate(new), *STRATEGY.validate_update(new, before)]
        return new, [f"{error.field}: {error.message}" for error in found]

    return change


def test_one_is_added_and_nothing_else_changes(update):
    new, problems = update([DEBUGGER], nodeName="elsewhere", hostNetwork=True)
    assert problems == []
    assert "nodeName" not in new["spec"]
    assert not new["spec"].get("hostNetwork")
    added = new["spec"]["ephemeralContainers"][0]
    assert added["imagePullPolicy"] == "IfNotPresent"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("ports", [{"containerPort": 80, "protocol": "TCP"}]), ("livenessProbe", {"exec": {"command": ["true"]}}),
        ("readinessProbe", {"exec": {"command": ["true"]}}), ("startupProbe", {"exec": {"command": ["true"]}}),
        ("lifecycle", {"preStop": {"exec": {"command": ["true"]}}}), ("resources", {"limits": {"cpu": "1"}}),
    ],
)
def test_what_one_may_not_have(update, field, value):
    _, problems = update([{**DEBUGGER, field: value}])
    assert any(problem.startswith(f"spec.ephemeralContainers[0].{field}") for problem in problems), problems


def test_names_are_unique_and_the_target_exists(update):
    assert "Duplicate" in str(update([{**DEBUGGER, "name": "web"}])[1])
    assert "Duplicate" in str(update([DEBUGGER, DEBUGGER])[1])
    assert "targetContainerName" in str(update([{**DEBUGGER, "targetContainerName": "none"}])[1])


def test_what_is_there_stays_as_it_is(update, make_pod):
    there, _ = update([DEBUGGER])
    old = there["spec"]["ephemeralContainers"]
    second = {**DEBUGGER, "name": "dbg2"}
    assert update([*old, second], old)[1] == []
    assert "may not be removed" in str(update([second], old)[1])
    changed = [{**old[0], "image": "other"}]
    assert 'existing ephemeral containers "dbg" may not be changed' in str(update(changed, old)[1])


def test_static_pods_take_none(make_pod):
    pod = make_pod(meta={"annotations": {"kubernetes.io/config.mirror": "x"}})
    new = copy.deepcopy(pod)
    new["spec"]["ephemeralContainers"] = [DEBUGGER]
    assert "static pods" in STRATEGY.validate_update(new, pod)[0].message


def test_the_pod_itself_still_refuses_them(make_pod):
    pod = make_pod()
    new = copy.deepcopy(pod)
    new["spec"]["ephemeralContainers"] = [DEBUGGER]
    assert KINDS[0].strategy.validate_update(new, pod) != []
