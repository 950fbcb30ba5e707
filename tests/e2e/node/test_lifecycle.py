"""A pod's life in real containers: init containers, sidecars, hooks, restarts, messages, deadlines, deletion."""

import json

import pytest

pytestmark = [pytest.mark.docker, pytest.mark.root]

RUN = "trap 'exit 0' TERM; while :; do sleep 0.1; done"


def ended(status):
    return status["state"]["terminated"]


def condition(status, kind):
    return next(c["status"] for c in status["conditions"] if c["type"] == kind)


def test_always_restarts(pods, shell):
    """C232."""
    pods.create("always", shell("main", "exit 0"))
    pods.until(lambda: pods.main("always")["restartCount"] >= 1)
    assert pods.status("always")["phase"] == "Running"
    pods.until(lambda: pods.main("always")["state"].get("waiting", {}).get("reason") == "CrashLoopBackOff")
    assert any(reason == "BackOff" for reason, _ in pods.events("always"))


def test_on_failure_restarts_until_it_succeeds(pods, shell):
    """C232."""
    pods.create("once", shell("main", "sleep 0.2; exit 0"), restartPolicy="OnFailure")
    status = pods.until_phase("once", "Succeeded")
    assert status["containerStatuses"][0]["restartCount"] == 0
    pods.create("fails", shell("main", "exit 1"), restartPolicy="OnFailure")
    pods.until(lambda: pods.main("fails")["restartCount"] >= 1)
    assert pods.status("fails")["phase"] in ("Running", "Pending")


@pytest.mark.parametrize(("code", "phase", "reason"), [(0, "Succeeded", "Completed"), (3, "Failed", "Error")])
def test_never_keeps_its_count(pods, shell, code, phase, reason):
    """C232, C250."""
    pods.create("never", shell("main", f"exit {code}"), restartPolicy="Never")
    status = pods.until_phase("never", phase)
    (main,) = status["containerStatuses"]
    assert (main["restartCount"], main["ready"]) == (0, False)
    assert (ended(main)["exitCode"], ended(main)["reason"]) == (code, reason)
    assert condition(status, "Ready") == "False"


def test_init_containers_run_in_order_before_the_containers(pods, shell):
    """C244."""
    init = [shell(name, "sleep 0.2") for name in ("one", "two")]
    pods.create("inits", shell("main", RUN), initContainers=init)
    status = pods.until_ready("inits")
    first, second = (ended(s) for s in status["initContainerStatuses"])
    assert (first["exitCode"], second["exitCode"]) == (0, 0)
    assert first["finishedAt"] <= second["startedAt"]
    assert condition(status, "Initialized") == "True"


def test_init_containers_of_a_pod_that_runs_once(pods, shell):
    """C245."""
    init = [shell(name, "true") for name in ("one", "two")]
    pods.create("inits", shell("a", "exit 0"), shell("b", "exit 0"), initContainers=init, restartPolicy="Never")
    status = pods.until_phase("inits", "Succeeded")
    assert condition(status, "Initialized") == "True"
    assert {s["restartCount"] for s in [*status["initContainerStatuses"], *status["containerStatuses"]]} == {0}


def test_a_failing_init_container_is_retried_and_nothing_else_starts(pods, shell):
    """C247."""
    pods.create("inits", shell("main", RUN), initContainers=[shell("fails", "exit 1"), shell("never", "true")])
    pods.until(lambda: (pods.status("inits").get("initContainerStatuses") or [{}])[0].get("restartCount", 0) >= 2)
    status = pods.status("inits")
    assert status["phase"] == "Pending"
    assert status["containerStatuses"][0]["state"]["waiting"]["reason"] == "PodInitializing"
    assert condition(status, "Initialized") == "False"


def test_a_sidecar_runs_beside_and_does_not_keep_the_pod(pods, shell):
    sidecar = shell("proxy", RUN, restartPolicy="Always", startupProbe={"exec": {"command": ["true"]}})
    pods.create("job", shell("main", "sleep 1"), initContainers=[sidecar], restartPolicy="Never")
    status = pods.until_phase("job", "Succeeded")
    assert ended(status["initContainerStatuses"][0])["exitCode"] == 0


@pytest.mark.parametrize(
    ("policy", "script", "message"),
    [
        ("FallbackToLogsOnError", "printf DONE > /dev/termination-log; echo log; exit 0", "DONE"),
        ("FallbackToLogsOnError", "echo DONE; exit 1", "DONE\n"),
        ("FallbackToLogsOnError", "echo log; exit 0", None),
        ("File", "printf DONE > /dev/termination-log; exit 1", "DONE"),
    ],
)
def test_termination_messages(pods, shell, policy, script, message):
    """C229, C230."""
    pods.create("says", shell("main", script, terminationMessagePolicy=policy), restartPolicy="Never")
    pods.until(lambda: pods.status("says")["phase"] in ("Succeeded", "Failed"))
    assert ended(pods.main("says")).get("message") == message


def test_a_message_path_of_ones_own_as_another_user(pods, shell):
    main = shell("main", "printf mine > /tmp/why; exit 1", terminationMessagePath="/tmp/why")
    pods.create("says", main, restartPolicy="Never", securityContext={"runAsUser": 65534})
    pods.until_phase("says", "Failed")
    assert ended(pods.main("says"))["message"] == "mine"


def test_post_start_runs(pods, shell, recorder):
    """C224."""
    address = recorder()
    command = ["wget", "-q", "-O-", f"http://{address}:8080/cgi-bin/write?post-start"]
    pods.create("hooked", shell("main", RUN, lifecycle={"postStart": {"exec": {"command": command}}}))
    pods.until_ready("hooked")
    assert "GET post-start" in pods.logs("recorder")


def test_a_failing_post_start_hook_kills(pods, shell):
    hook = {"postStart": {"exec": {"command": ["sh", "-c", "echo secret; exit 1"]}}}
    pods.create("hooked", shell("main", RUN.replace("exit 0", "exit 7"), lifecycle=hook), restartPolicy="Never")
    assert ended(pods.until_phase("hooked", "Failed")["containerStatuses"][0])["exitCode"] == 7
    pods.until(lambda: ("FailedPostStartHook", "PostStartHook failed") in pods.events("hooked"))
    assert not any("secret" in message for _, message in pods.events("hooked"))


def test_pre_stop_exec_runs_before_the_stop(pods, shell, recorder):
    """C226, C272."""
    address = recorder()
    command = ["wget", "-q", "-O-", f"http://{address}:8080/cgi-bin/write?pre-stop"]
    pods.create("hooked", shell("main", RUN, lifecycle={"preStop": {"exec": {"command": command}}}))
    pods.until_ready("hooked")
    pods.kubectl("delete", "pod", "hooked", "--timeout=60s")
    assert "GET pre-stop" in pods.logs("recorder")


def test_pre_stop_http_get_is_sent(pods, shell, recorder):
    """C227."""
    action = {"host": recorder(), "port": 8080, "path": "/cgi-bin/write?pre-stop-http"}
    pods.create("hooked", shell("main", RUN, lifecycle={"preStop": {"httpGet": action}}))
    pods.until_ready("hooked")
    pods.kubectl("delete", "pod", "hooked", "--timeout=60s")
    assert "GET pre-stop-http" in pods.logs("recorder")


@pytest.mark.parametrize("script", ["trap '' TERM; while :; do sleep 0.1; done", RUN])
def test_deletion_ends_even_when_term_is_ignored_and_the_hook_hangs(pods, shell, script):
    """N66."""
    hook = {"preStop": {"exec": {"command": ["sleep", "1000"]}}}
    pods.create("stubborn", shell("main", script, lifecycle=hook), terminationGracePeriodSeconds=2)
    pods.until_ready("stubborn")
    pods.kubectl("delete", "pod", "stubborn", "--timeout=60s")
    assert "NotFound" in pods.kubectl("get", "pod", "stubborn", check=False)


def test_a_forced_deletion_leaves_nothing(cluster, pods, shell):
    pods.create("forced", shell("main", "trap '' TERM; while :; do sleep 0.1; done"), terminationGracePeriodSeconds=600)
    uid = pods.get("forced")["metadata"]["uid"]
    pods.until_ready("forced")
    pods.kubectl("delete", "pod", "forced", "--force", "--grace-period=0")
    cluster.wait(
        lambda: not cluster.run("docker", "ps", "-aq", "--filter", f"label=io.kubernetes.pod.uid={uid}").stdout
    )


@pytest.mark.parametrize(
    ("script", "code", "reason"),
    [
        ("kill -9 $$$$", 137, "Error"),
        ("x=a; while :; do x=$x$x; done", 137, "OOMKilled"),
    ],
)
def test_the_reason_of_a_violent_end(pods, shell, script, code, reason):
    """N66. (`$$` in a command is one dollar.)"""
    limits = {"limits": {"memory": "16Mi"}}
    pods.create("dies", shell("main", f"sh -c '{script}'; exit $?", resources=limits), restartPolicy="Never")
    pods.until_phase("dies", "Failed")
    terminated = ended(pods.main("dies"))
    assert (terminated["exitCode"], terminated["reason"]) == (code, reason)


def test_the_active_deadline_ends_a_live_pod(pods, shell):
    """C262."""
    pods.create("limited", shell("main", RUN))
    pods.until_ready("limited")
    pods.kubectl("patch", "pod", "limited", "-p", json.dumps({"spec": {"activeDeadlineSeconds": 3}}))
    status = pods.until_phase("limited", "Failed")
    assert status["reason"] == "DeadlineExceeded"
    assert "terminated" in status["containerStatuses"][0]["state"]


def test_a_changed_image_restarts_that_container_only(cluster, pods, shell):
    """C269: the image of a live pod."""
    cluster.run("docker", "tag", "busybox:local", "busybox:second")
    pods.create("changed", shell("main", RUN), shell("other", RUN))
    before = {s["name"]: s["containerID"] for s in pods.until_ready("changed")["containerStatuses"]}
    image = {"spec": {"containers": [{"name": "main", "image": "busybox:second"}]}}
    pods.kubectl("patch", "pod", "changed", "-p", json.dumps(image))
    pods.until(lambda: pods.main("changed")["restartCount"] == 1)
    pods.until_ready("changed")
    after = {s["name"]: s for s in pods.status("changed")["containerStatuses"]}
    assert after["main"]["image"] == "busybox:second"
    assert after["main"]["containerID"] != before["main"]
    assert (after["other"]["containerID"], after["other"]["restartCount"]) == (before["other"], 0)
    assert ("Killing", "Container main definition changed, will be restarted") in pods.events("changed")


def test_readiness_gates_hold_ready_back(pods, shell):
    pods.create("gated", shell("main", RUN), readinessGates=[{"conditionType": "example.com/lb"}])
    pods.until_phase("gated", "Running")
    pods.until(lambda: condition(pods.status("gated"), "ContainersReady") == "True")
    assert condition(pods.status("gated"), "Ready") == "False"
    patch = {"status": {"conditions": [{"type": "example.com/lb", "status": "True"}]}}
    pods.kubectl("patch", "pod", "gated", "--subresource=status", "-p", json.dumps(patch))
    pods.until_ready("gated")
