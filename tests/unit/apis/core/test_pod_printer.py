from datetime import UTC, datetime

import pytest

from windlass.apis.core.v1.pod_printer import POD_COLUMNS

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


def row(pod):
    return {column.name: column.value(pod, NOW) for column in POD_COLUMNS}


def pod(statuses=(), init_statuses=(), *, containers=1, inits=(), meta=None, **status):
    return {
        "metadata": {"creationTimestamp": "2026-01-01T11:00:00Z", **(meta or {})},
        "spec": {"containers": [{"name": f"c{number}"} for number in range(containers)], "initContainers": list(inits)},
        "status": {
            "phase": "Running",
            "containerStatuses": list(statuses),
            "initContainerStatuses": list(init_statuses),
            **status,
        },
    }


def running(name="c0", *, ready=True, restarts=0, ended=None):
    last = {"terminated": {"exitCode": 1, "finishedAt": ended}} if ended else {}
    return {"name": name, "ready": ready, "restartCount": restarts, "state": {"running": {}}, "lastState": last}


def waiting(reason, name="c0"):
    return {"name": name, "ready": False, "restartCount": 0, "state": {"waiting": {"reason": reason}}}


def terminated(name="c0", **state):
    return {"name": name, "ready": False, "restartCount": 0, "state": {"terminated": {"exitCode": 0, **state}}}


DELETED = {"deletionTimestamp": "2026-01-01T12:00:30Z"}
READY = [{"type": "Ready", "status": "True"}]
PLAIN_INIT, SIDECAR = {"name": "i0"}, {"name": "i0", "restartPolicy": "Always"}


@pytest.mark.parametrize(
    ("shown", "ready", "reason"),
    [
        (pod([running()]), "1/1", "Running"),
        (pod([running(), waiting("CrashLoopBackOff", "c1")], containers=2), "1/2", "CrashLoopBackOff"),
        (pod([waiting("ContainerCreating")], phase="Pending"), "0/1", "ContainerCreating"),
        (pod(phase="Pending"), "0/1", "Pending"),
        (pod([terminated(reason="Completed")], phase="Succeeded"), "0/1", "Completed"),
        (pod([terminated(reason="Error", exitCode=1)], phase="Failed"), "0/1", "Error"),
        (pod([terminated(exitCode=3)], phase="Failed"), "0/1", "ExitCode:3"),
        (pod([terminated(exitCode=137, signal=9)], phase="Failed"), "0/1", "Signal:9"),
        (pod([terminated(reason="Completed"), running("c1")], containers=2, conditions=READY), "1/2", "Running"),
        (pod([terminated(reason="Completed"), running("c1")], containers=2), "1/2", "NotReady"),
        (pod([running()], meta=DELETED), "1/1", "Terminating"),
        (pod([terminated(reason="Completed")], meta=DELETED, phase="Succeeded"), "0/1", "Completed"),
        (pod([running()], meta=DELETED, reason="NodeLost"), "1/1", "Unknown"),
        (pod(phase="Failed", reason="Evicted"), "0/1", "Evicted"),
        (
            pod(phase="Pending", conditions=[{"type": "PodScheduled", "reason": "SchedulingGated"}]),
            "0/1",
            "SchedulingGated",
        ),
        (pod(init_statuses=[waiting("PodInitializing", "i0")], inits=[PLAIN_INIT], phase="Pending"), "0/1", "Init:0/1"),
        (
            pod(init_statuses=[waiting("ErrImagePull", "i0")], inits=[PLAIN_INIT], phase="Pending"),
            "0/1",
            "Init:ErrImagePull",
        ),
        (
            pod(init_statuses=[terminated("i0", exitCode=2)], inits=[PLAIN_INIT], phase="Pending"),
            "0/1",
            "Init:ExitCode:2",
        ),
        (
            pod(init_statuses=[terminated("i0", exitCode=1, reason="Error")], inits=[PLAIN_INIT], phase="Pending"),
            "0/1",
            "Init:Error",
        ),
        (pod([running()], init_statuses=[terminated("i0", reason="Completed")], inits=[PLAIN_INIT]), "1/1", "Running"),
        (pod([running()], init_statuses=[{**running("i0"), "started": True}], inits=[SIDECAR]), "2/2", "Running"),
    ],
)
def test_ready_and_status(shown, ready, reason):
    """The words of `kubectl get pods`."""
    assert (row(shown)["Ready"], row(shown)["Status"]) == (ready, reason)


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ([running()], "0"),
        ([running(restarts=2)], "2"),
        ([running(restarts=3, ended="2026-01-01T11:55:00Z")], "3 (5m ago)"),
        (
            [
                running(restarts=1, ended="2026-01-01T11:00:00Z"),
                running("c1", restarts=2, ended="2026-01-01T11:59:30Z"),
            ],
            "3 (30s ago)",
        ),
    ],
)
def test_restarts(statuses, expected):
    assert row(pod(statuses))["Restarts"] == expected


def test_init_restarts_count_only_while_initializing():
    crashing = {**waiting("CrashLoopBackOff", "i0"), "restartCount": 4}
    assert row(pod(init_statuses=[crashing], inits=[PLAIN_INIT], phase="Pending"))["Restarts"] == "4"
    done = {**terminated("i0"), "restartCount": 4}
    assert row(pod([running(restarts=1)], init_statuses=[done], inits=[PLAIN_INIT]))["Restarts"] == "1"


def test_wide_columns_and_age():
    shown = pod(
        [running()],
        podIP="10.0.0.9",
        podIPs=[{"ip": "10.0.0.9"}],
        nominatedNodeName="n2",
        conditions=[{"type": "gate", "status": "True"}],
    )
    shown["spec"].update(nodeName="n1", readinessGates=[{"conditionType": "gate"}, {"conditionType": "other"}])
    cells = row(shown)
    assert [cells[name] for name in ("Age", "IP", "Node", "Nominated Node", "Readiness Gates")] == [
        "60m",
        "10.0.0.9",
        "n1",
        "n2",
        "1/2",
    ]
    assert [column.name for column in POD_COLUMNS if column.priority] == [
        "IP",
        "Node",
        "Nominated Node",
        "Readiness Gates",
    ]


def test_an_empty_pod_prints():
    """A pod straight from a broken client must not break the list of the others."""
    assert row({"metadata": {}}) == {
        "Ready": "0/0",
        "Status": "",
        "Restarts": "0",
        "Age": "<unknown>",
        "IP": "<none>",
        "Node": "<none>",
        "Nominated Node": "<none>",
        "Readiness Gates": "<none>",
    }
