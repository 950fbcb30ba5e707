"""The node's probe table, with the hollow runtime's commands and a clock that stands still."""

import asyncio

import pytest

from windlass.apis.resources import PODS
from windlass.errors import RuntimeDriverError
from windlass.plugin.interfaces.runtime import ExecResult, ExecTimeoutError


class Commands:
    """What commands in containers do, by program; counts them."""

    def __init__(self, node):
        self.results = {}
        self.calls = []
        self.clock = node.clock
        node.runtime.exec_sync = self.exec_sync

    async def exec_sync(self, container_id, command, *, timeout_seconds, max_output_bytes=16384):
        self.calls.append((command[0], self.clock.monotonic(), container_id))
        result = self.results.get(command[0], 0)
        if isinstance(result, Exception):
            raise result
        return ExecResult(result, f"{command[0]} says {result}".encode())

    def times(self, program):
        return [at for name, at, _ in self.calls if name == program]


def probe(program, **fields):
    return {"exec": {"command": [program]}, **fields}


def status_of(node, name="web"):
    return node.api.stored("pods", name)["status"]


def main_of(node):
    return status_of(node)["containerStatuses"][0]


async def run(boxes, pod, *, container=None, **fields):
    node = boxes()
    commands = Commands(node)
    await node.start()
    main = {"name": "main", "image": "app:1", **(container or {})}
    return node, commands, lambda: node.api.put(PODS, pod(containers=[main], **fields))


async def test_ready_follows_the_readiness_probe(boxes, pod):
    node, commands, create = await run(boxes, pod, container={"readinessProbe": probe("ready", periodSeconds=5)})
    commands.results["ready"] = 1
    create()
    await node.advance(1)
    assert (main_of(node)["ready"], main_of(node)["started"]) == (False, True)
    assert status_of(node)["phase"] == "Running"
    ready = next(c for c in status_of(node)["conditions"] if c["type"] == "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "ContainersNotReady")
    told = ("Warning", "Unhealthy", "Readiness probe failed: ready says 1")
    assert told in node.recorder.events
    commands.results["ready"] = 0
    await node.advance(6)
    assert main_of(node)["ready"]
    commands.results["ready"] = 1
    await node.advance(11)
    assert main_of(node)["ready"], "two failures are not three"
    await node.advance(5)
    assert not main_of(node)["ready"]
    assert main_of(node)["restartCount"] == 0


async def test_ready_comes_no_sooner_than_the_initial_delay(boxes, pod):
    """C281."""
    readiness = probe("ready", initialDelaySeconds=20, periodSeconds=5)
    node, commands, create = await run(boxes, pod, container={"readinessProbe": readiness})
    create()
    await node.advance(19.9)
    assert not main_of(node)["ready"]
    assert commands.calls == []
    await node.advance(1)
    assert main_of(node)["ready"]


async def test_a_failing_liveness_probe_restarts_the_container(boxes, pod):
    """C275, C280: the count only rises; words and events are kubelet's."""
    liveness = probe("alive", periodSeconds=1, failureThreshold=2)
    node, commands, create = await run(boxes, pod, container={"livenessProbe": liveness})
    create()
    await node.advance(30)
    assert main_of(node)["restartCount"] == 0
    first_id = main_of(node)["containerID"]
    commands.results["alive"] = 1
    await node.advance(2.2)
    commands.results["alive"] = 0
    await node.advance(0.2)
    assert main_of(node)["restartCount"] == 1
    assert main_of(node)["containerID"] != first_id
    assert main_of(node)["lastState"]["terminated"]["exitCode"] == 143
    message = "Container main failed liveness probe, will be restarted"
    assert ("Normal", "Killing", message) in node.recorder.events
    await node.advance(30)
    assert main_of(node)["restartCount"] == 1


async def test_the_probes_own_grace_is_used(boxes, pod):
    liveness = probe("alive", periodSeconds=1, failureThreshold=1, terminationGracePeriodSeconds=4)
    node, commands, create = await run(
        boxes, pod, container={"livenessProbe": liveness}, annotations={"hollow.windlass.dev/stop-seconds": "1000"}
    )
    stops = []
    stop = node.runtime.stop_container

    async def stop_container(container_id, timeout_seconds):
        stops.append(timeout_seconds)
        await stop(container_id, timeout_seconds)

    node.runtime.stop_container = stop_container
    create()
    await node.advance(2)
    commands.results["alive"] = 1
    await node.advance(3)
    assert stops == [4.0]


async def test_nothing_else_is_probed_before_the_startup_probe_has_passed(boxes, pod):
    container = {
        "startupProbe": probe("start", periodSeconds=2, failureThreshold=10),
        "livenessProbe": probe("alive", periodSeconds=1),
        "readinessProbe": probe("ready", periodSeconds=1),
    }
    node, commands, create = await run(boxes, pod, container=container)
    commands.results["start"] = 1
    create()
    await node.advance(7)
    assert commands.times("alive") == commands.times("ready") == []
    assert (main_of(node)["started"], main_of(node)["ready"]) == (False, False)
    commands.results["start"] = 0
    await node.advance(2)
    assert (main_of(node)["started"], main_of(node)["ready"]) == (True, True)
    asked = len(commands.times("start"))
    await node.advance(20)
    assert len(commands.times("start")) == asked, "a startup probe that passed is over"
    assert len(commands.times("alive")) >= 15


async def test_a_startup_probe_that_never_passes_kills(boxes, pod):
    startup = probe("start", periodSeconds=1, failureThreshold=3)
    node, commands, create = await run(boxes, pod, container={"startupProbe": startup}, restartPolicy="Never")
    commands.results["start"] = 1
    create()
    await node.advance(5)
    assert status_of(node)["phase"] == "Failed"
    assert ("Normal", "Killing", "Container main failed startup probe") in node.recorder.events


async def test_a_command_that_times_out_failed_and_a_runtime_that_fails_says_nothing(boxes, pod):
    """N73."""
    liveness = probe("alive", periodSeconds=1, failureThreshold=3)
    node, commands, create = await run(boxes, pod, container={"livenessProbe": liveness})
    commands.results["alive"] = RuntimeDriverError("no answer")
    create()
    await node.advance(20)
    assert main_of(node)["restartCount"] == 0
    errored = "Liveness probe errored and resulted in unknown state: no answer"
    assert ("Warning", "Unhealthy", errored) in node.recorder.events
    commands.results["alive"] = ExecTimeoutError("killed")
    await node.advance(4)
    assert main_of(node)["restartCount"] >= 1
    timed_out = 'Liveness probe failed: command timed out: "alive" timed out after 1s'
    assert ("Warning", "Unhealthy", timed_out) in node.recorder.events


async def test_a_probe_never_overlaps_itself_and_bounds_the_others(boxes, pod):
    """N73: a command that hangs is asked once; probes of other containers go on."""
    node = boxes()
    commands = Commands(node)
    gate = asyncio.Event()
    answer = commands.exec_sync

    async def exec_sync(container_id, command, **options):
        done = await answer(container_id, command, **options)
        if command[0] == "hang":
            await gate.wait()
        return done

    node.runtime.exec_sync = exec_sync
    await node.start()
    hanging = [{"name": "main", "image": "app:1", "livenessProbe": probe("hang", periodSeconds=1)}]
    good = [{"name": "main", "image": "app:1", "livenessProbe": probe("good", periodSeconds=1)}]
    node.api.put(PODS, pod("stuck", uid="u1", containers=hanging))
    node.api.put(PODS, pod("well", uid="u2", containers=good))
    await node.advance(20)
    assert len(commands.times("hang")) == 1
    assert len(commands.times("good")) >= 19
    gate.set()


async def test_a_pod_that_ends_is_not_killed_for_its_liveness(boxes, pod):
    liveness = probe("alive", periodSeconds=1, failureThreshold=1)
    node, commands, create = await run(
        boxes,
        pod,
        container={"livenessProbe": liveness, "readinessProbe": probe("ready", periodSeconds=1)},
        annotations={"hollow.windlass.dev/stop-seconds": "20"},
    )
    create()
    await node.advance(5)
    made = node.api.stored("pods", "web")
    meta = {**made["metadata"], "deletionTimestamp": "2026-01-01T00:00:35Z", "deletionGracePeriodSeconds": 30}
    node.api.put(PODS, {**made, "metadata": meta})
    await node.settle()
    asked = len(commands.times("alive"))
    ready = len(commands.times("ready"))
    await node.advance(10)
    assert len(commands.times("alive")) == asked
    assert len(commands.times("ready")) > ready
    await node.advance(15)
    assert node.api.stored("pods", "web") is None
    ended = len(commands.calls)
    await node.advance(20)
    assert len(commands.calls) == ended


async def test_a_new_agent_keeps_ready_what_was_ready_and_spreads_its_probes(boxes, pod):
    """N59: no flapping, and two hundred pods are not all asked in the same second."""
    node = boxes()
    Commands(node)
    await node.start()
    main = [{"name": "main", "image": "app:1", "readinessProbe": probe("ready", periodSeconds=10)}]
    for number in range(40):
        node.api.put(PODS, pod(f"p{number}", uid=f"u{number}", containers=main))
    await node.advance(30)
    await node.crash()
    writes = len(node.api.patches)
    again = boxes(runtime=node.runtime, api=node.api)
    commands = Commands(again)
    await again.start()
    assert commands.calls == []
    for _ in range(10):
        await again.advance(1)
    assert len(commands.calls) >= 40
    seconds = {int(at) for _, at, _ in commands.calls}
    assert len(seconds) >= 5
    assert len(again.api.patches) == writes, "nobody became unready meanwhile"


@pytest.mark.parametrize("count", [100])
async def test_a_hundred_probed_pods_wait_in_one_heap(boxes, pod, count):
    node = boxes()
    commands = Commands(node)
    await node.start()
    main = [{"name": "main", "image": "app:1", "livenessProbe": probe("alive"), "readinessProbe": probe("ready")}]
    for number in range(count):
        node.api.put(PODS, pod(f"p{number}", uid=f"u{number}", containers=main))
    for _ in range(20):
        await node.advance(0.1)
    assert all(obj["status"]["containerStatuses"][0]["ready"] for obj in node.api.objects.values())
    table = node.manager.probes
    assert table.statistics() == {"containers": count, "waiting": 2 * count}
    tasks = len(asyncio.all_tasks())
    asked = len(commands.calls)
    await node.advance(8)
    assert len(asyncio.all_tasks()) == tasks
    assert len(commands.calls) <= asked + 2 * count
