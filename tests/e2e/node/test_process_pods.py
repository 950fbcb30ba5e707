"""Lifecycle and probes without any daemon: the `process` runtime owes a pod the same."""

import pytest

pytestmark = [pytest.mark.root]

RUN = "trap 'exit 0' TERM; while :; do sleep 0.1; done"
FAST = {"periodSeconds": 1, "failureThreshold": 2}


@pytest.fixture
def pods(process_pods):
    return process_pods


def host(name, script, **fields):
    return {"name": name, "image": "host", "imagePullPolicy": "Never", "command": ["sh", "-c", script], **fields}


def test_init_containers_sidecars_and_the_end(pods):
    """C244, C245."""
    init = [host("proxy", RUN, restartPolicy="Always"), host("setup", "sleep 0.2")]
    pods.create("job", host("main", "sleep 1"), initContainers=init, restartPolicy="Never")
    status = pods.until_phase("job", "Succeeded")
    assert status["initContainerStatuses"][1]["state"]["terminated"]["exitCode"] == 0
    assert "terminated" in status["initContainerStatuses"][0]["state"]


@pytest.mark.parametrize(("code", "phase"), [(0, "Succeeded"), (3, "Failed")])
def test_never_keeps_its_count(pods, code, phase):
    """C232, C250."""
    pods.create("never", host("main", f"exit {code}"), restartPolicy="Never")
    assert pods.until_phase("never", phase)["containerStatuses"][0]["restartCount"] == 0


def test_always_restarts(pods):
    """C232."""
    pods.create("always", host("main", "exit 0"))
    pods.until(lambda: pods.main("always")["restartCount"] >= 1)


def test_exec_probes(pods):
    """C275, C281."""
    probe = {"exec": {"command": ["cat", "/tmp/health"]}, "initialDelaySeconds": 1, **FAST}
    script = f"echo ok > /tmp/health; {RUN}"
    pods.create("healthy", host("main", script, livenessProbe=probe, readinessProbe=probe))
    pods.create("ill", host("main", RUN, livenessProbe={"exec": {"command": ["false"]}, **FAST}))
    pods.until_ready("healthy")
    pods.until(lambda: pods.main("ill")["restartCount"] >= 1)
    assert pods.main("healthy")["restartCount"] == 0


def test_hooks_and_messages(pods):
    """C229, C230: preStop leaves its mark in the log, the message comes from the file or from the log."""
    pods.create("says", host("main", "echo DONE; exit 1", terminationMessagePolicy="FallbackToLogsOnError"),
                restartPolicy="Never")  # fmt: skip
    pods.until_phase("says", "Failed")
    assert pods.main("says")["state"]["terminated"]["message"] == "DONE\n"
    hooks = {"postStart": {"exec": {"command": ["true"]}}, "preStop": {"sleep": {"seconds": 1}}}
    pods.create("hooked", host("main", RUN, lifecycle=hooks))
    pods.until_ready("hooked")
    pods.kubectl("delete", "pod", "hooked", "--timeout=60s")


def test_the_active_deadline(pods):
    """C262."""
    pods.create("limited", host("main", RUN), activeDeadlineSeconds=2)
    assert pods.until_phase("limited", "Failed")["reason"] == "DeadlineExceeded"
