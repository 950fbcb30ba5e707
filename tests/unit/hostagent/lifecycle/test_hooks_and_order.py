"""Hooks, the order of stopping, deadlines and messages: whole pods on the hollow runtime with a clock that stands."""

import pytest

from windlass.apis.resources import PODS
from windlass.plugin.interfaces.runtime import ExecResult
from windlass_hostagent.pods.fate import Fate

STOP = "hollow.windlass.dev/stop-seconds"
RUN = "hollow.windlass.dev/run-seconds"
CODE = "hollow.windlass.dev/exit-code"


class Journal:
    """What happened to containers, in order, with the time of it."""

    def __init__(self, node):
        self.entries = []
        self.node = node
        self.exec_seconds = {}
        self.exec_codes = {}
        self._start, self._stop = node.runtime.start_container, node.runtime.stop_container
        node.runtime.start_container = self.start
        node.runtime.stop_container = self.stop
        node.runtime.exec_sync = self.exec_sync

    async def _name(self, container_id):
        return (await self.node.runtime.container_status(container_id)).name

    def note(self, what, name):
        self.entries.append((what, name, self.node.clock.monotonic()))

    async def start(self, container_id):
        await self._start(container_id)
        self.note("start", await self._name(container_id))

    async def stop(self, container_id, timeout_seconds):
        name = await self._name(container_id)
        self.note("stop", f"{name} {timeout_seconds:g}")
        await self._stop(container_id, timeout_seconds)
        self.note("stopped", name)

    async def exec_sync(self, container_id, command, *, timeout_seconds, max_output_bytes=16384):
        self.note("exec", command[0])
        await self.node.clock.sleep(self.exec_seconds.get(command[0], 0))
        return ExecResult(self.exec_codes.get(command[0], 0), b"secret output")

    def order(self, *kinds):
        return [name.split()[0] for what, name, _ in self.entries if what in kinds]

    def of(self, what):
        return [(name, at) for kind, name, at in self.entries if kind == what]


def status_of(node, name="web"):
    return node.api.stored("pods", name)["status"]


def container(name, **fields):
    return {"name": name, "image": "app:1", **fields}


def hook(command):
    return {"exec": {"command": [command]}}


def delete(node, grace=30, name="web"):
    made = node.api.stored("pods", name)
    until = node.clock.now().replace(microsecond=0).isoformat().replace("+00:00", "Z")
    meta = {**made["metadata"], "deletionTimestamp": until, "deletionGracePeriodSeconds": grace}
    node.api.put(PODS, {**made, "metadata": meta})


async def begin(boxes):
    node = boxes()
    await node.start()
    return node, Journal(node)


async def test_sidecars_start_before_and_stop_after_in_reverse(boxes, pod):
    node, journal = await begin(boxes)
    init = [container("one", restartPolicy="Always"), container("two", restartPolicy="Always")]
    node.api.put(PODS, pod(initContainers=init, annotations={STOP: "2"}))
    await node.settle()
    assert journal.order("start") == ["one", "two", "main"]
    assert status_of(node)["phase"] == "Running"
    delete(node)
    await node.advance(7)
    assert journal.order("stopped") == ["main", "two", "one"]
    assert node.api.stored("pods", "web") is None


async def test_a_sidecar_has_started_when_its_startup_probe_has_passed(boxes, pod):
    node, journal = await begin(boxes)
    journal.exec_codes["up"] = 1
    startup = {"exec": {"command": ["up"]}, "periodSeconds": 1, "failureThreshold": 100}
    node.api.put(PODS, pod(initContainers=[container("proxy", restartPolicy="Always", startupProbe=startup)]))
    await node.advance(5)
    assert journal.order("start") == ["proxy"]
    status = status_of(node)
    assert status["phase"] == "Pending"
    assert status["containerStatuses"][0]["state"]["waiting"]["reason"] == "PodInitializing"
    journal.exec_codes["up"] = 0
    await node.advance(2)
    assert journal.order("start") == ["proxy", "main"]
    assert status_of(node)["initContainerStatuses"][0]["started"]


async def test_a_finished_pod_ends_its_sidecars(boxes, pod):
    """The pod of a Job with a sidecar completes."""
    node, _ = await begin(boxes)
    node.api.put(
        PODS,
        pod(
            restartPolicy="Never",
            initContainers=[container("proxy", restartPolicy="Always")],
            annotations={"hollow.windlass.dev/run-seconds": "5"},
        ),
    )
    await node.advance(4)
    assert status_of(node)["phase"] == "Running"
    await node.advance(3)
    status = status_of(node)
    assert status["phase"] == "Succeeded"
    assert "terminated" in status["initContainerStatuses"][0]["state"]


async def test_when_the_grace_is_used_up_sidecars_get_two_seconds(boxes, pod):
    node, journal = await begin(boxes)
    init = [container("proxy", restartPolicy="Always")]
    node.api.put(PODS, pod(initContainers=init, terminationGracePeriodSeconds=5, annotations={STOP: "1000"}))
    await node.settle()
    delete(node, grace=5)
    await node.advance(8)
    assert [name for name, _ in journal.of("stop")] == ["main 5", "proxy 2"]
    assert node.api.stored("pods", "web") is None


async def test_init_containers_never_policy_success(boxes, pod):
    """C245."""
    node, journal = await begin(boxes)
    init = [container("one"), container("two")]
    node.api.put(PODS, pod(restartPolicy="Never", initContainers=init, annotations={RUN: "1"}))
    for _ in range(5):
        await node.advance(1)
    status = status_of(node)
    assert status["phase"] == "Succeeded"
    assert journal.order("start") == ["one", "two", "main"]
    assert [s["restartCount"] for s in status["initContainerStatuses"]] == [0, 0]
    assert next(c for c in status["conditions"] if c["type"] == "Initialized")["status"] == "True"


async def test_a_failing_init_container_is_retried_while_the_pod_is_pending(boxes, pod):
    """C247."""
    node, journal = await begin(boxes)
    init = [container("setup")]
    node.api.put(PODS, pod(initContainers=init, annotations={RUN: "1", CODE: "1"}))
    await node.advance(20)
    status = status_of(node)
    assert status["phase"] == "Pending"
    assert status["initContainerStatuses"][0]["restartCount"] >= 1
    assert status["containerStatuses"][0]["state"]["waiting"]["reason"] == "PodInitializing"
    assert "main" not in journal.order("start")


async def test_post_start_runs_before_the_next_container_starts(boxes, pod):
    """C224."""
    node, journal = await begin(boxes)
    journal.exec_seconds["warm"] = 3
    containers = [container("a", lifecycle={"postStart": hook("warm")}), container("b")]
    node.api.put(PODS, pod(containers=containers))
    await node.advance(2)
    assert journal.order("start", "exec") == ["a", "warm"]
    waiting = [s["state"] for s in status_of(node)["containerStatuses"]]
    assert all(s["waiting"]["reason"] == "ContainerCreating" for s in waiting)
    await node.advance(2)
    assert journal.order("start", "exec") == ["a", "warm", "b"]
    assert all(s["ready"] for s in status_of(node)["containerStatuses"])


async def test_a_failing_post_start_hook_kills_the_container(boxes, pod):
    node, journal = await begin(boxes)
    journal.exec_codes["warm"] = 1
    node.api.put(
        PODS, pod(restartPolicy="Never", containers=[container("main", lifecycle={"postStart": hook("warm")})])
    )
    await node.advance(1)
    assert ("Warning", "FailedPostStartHook", "PostStartHook failed") in node.recorder.events
    assert ("Normal", "Killing", "FailedPostStartHook") in node.recorder.events
    assert status_of(node)["phase"] == "Failed"
    assert not any("secret" in message for _, _, message in node.recorder.events)


async def test_a_hanging_post_start_hook_does_not_outlive_the_pod(boxes, pod):
    """N66."""
    node, journal = await begin(boxes)
    journal.exec_seconds["warm"] = 10**6
    node.api.put(PODS, pod(containers=[container("main", lifecycle={"postStart": hook("warm")})]))
    await node.advance(2)
    delete(node)
    await node.advance(1)
    assert node.api.stored("pods", "web") is None


async def test_pre_stop_runs_before_the_stop_and_within_the_grace(boxes, pod):
    """C226, C272."""
    node, journal = await begin(boxes)
    journal.exec_seconds["drain"] = 4
    node.api.put(PODS, pod(containers=[container("main", lifecycle={"preStop": hook("drain")})]))
    await node.settle()
    delete(node)
    await node.advance(3)
    assert journal.order("exec", "stop") == ["drain"]
    await node.advance(2)
    assert journal.order("exec", "stop") == ["drain", "main"]
    assert journal.of("stop")[0][0] == "main 26"
    assert node.api.stored("pods", "web") is None


async def test_a_hanging_pre_stop_hook_is_cut_at_the_grace(boxes, pod):
    """N66."""
    node, journal = await begin(boxes)
    journal.exec_seconds["drain"] = 10**6
    node.api.put(
        PODS, pod(containers=[container("main", lifecycle={"preStop": hook("drain")})], annotations={STOP: "9"})
    )
    await node.settle()
    delete(node, grace=10)
    await node.advance(9)
    assert journal.of("stop") == []
    await node.advance(5)
    assert journal.of("stop") == [("main 2", 10.0)]
    assert node.api.stored("pods", "web") is None


async def test_a_second_delete_cuts_a_hook_short(boxes, pod):
    node, journal = await begin(boxes)
    journal.exec_seconds["drain"] = 1000
    node.api.put(PODS, pod(containers=[container("main", lifecycle={"preStop": hook("drain")})]))
    await node.settle()
    delete(node, grace=600)
    await node.advance(10)
    delete(node, grace=5)
    await node.advance(6)
    assert node.api.stored("pods", "web") is None
    assert journal.order("exec") == ["drain"], "a hook runs once"


async def test_a_forced_deletion_does_not_wait(boxes, pod):
    node, _ = await begin(boxes)
    node.api.put(PODS, pod(annotations={STOP: "1000"}))
    await node.settle()
    made = node.api.objects.pop(("pods", "default", "web"))
    node.manager.on_event("DELETED", made, None)
    await node.advance(2.5)
    assert await node.runtime.list_pod_sandboxes() == []


async def test_no_hook_and_no_grace_at_zero(boxes, pod):
    node, journal = await begin(boxes)
    node.api.put(PODS, pod(containers=[container("main", lifecycle={"preStop": hook("drain")})]))
    await node.settle()
    delete(node, grace=0)
    await node.settle()
    assert journal.order("exec") == []
    assert [name for name, _ in journal.of("stop")] == ["main 0"]


async def test_a_failing_pre_stop_hook_is_told_and_changes_nothing(boxes, pod):
    node, journal = await begin(boxes)
    journal.exec_codes["drain"] = 1
    node.api.put(PODS, pod(containers=[container("main", lifecycle={"preStop": hook("drain")})]))
    await node.settle()
    delete(node)
    await node.advance(1)
    assert ("Warning", "FailedPreStopHook", "PreStopHook failed") in node.recorder.events
    assert node.api.stored("pods", "web") is None


async def test_the_sleep_hook_sleeps(boxes, pod):
    node, journal = await begin(boxes)
    node.api.put(PODS, pod(containers=[container("main", lifecycle={"preStop": {"sleep": {"seconds": 5}}})]))
    await node.settle()
    delete(node)
    await node.advance(6)
    assert journal.of("stop") == [("main 25", 5.0)]


async def test_the_active_deadline_fails_the_pod(boxes, pod):
    """C262, also when the deadline is set on a live pod."""
    node, _ = await begin(boxes)
    node.api.put(PODS, pod())
    await node.advance(10)
    made = node.api.stored("pods", "web")
    node.api.put(PODS, {**made, "spec": {**made["spec"], "activeDeadlineSeconds": 15}})
    await node.advance(4)
    assert status_of(node)["phase"] == "Running"
    await node.advance(2)
    status = status_of(node)
    assert (status["phase"], status["reason"]) == ("Failed", "DeadlineExceeded")
    assert status["message"] == "Pod was active on the node longer than the specified deadline"
    assert "terminated" in status["containerStatuses"][0]["state"]
    assert "DeadlineExceeded" in node.recorder.reasons()
    assert [s.ready for s in await node.runtime.list_pod_sandboxes()] == [False]


async def test_the_active_deadline_interrupts_a_slow_start(boxes, pod):
    node = boxes({"delays": {"pull_image": 1000}})
    await node.start()
    node.api.put(PODS, pod(activeDeadlineSeconds=5))
    await node.advance(6)
    assert status_of(node)["reason"] == "DeadlineExceeded"


async def test_a_pod_is_failed_from_outside(boxes, pod):
    """Eviction and shutdown: stopped with the given grace, then Failed with reason and condition."""
    node, journal = await begin(boxes)
    node.api.put(PODS, pod(annotations={STOP: "1000"}))
    await node.settle()
    condition = {"type": "DisruptionTarget", "status": "True", "reason": "TerminationByKubelet"}
    fate = Fate("Evicted", "The node was low on resource: memory.", 3.0, (condition,))
    assert node.manager.fail("uid-1", fate)
    await node.advance(4)
    status = status_of(node)
    assert (status["phase"], status["reason"]) == ("Failed", "Evicted")
    assert "DisruptionTarget" in {c["type"] for c in status["conditions"]}
    assert [name for name, _ in journal.of("stop")] == ["main 3"]
    assert not node.manager.fail("nobody", fate)


async def test_a_changed_image_restarts_the_container(boxes, pod):
    node, _ = await begin(boxes)
    node.api.put(PODS, pod(restartPolicy="Never"))
    await node.settle()
    made = node.api.stored("pods", "web")
    containers = [{**made["spec"]["containers"][0], "image": "app:2"}]
    node.api.put(PODS, {**made, "spec": {**made["spec"], "containers": containers}})
    await node.advance(1)
    (main,) = status_of(node)["containerStatuses"]
    assert (main["image"], main["restartCount"]) == ("app:2", 1)
    assert ("Normal", "Killing", "Container main definition changed, will be restarted") in node.recorder.events


async def test_ephemeral_containers_start_when_they_are_added(boxes, pod):
    """C242."""
    node, _ = await begin(boxes)
    node.api.put(PODS, pod())
    await node.settle()
    made = node.api.stored("pods", "web")
    debug = container("debug", targetContainerName="main")
    node.api.put(PODS, {**made, "spec": {**made["spec"], "ephemeralContainers": [debug]}})
    await node.settle()
    (entry,) = status_of(node)["ephemeralContainerStatuses"]
    assert "running" in entry["state"]
    assert entry["ready"] is False
    assert status_of(node)["containerStatuses"][0]["restartCount"] == 0


async def test_readiness_gates_hold_ready_back(boxes, pod):
    node, _ = await begin(boxes)
    node.api.put(PODS, pod(readinessGates=[{"conditionType": "example.com/lb"}]))
    await node.settle()

    def ready():
        return next(c for c in status_of(node)["conditions"] if c["type"] == "Ready")

    assert (ready()["status"], ready()["reason"]) == ("False", "ReadinessGatesNotReady")
    made = node.api.stored("pods", "web")
    gate = {"type": "example.com/lb", "status": "True"}
    node.api.put(PODS, {**made, "status": {**made["status"], "conditions": [*made["status"]["conditions"], gate]}})
    await node.settle()
    assert ready()["status"] == "True"


def message_file(node, attempt=0):
    return node.context.data_dir / "pods/uid-1/containers/main" / str(attempt) / "termination-log"


@pytest.mark.parametrize(
    "case",
    [
        ("File", "0", "done", "log", "done"),
        ("File", "1", "", "log", None),
        ("FallbackToLogsOnError", "0", "done", "log", "done"),
        ("FallbackToLogsOnError", "0", "", "log", None),
        ("FallbackToLogsOnError", "1", "", "one\ntwo", "one\ntwo\n"),
        ("FallbackToLogsOnError", "1", "own", "log", "own"),
        ("File", "1", "x" * 9000, "", "x" * 4096),
    ],
)
async def test_termination_messages(boxes, pod, case):
    """C229, C230."""
    policy, code, text, output, expected = case
    node = boxes({"output": output})
    await node.start()
    main = container("main", terminationMessagePolicy=policy)
    node.api.put(PODS, pod(restartPolicy="Never", containers=[main], annotations={RUN: "5", CODE: code}))
    await node.settle()
    message_file(node).write_text(text)
    await node.advance(6)
    ended = status_of(node)["containerStatuses"][0]["state"]["terminated"]
    assert ended.get("message") == expected


async def test_a_long_log_is_cut_to_its_end(boxes, pod):
    lines = [f"line {n} " + "y" * 100 for n in range(500)]
    node = boxes({"output": "\n".join(lines)})
    await node.start()
    main = container("main", terminationMessagePolicy="FallbackToLogsOnError")
    node.api.put(PODS, pod(restartPolicy="Never", containers=[main], annotations={RUN: "1", CODE: "1"}))
    await node.advance(2)
    message = status_of(node)["containerStatuses"][0]["state"]["terminated"]["message"]
    assert len(message) == 2048
    assert message.endswith(lines[-1] + "\n")


async def test_twenty_containers_share_twelve_kilobytes(boxes, pod):
    node = boxes()
    await node.start()
    names = [f"c{n}" for n in range(20)]
    node.api.put(PODS, pod(restartPolicy="Never", containers=[container(n) for n in names], annotations={RUN: "5"}))
    await node.settle()
    for name in names:
        (node.context.data_dir / f"pods/uid-1/containers/{name}/0/termination-log").write_text("z" * 4096)
    await node.advance(6)
    ended = [s["state"]["terminated"]["message"] for s in status_of(node)["containerStatuses"]]
    assert sum(map(len, ended)) <= 12 * 1024


async def test_the_message_file_is_no_way_out_of_the_pods_directory(boxes, pod, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("host secret")
    node = boxes()
    await node.start()
    node.api.put(PODS, pod(restartPolicy="Never", annotations={RUN: "5"}))
    await node.settle()
    message_file(node).unlink()
    message_file(node).symlink_to(secret)
    await node.advance(6)
    assert "message" not in status_of(node)["containerStatuses"][0]["state"]["terminated"]


async def test_the_files_go_with_the_attempts_and_the_pod(boxes, pod):
    node = boxes()
    await node.start()
    node.api.put(PODS, pod(annotations={RUN: "1", CODE: "1"}))
    await node.advance(60)
    kept = sorted(int(p.name) for p in message_file(node).parent.parent.iterdir())
    assert len(kept) == 2
    delete(node)
    await node.advance(1)
    assert not (node.context.data_dir / "pods/uid-1").exists()
