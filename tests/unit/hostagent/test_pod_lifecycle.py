"""A pod's whole life on a node, with the hollow runtime and a clock that stands still."""

from windlass.apis.resources import CONFIGMAPS, PODS

RUN = "hollow.windlass.dev/run-seconds"
CODE = "hollow.windlass.dev/exit-code"


def status_of(node, name="web"):
    return node.api.stored("pods", name)["status"]


def conditions_of(status):
    return {c["type"]: c["status"] for c in status["conditions"]}


async def test_a_pod_runs_and_is_ready(boxes, pod):
    node = boxes()
    await node.start()
    node.api.put(PODS, pod())
    await node.settle()
    status = status_of(node)
    assert status["phase"] == "Running"
    assert status["podIP"].startswith("100.64.")
    assert status["hostIP"] == "192.0.2.1"
    assert status["qosClass"] == "BestEffort"
    assert set(conditions_of(status).values()) == {"True"}
    (container,) = status["containerStatuses"]
    assert container["ready"]
    assert container["started"]
    assert container["restartCount"] == 0
    assert container["containerID"].startswith("hollow://")
    assert [r for r in node.recorder.reasons() if r != "Pulling"] == ["Pulled", "Created", "Started"]


async def test_a_quiet_pod_is_not_written_again(boxes, pod):
    node = boxes()
    await node.start()
    node.api.put(PODS, pod())
    await node.settle()
    writes = len(node.api.patches)
    await node.advance(120)
    assert len(node.api.patches) == writes


async def test_init_containers_run_one_after_another(boxes, pod):
    """C244."""
    node = boxes()
    await node.start()
    init = [{"name": n, "image": "app:1"} for n in ("one", "two")]
    node.api.put(PODS, pod(initContainers=init, annotations={RUN: "5"}))
    await node.settle()
    status = status_of(node)
    assert status["phase"] == "Pending"
    assert conditions_of(status)["Initialized"] == "False"
    states = [next(iter(s["state"])) for s in status["initContainerStatuses"]]
    assert states == ["running", "waiting"]
    await node.advance(5)
    await node.advance(5)
    status = status_of(node)
    assert conditions_of(status)["Initialized"] == "True"
    assert all(s["state"]["terminated"]["exitCode"] == 0 for s in status["initContainerStatuses"])


async def test_never_ends_failed_and_keeps_its_count(boxes, pod):
    """C232, C250."""
    node = boxes()
    await node.start()
    node.api.put(PODS, pod(restartPolicy="Never", annotations={RUN: "1", CODE: "3"}))
    await node.settle()
    await node.advance(2)
    status = status_of(node)
    assert status["phase"] == "Failed"
    ended = status["containerStatuses"][0]["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (3, "Error")
    assert status["containerStatuses"][0]["restartCount"] == 0


async def test_on_failure_succeeds_after_a_zero_exit(boxes, pod):
    """C232."""
    node = boxes()
    await node.start()
    node.api.put(PODS, pod(restartPolicy="OnFailure", annotations={RUN: "1"}))
    await node.settle()
    await node.advance(2)
    assert status_of(node)["phase"] == "Succeeded"
    sandboxes = await node.runtime.list_pod_sandboxes()
    assert [s.ready for s in sandboxes] == [False]


async def test_a_crashing_container_backs_off(boxes, pod):
    """C232: first restart at once, then CrashLoopBackOff with kubelet's words and delays."""
    node = boxes()
    await node.start()
    node.api.put(PODS, pod(annotations={RUN: "1", CODE: "1"}))
    await node.settle()
    await node.advance(1)
    assert status_of(node)["containerStatuses"][0]["restartCount"] == 1
    await node.advance(1)
    (container,) = status_of(node)["containerStatuses"]
    assert container["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    expected = "back-off 10s restarting failed container=main pod=web_default(uid-1)"
    assert container["state"]["waiting"]["message"] == expected
    assert container["lastState"]["terminated"]["exitCode"] == 1
    assert "BackOff" in node.recorder.reasons()
    await node.advance(9.5)
    assert status_of(node)["containerStatuses"][0]["restartCount"] == 1
    await node.advance(1)
    assert status_of(node)["containerStatuses"][0]["restartCount"] == 2


async def test_a_missing_image_is_backed_off(boxes, pod):
    node = boxes({"missing_images": ["app:1"]})
    await node.start()
    node.api.put(PODS, pod())
    await node.settle()
    (container,) = status_of(node)["containerStatuses"]
    assert container["state"]["waiting"]["reason"] == "ErrImagePull"
    await node.advance(2)
    (container,) = status_of(node)["containerStatuses"]
    assert container["state"]["waiting"]["reason"] == "ImagePullBackOff"
    assert status_of(node)["phase"] == "Pending"


async def test_a_policy_of_never_does_not_pull(boxes, pod):
    node = boxes()
    await node.start()
    container = {"name": "main", "image": "app:1", "imagePullPolicy": "Never"}
    node.api.put(PODS, pod(containers=[container]))
    await node.settle()
    waiting = status_of(node)["containerStatuses"][0]["state"]["waiting"]
    assert waiting["reason"] == "ErrImageNeverPull"


async def test_a_missing_config_map_is_waited_for(boxes, pod):
    node = boxes()
    await node.start()
    env = [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "a"}}}]
    node.api.put(PODS, pod(containers=[{"name": "main", "image": "app:1", "env": env}]))
    await node.settle()
    waiting = status_of(node)["containerStatuses"][0]["state"]["waiting"]
    assert waiting == {"reason": "CreateContainerConfigError", "message": 'configmap "settings" not found'}
    node.api.put(CONFIGMAPS, {"metadata": {"name": "settings", "namespace": "default"}, "data": {"a": "1"}})
    await node.advance(6)
    assert status_of(node)["phase"] == "Running"


async def test_deletion_stops_removes_and_then_deletes(boxes, pod):
    """C263: final status, nothing left in the runtime, DELETE with grace 0."""
    node = boxes()
    await node.start()
    made = node.api.put(PODS, pod(annotations={"hollow.windlass.dev/stop-seconds": "5"}))
    await node.settle()
    deleted = node.api.stored("pods", "web")
    meta = {**deleted["metadata"], "deletionTimestamp": "2026-01-01T00:00:30Z", "deletionGracePeriodSeconds": 30}
    node.api.put(PODS, {**deleted, "metadata": meta})
    await node.settle()
    assert node.api.stored("pods", "web") is not None
    await node.advance(6)
    assert node.api.stored("pods", "web") is None
    assert await node.runtime.list_pod_sandboxes() == []
    assert "Killing" in node.recorder.reasons()
    assert made["metadata"]["uid"] == "uid-1"


async def test_a_shorter_grace_takes_effect_while_stopping(boxes, pod):
    node = boxes()
    await node.start()
    node.api.put(PODS, pod(annotations={"hollow.windlass.dev/stop-seconds": "1000"}))
    await node.settle()
    for seconds in (600, 3):
        found = node.api.stored("pods", "web")
        until = "2026-01-01T00:10:00Z" if seconds == 600 else "2026-01-01T00:00:03Z"
        meta = {**found["metadata"], "deletionTimestamp": until, "deletionGracePeriodSeconds": seconds}
        node.api.put(PODS, {**found, "metadata": meta})
        await node.settle()
    await node.advance(4)
    assert node.api.stored("pods", "web") is None


async def test_a_pod_deleted_before_it_started_is_simply_deleted(boxes, pod):
    node = boxes()
    await node.start()
    made = pod()
    made["metadata"] |= {"deletionTimestamp": "2026-01-01T00:00:30Z", "deletionGracePeriodSeconds": 30}
    node.api.put(PODS, made)
    await node.settle()
    assert node.api.stored("pods", "web") is None


async def test_a_new_agent_adopts_what_runs(boxes, pod):
    """N58, N59: the same container ids, no restart, no second write."""
    first = boxes()
    await first.start()
    first.api.put(PODS, pod())
    await first.settle()
    before = status_of(first)
    await first.crash()
    second = boxes(runtime=first.runtime, api=first.api)
    await second.start()
    await second.settle()
    assert status_of(second)["containerStatuses"] == before["containerStatuses"]
    assert second.recorder.events == []
    assert len(await second.runtime.list_containers()) == 1


async def test_a_new_agent_removes_what_has_no_pod(boxes, pod):
    first = boxes()
    await first.start()
    first.api.put(PODS, pod())
    await first.settle()
    await first.crash()
    first.api.objects.clear()
    second = boxes(runtime=first.runtime, api=first.api)
    await second.start()
    assert await second.runtime.list_pod_sandboxes() == []


async def test_a_lost_sandbox_is_made_anew_with_the_count_kept(boxes, pod):
    """N60, N63: someone removed the sandbox behind our back."""
    node = boxes()
    await node.start()
    node.api.put(PODS, pod())
    await node.settle()
    (sandbox,) = await node.runtime.list_pod_sandboxes()
    await node.runtime.remove_pod_sandbox(sandbox.id)
    await node.settle()
    await node.advance(2)
    status = status_of(node)
    assert status["phase"] == "Running"
    assert status["containerStatuses"][0]["restartCount"] == 1


async def test_a_failing_sandbox_is_tried_again_and_told(boxes, pod):
    node = boxes({"faults": {"run_pod_sandbox": {"reason": "Broken", "message": "no space", "times": 2}}})
    await node.start()
    node.api.put(PODS, pod())
    await node.settle()
    assert "FailedCreatePodSandBox" in node.recorder.reasons()
    await node.advance(10)
    assert status_of(node)["phase"] == "Running"


async def test_another_writers_condition_survives(boxes, pod):
    node = boxes()
    await node.start()
    made = pod(annotations={RUN: "5"})
    made["status"]["conditions"] = [{"type": "example.com/gate", "status": "True"}]
    node.api.put(PODS, made)
    await node.settle()
    await node.advance(6)
    assert "example.com/gate" in conditions_of(status_of(node))
