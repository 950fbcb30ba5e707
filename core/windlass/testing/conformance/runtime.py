"""What every container runtime has to do. A driver's tests subclass `RuntimeConformance` and give it a driver.

    class TestMyRuntime(RuntimeConformance):
        @pytest.fixture
        async def driver(self):
            driver = MyDriver()
            await driver.start()
            yield driver
            await driver.close()

Set `image` to one that is local, and the flags to what the driver can do; a flag that is False skips, and says so.
"""

import asyncio

import pytest

from windlass.errors import RuntimeDriverError
from windlass.plugin.interfaces.runtime import (
    ContainerConfig,
    ContainerState,
    RuntimeDriver,
    RuntimeEvent,
)
from windlass.testing.conformance.runtime_security import RuntimeSecurityConformance
from windlass.testing.conformance.runtime_streams import RuntimeStreamsConformance
from windlass.testing.conformance.runtime_subject import LABELS, WAIT_SECONDS


class RuntimeConformance(RuntimeStreamsConformance, RuntimeSecurityConformance):
    """The suite. Every test makes what it needs and removes it."""

    async def test_status_names_the_runtime(self, driver: RuntimeDriver) -> None:
        """`status` says ready, with a name and a version."""
        status = await driver.status()
        assert status.ready
        assert status.name
        assert status.version

    async def test_a_sandbox_is_ready_and_carries_its_labels(self, driver: RuntimeDriver) -> None:
        """A sandbox runs at once and is found by its labels."""
        sandbox_id = await driver.run_pod_sandbox(self.sandbox())
        try:
            status = await driver.pod_sandbox_status(sandbox_id)
            assert status is not None
            assert status.ready
            assert LABELS.items() <= status.labels.items()
            assert sandbox_id in [s.id for s in await driver.list_pod_sandboxes()]
        finally:
            await driver.remove_pod_sandbox(sandbox_id)

    async def test_the_same_sandbox_twice_is_one(self, driver: RuntimeDriver) -> None:
        """`run_pod_sandbox` is idempotent; another attempt is another sandbox."""
        first = await driver.run_pod_sandbox(self.sandbox())
        again = await driver.run_pod_sandbox(self.sandbox())
        other = await driver.run_pod_sandbox(self.sandbox(attempt=1))
        try:
            assert first == again
            assert other != first
        finally:
            await driver.remove_pod_sandbox(first)
            await driver.remove_pod_sandbox(other)

    async def test_a_container_goes_from_created_to_running_to_exited(self, driver: RuntimeDriver) -> None:
        """States come in CRI's order, with their times."""
        sandbox_id = await driver.run_pod_sandbox(self.sandbox())
        try:
            container_id = await driver.create_container(sandbox_id, self.container())
            created = await driver.container_status(container_id)
            assert created is not None
            assert created.state is ContainerState.CREATED
            assert created.started_at == 0
            await driver.start_container(container_id)
            running = await self.wait_state(driver, container_id, ContainerState.RUNNING)
            assert running.started_at > 0
            assert running.finished_at == 0
            assert running.sandbox_id == sandbox_id
            assert running.name == "main"
            await driver.stop_container(container_id, 0)
            exited = await self.wait_state(driver, container_id, ContainerState.EXITED)
            assert exited.exit_code != 0
            assert exited.reason
            assert exited.finished_at >= exited.started_at
        finally:
            await driver.remove_pod_sandbox(sandbox_id)

    async def test_the_same_container_twice_is_one(self, driver: RuntimeDriver) -> None:
        """`create_container` and `start_container` are idempotent; another attempt is another container."""
        sandbox_id = await driver.run_pod_sandbox(self.sandbox())
        try:
            first = await self.run(driver, sandbox_id, self.container())
            again = await self.run(driver, sandbox_id, self.container())
            other = await driver.create_container(sandbox_id, self.container(attempt=1))
            assert first == again
            assert other != first
            attempts = {c.attempt for c in await driver.list_containers(sandbox_id)}
            assert attempts == {0, 1}
        finally:
            await driver.remove_pod_sandbox(sandbox_id)

    async def test_lists_are_by_sandbox(self, driver: RuntimeDriver) -> None:
        """`list_containers` gives one sandbox's containers, or all."""
        one = await driver.run_pod_sandbox(self.sandbox())
        two = await driver.run_pod_sandbox(self.sandbox(uid="99999999-0000-0000-0000-000000000000"))
        try:
            first = await driver.create_container(one, self.container())
            second = await driver.create_container(
                two, self.container(labels={**LABELS, "io.kubernetes.pod.uid": "99999999-0000-0000-0000-000000000000"})
            )
            assert [c.id for c in await driver.list_containers(one)] == [first]
            assert {first, second} <= {c.id for c in await driver.list_containers()}
        finally:
            await driver.remove_pod_sandbox(one)
            await driver.remove_pod_sandbox(two)

    async def test_stopping_a_sandbox_stops_what_runs_in_it(self, driver: RuntimeDriver) -> None:
        """`stop_pod_sandbox` ends the containers and keeps their records."""
        sandbox_id = await driver.run_pod_sandbox(self.sandbox())
        try:
            container_id = await self.run(driver, sandbox_id, self.container())
            await driver.stop_pod_sandbox(sandbox_id)
            status = await driver.pod_sandbox_status(sandbox_id)
            assert status is not None
            assert not status.ready
            await self.wait_state(driver, container_id, ContainerState.EXITED)
            await driver.stop_pod_sandbox(sandbox_id)
        finally:
            await driver.remove_pod_sandbox(sandbox_id)

    async def test_removing_a_sandbox_leaves_nothing(self, driver: RuntimeDriver) -> None:
        """`remove_pod_sandbox` removes running containers too, and may be repeated."""
        sandbox_id = await driver.run_pod_sandbox(self.sandbox())
        container_id = await self.run(driver, sandbox_id, self.container())
        await driver.remove_pod_sandbox(sandbox_id)
        await driver.remove_pod_sandbox(sandbox_id)
        assert await driver.pod_sandbox_status(sandbox_id) is None
        assert await driver.container_status(container_id) is None

    async def test_unknown_ids_are_fine_where_nothing_is_to_be_done(self, driver: RuntimeDriver) -> None:
        """Stops, removals and status of what never was do nothing."""
        unknown = "f" * 64
        await driver.stop_container(unknown, 1)
        await driver.remove_container(unknown)
        await driver.stop_pod_sandbox(unknown)
        await driver.remove_pod_sandbox(unknown)
        assert await driver.container_status(unknown) is None
        assert await driver.pod_sandbox_status(unknown) is None

    async def test_an_unknown_container_does_not_start(self, driver: RuntimeDriver) -> None:
        """`start_container` of nothing is an error."""
        with pytest.raises(RuntimeDriverError):
            await driver.start_container("f" * 64)

    async def test_images(self, driver: RuntimeDriver) -> None:
        """A local image is described, a missing one is None and cannot be pulled (ErrImagePull)."""
        if await driver.image_status(self.image) is None:
            await driver.pull_image(self.image)
        assert await driver.image_status(self.image) is not None
        assert await driver.image_status(self.missing_image) is None
        with pytest.raises(RuntimeDriverError) as caught:
            await driver.pull_image(self.missing_image)
        assert caught.value.reason == "ErrImagePull"

    async def test_events_tell_of_start_and_end(self, driver: RuntimeDriver) -> None:
        """A started and a stopped event come for a container that ran and ended."""
        seen: list[RuntimeEvent] = []

        async def follow() -> None:
            async for event in driver.events():
                seen.append(event)
                if (event.type, event.container_id) == ("stopped", container_id):
                    return

        sandbox_id = await driver.run_pod_sandbox(self.sandbox())
        container_id = await driver.create_container(sandbox_id, self.container())
        follower = asyncio.ensure_future(follow())
        try:
            await asyncio.sleep(0.1)
            await driver.start_container(container_id)
            await driver.stop_container(container_id, 0)
            async with asyncio.timeout(WAIT_SECONDS):
                await follower
            assert RuntimeEvent("stopped", sandbox_id, container_id) in seen
        finally:
            follower.cancel()
            await asyncio.gather(follower, return_exceptions=True)
            await driver.remove_pod_sandbox(sandbox_id)

    async def test_exit_codes(self, driver: RuntimeDriver) -> None:
        """C232, C250: 0 is Completed, anything else Error, with the program's own code."""
        self.needs_processes()
        sandbox_id = await driver.run_pod_sandbox(self.sandbox())
        try:
            for code, reason in ((0, "Completed"), (3, "Error")):
                config = self.container(f"exit {code}", attempt=code)
                container_id = await self.run(driver, sandbox_id, config)
                status = await self.wait_state(driver, container_id, ContainerState.EXITED)
                assert (status.exit_code, status.reason) == (code, reason)
        finally:
            await driver.remove_pod_sandbox(sandbox_id)

    async def test_a_command_that_does_not_exist(self, driver: RuntimeDriver) -> None:
        """A start that fails says why, and the container counts as ended (StartError)."""
        self.needs_processes()
        sandbox_id = await driver.run_pod_sandbox(self.sandbox())
        try:
            config = ContainerConfig("main", 0, self.image, command=["/no/such/program"], labels=LABELS)
            container_id = await driver.create_container(sandbox_id, config)
            with pytest.raises(RuntimeDriverError):
                await driver.start_container(container_id)
            status = await driver.container_status(container_id)
            assert status is not None
            assert (status.state, status.reason) == (ContainerState.EXITED, "StartError")
        finally:
            await driver.remove_pod_sandbox(sandbox_id)

    async def test_environment_and_logs(self, driver: RuntimeDriver) -> None:
        """C248: what is written to both streams is read back, in order, with the environment that was given."""
        self.needs_processes()
        sandbox_id = await driver.run_pod_sandbox(self.sandbox())
        try:
            script = 'echo "one $COLOUR"; echo two >&2; echo three'
            container_id = await self.run(driver, sandbox_id, self.container(script, env={"COLOUR": "green"}))
            await self.wait_state(driver, container_id, ContainerState.EXITED)
            lines = [line async for line in driver.container_logs(container_id, follow=True)]
            assert {line.content.strip() for line in lines} == {b"one green", b"two", b"three"}
            assert {line.stream for line in lines} == {"stdout", "stderr"}
            assert all(line.timestamp.endswith("Z") for line in lines)
            tail = [line async for line in driver.container_logs(container_id, follow=False, tail=1)]
            assert len(tail) == 1
            future = lines[-1].timestamp
            assert future
            late = [line async for line in driver.container_logs(container_id, follow=False, since=4e9)]
            assert late == []
        finally:
            await driver.remove_pod_sandbox(sandbox_id)

    async def test_a_program_that_heeds_term_ends_in_time(self, driver: RuntimeDriver) -> None:
        """`stop_container` asks first: the program's own exit code is kept."""
        self.needs_processes()
        sandbox_id = await driver.run_pod_sandbox(self.sandbox())
        try:
            script = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done"
            container_id = await self.run(driver, sandbox_id, self.container(script))
            async for line in driver.container_logs(container_id, follow=True):
                assert line.content.strip() == b"ready"
                break
            await driver.stop_container(container_id, 10)
            status = await self.wait_state(driver, container_id, ContainerState.EXITED)
            assert status.exit_code == 7
        finally:
            await driver.remove_pod_sandbox(sandbox_id)
