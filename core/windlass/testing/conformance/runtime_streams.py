"""What every container runtime owes to exec, attach and measuring. Part of `RuntimeConformance`."""

import asyncio
import threading
import uuid

import pytest

from windlass.errors import RuntimeDriverError
from windlass.plugin.interfaces.runtime import ContainerState, ExecTimeoutError, RuntimeDriver
from windlass.testing.conformance.runtime_subject import WAIT_SECONDS, RuntimeSubject

IDLE_STREAMS = 20
BIG = 2_000_000


class RuntimeStreamsConformance(RuntimeSubject):
    """Commands in containers, connections to them, and what they use."""

    async def ended(self, driver: RuntimeDriver, container_id: str, pid_file: str) -> bool:
        """Say whether the process whose number a file holds is gone, waiting for it a while."""
        command = ["sh", "-c", f"p=$(cat {pid_file}) && ! kill -0 $p"]
        for _ in range(100):
            if (await driver.exec_sync(container_id, command, timeout_seconds=WAIT_SECONDS)).exit_code == 0:
                return True
            await asyncio.sleep(0.05)
        return False

    async def test_exec_sync_returns_code_and_output(self, driver: RuntimeDriver) -> None:
        """Both streams are in the output, which is cut at its bound; the command ends by itself."""
        self.needs_processes()
        sandbox_id = await driver.run_pod_sandbox(self.sandbox())
        try:
            container_id = await self.run(driver, sandbox_id, self.container())
            command = ["sh", "-c", "echo one; echo two >&2; exit 3"]
            done = await driver.exec_sync(container_id, command, timeout_seconds=WAIT_SECONDS)
            assert done.exit_code == 3
            assert sorted(done.output.split()) == [b"one", b"two"]
            endless = ["sh", "-c", "i=0; while [ $i -lt 2000 ]; do echo 0123456789; i=$((i+1)); done"]
            bounded = await driver.exec_sync(container_id, endless, timeout_seconds=WAIT_SECONDS, max_output_bytes=1000)
            assert (bounded.exit_code, len(bounded.output)) == (0, 1000)
        finally:
            await driver.remove_pod_sandbox(sandbox_id)

    async def test_a_command_that_takes_too_long_is_killed(self, driver: RuntimeDriver) -> None:
        """A probe's command leaves no process behind, even one that ignores polite signals."""
        self.needs_processes()
        sandbox_id = await driver.run_pod_sandbox(self.sandbox())
        pid_file = f"/tmp/exec-{uuid.uuid4().hex}"  # noqa: S108 - in the container
        try:
            container_id = await self.run(driver, sandbox_id, self.container())
            command = ["sh", "-c", f"trap '' HUP TERM; echo $$ > {pid_file}; while :; do sleep 0.1; done"]
            with pytest.raises(ExecTimeoutError):
                await driver.exec_sync(container_id, command, timeout_seconds=1)
            assert await self.ended(driver, container_id, pid_file)
        finally:
            await driver.remove_pod_sandbox(sandbox_id)

    async def test_nothing_is_run_in_what_does_not_run(self, driver: RuntimeDriver) -> None:
        """Exec and attach need a running container."""
        self.needs_processes()
        sandbox_id = await driver.run_pod_sandbox(self.sandbox())
        try:
            container_id = await driver.create_container(sandbox_id, self.container())
            with pytest.raises(RuntimeDriverError):
                await driver.exec_sync(container_id, ["true"], timeout_seconds=5)
            with pytest.raises(RuntimeDriverError):
                await driver.exec("f" * 64, ["true"], stdin=False, tty=False)
            with pytest.raises(RuntimeDriverError):
                await driver.attach(container_id, stdin=False)
        finally:
            await driver.remove_pod_sandbox(sandbox_id)

    async def test_exec_carries_stdin_both_outputs_and_the_code(self, driver: RuntimeDriver) -> None:
        """What is written comes back whole, after stdin has ended; stderr stays apart."""
        self.needs_processes()
        sandbox_id = await driver.run_pod_sandbox(self.sandbox())
        try:
            container_id = await self.run(driver, sandbox_id, self.container())
            command = ["sh", "-c", "cat; echo end >&2; exit 4"]
            stream = await driver.exec(container_id, command, stdin=True, tty=False)
            reading = asyncio.ensure_future(self.read_all(stream))
            await stream.write(b"x" * BIG)
            await stream.close_stdin()
            found = await reading
            assert (len(found["stdout"]), found["stderr"]) == (BIG, b"end\n")
            assert await stream.wait() == 4
            await stream.close()
            await stream.close()
        finally:
            await driver.remove_pod_sandbox(sandbox_id)

    async def test_a_terminal_has_the_size_that_it_was_given(self, driver: RuntimeDriver) -> None:
        """With a tty everything is stdout, and `resize` sets its size."""
        self.needs_processes()
        sandbox_id = await driver.run_pod_sandbox(self.sandbox())
        try:
            container_id = await self.run(driver, sandbox_id, self.container())
            command = ["sh", "-c", "read go; test -t 0 && busybox stty size; echo err >&2"]
            stream = await driver.exec(container_id, command, stdin=True, tty=True)
            reading = asyncio.ensure_future(self.read_all(stream))
            await stream.resize(101, 42)
            await stream.write(b"go\n")
            found = await reading
            assert b"42 101" in found["stdout"]
            assert b"err" in found["stdout"]
            assert found["stderr"] == b""
            assert await stream.wait() == 0
            await stream.close()
        finally:
            await driver.remove_pod_sandbox(sandbox_id)

    async def test_closing_an_exec_ends_its_process(self, driver: RuntimeDriver) -> None:
        """A client that goes away leaves no process, even one that ignores the hang-up."""
        self.needs_processes()
        sandbox_id = await driver.run_pod_sandbox(self.sandbox())
        pid_file = f"/tmp/exec-{uuid.uuid4().hex}"  # noqa: S108 - in the container
        try:
            container_id = await self.run(driver, sandbox_id, self.container())
            script = f"trap '' HUP; echo $$ > {pid_file}; echo ready; while :; do sleep 0.1; done"
            stream = await driver.exec(container_id, ["sh", "-c", script], stdin=True, tty=False)
            async with asyncio.timeout(WAIT_SECONDS):
                async for _, data in stream.output():
                    assert data == b"ready\n"
                    break
            await stream.close()
            assert await self.ended(driver, container_id, pid_file)
        finally:
            await driver.remove_pod_sandbox(sandbox_id)

    async def test_attach_speaks_with_the_first_process(self, driver: RuntimeDriver) -> None:
        """`stdin_once`: stdin ends with the client's, the container's own code is returned."""
        self.needs_processes()
        sandbox_id = await driver.run_pod_sandbox(self.sandbox())
        try:
            script = "while read line; do echo got $line; done; exit 5"
            config = self.container(script, stdin=True, stdin_once=True)
            container_id = await self.run(driver, sandbox_id, config)
            stream = await driver.attach(container_id, stdin=True)
            reading = asyncio.ensure_future(self.read_all(stream))
            await stream.write(b"one\ntwo\n")
            await stream.close_stdin()
            assert (await reading)["stdout"] == b"got one\ngot two\n"
            assert await stream.wait() == 5
            await stream.close()
        finally:
            await driver.remove_pod_sandbox(sandbox_id)

    async def test_a_container_outlives_who_attached(self, driver: RuntimeDriver) -> None:
        """`close` only detaches, and another may attach."""
        self.needs_processes()
        sandbox_id = await driver.run_pod_sandbox(self.sandbox())
        try:
            config = self.container("while read line; do echo got $line; done", stdin=True)
            container_id = await self.run(driver, sandbox_id, config)
            for word in (b"one", b"two"):
                stream = await driver.attach(container_id, stdin=True)
                await stream.write(word + b"\n")
                async with asyncio.timeout(WAIT_SECONDS):
                    async for _, data in stream.output():
                        assert data == b"got " + word + b"\n"
                        break
                await stream.close()
            await self.wait_state(driver, container_id, ContainerState.RUNNING)
        finally:
            await driver.remove_pod_sandbox(sandbox_id)

    async def test_idle_streams_hold_no_threads(self, driver: RuntimeDriver) -> None:
        """Many shells that nobody types into cost next to nothing."""
        self.needs_processes()
        sandbox_id = await driver.run_pod_sandbox(self.sandbox())
        try:
            container_id = await self.run(driver, sandbox_id, self.container())
            await driver.exec_sync(container_id, ["true"], timeout_seconds=WAIT_SECONDS)
            before = threading.active_count()
            streams = [await driver.exec(container_id, ["cat"], stdin=True, tty=False) for _ in range(IDLE_STREAMS)]
            assert threading.active_count() - before < IDLE_STREAMS // 2
            await asyncio.gather(*(stream.close_stdin() for stream in streams))
            await asyncio.gather(*(self.read_all(stream) for stream in streams))
            assert {await stream.wait() for stream in streams} == {0}
            await asyncio.gather(*(stream.close() for stream in streams))
        finally:
            await driver.remove_pod_sandbox(sandbox_id)

    async def test_stats_measure_what_runs(self, driver: RuntimeDriver) -> None:
        """Running containers are measured under their labels, ended ones are not."""
        sandbox_id = await driver.run_pod_sandbox(self.sandbox())
        try:
            container_id = await self.run(driver, sandbox_id, self.container())
            (found,) = [s for s in await driver.container_stats() if s.container_id == container_id]
            assert found.name == "main"
            assert found.labels["io.kubernetes.pod.name"] == "web"
            assert found.timestamp > 0
            if self.runs_processes and self.isolates:
                assert found.cpu_usage_nanoseconds > 0
                assert found.memory_usage_bytes >= found.memory_working_set_bytes > 0
                assert found.pids >= 1
            await driver.stop_container(container_id, 0)
            await self.wait_state(driver, container_id, ContainerState.EXITED)
            assert container_id not in [s.container_id for s in await driver.container_stats()]
        finally:
            await driver.remove_pod_sandbox(sandbox_id)
