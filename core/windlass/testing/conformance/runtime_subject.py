"""What the suites of container runtimes share: configurations of sandboxes and containers, and waiting for states."""

import asyncio
from typing import Any

import pytest

from windlass.plugin.interfaces.runtime import (
    ContainerConfig,
    ContainerState,
    ContainerStatus,
    ContainerStream,
    RuntimeDriver,
    SandboxConfig,
)

LABELS = {
    "io.kubernetes.pod.name": "web",
    "io.kubernetes.pod.namespace": "default",
    "io.kubernetes.pod.uid": "11111111-2222-3333-4444-555555555555",
}
WAIT_SECONDS = 20.0


class RuntimeSubject:
    """A runtime under test: its flags, and the pods that the tests make in it."""

    image = "busybox:local"
    missing_image = "registry.invalid/no/such:image"
    runs_processes = True
    """Whether commands really run: exit codes, logs and streams are then checked."""
    isolates = True
    """Whether containers are confined: users, capabilities, seccomp and namespaces are then checked."""

    def sandbox(self, *, uid: str = LABELS["io.kubernetes.pod.uid"], attempt: int = 0) -> SandboxConfig:
        """Return the configuration of a sandbox."""
        labels = {**LABELS, "io.kubernetes.pod.uid": uid}
        return SandboxConfig("web", "default", uid, attempt=attempt, hostname="web", labels=labels)

    def container(self, script: str = "sleep 1000", *, name: str = "main", **options: Any) -> ContainerConfig:
        """Return the configuration of a container that runs a shell script."""
        chosen = {"attempt": 0, "labels": {**LABELS, "io.kubernetes.container.name": name}, **options}
        return ContainerConfig(name=name, image=self.image, command=["sh", "-c", script], **chosen)

    async def run(self, driver: RuntimeDriver, sandbox_id: str, config: ContainerConfig) -> str:
        """Create and start a container."""
        container_id = await driver.create_container(sandbox_id, config)
        await driver.start_container(container_id)
        return container_id

    async def wait_state(self, driver: RuntimeDriver, container_id: str, state: ContainerState) -> ContainerStatus:
        """Wait until a container is in a state."""
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                status = await driver.container_status(container_id)
                if status is not None and status.state is state:
                    return status
                await asyncio.sleep(0.02)

    def needs_processes(self) -> None:
        """Skip where nothing really runs."""
        if not self.runs_processes:
            pytest.skip("runs no processes")

    def needs_isolation(self) -> None:
        """Skip where nothing is confined."""
        if not (self.runs_processes and self.isolates):
            pytest.skip("confines nothing")

    async def output_of(self, driver: RuntimeDriver, container_id: str) -> str:
        """Wait for a container's end and return what it wrote."""
        await self.wait_state(driver, container_id, ContainerState.EXITED)
        lines = [line.content async for line in driver.container_logs(container_id, follow=True)]
        return b"".join(lines).decode()

    async def read_all(self, stream: ContainerStream) -> dict[str, bytes]:
        """Read a stream to its end."""
        found = {"stdout": b"", "stderr": b""}
        async with asyncio.timeout(WAIT_SECONDS):
            async for name, data in stream.output():
                found[name] += data
        return found
