"""A sandbox of the process runtime, with namespaces of its own."""

import asyncio
import io
import tarfile

import pytest

from windlass.plugin.interfaces.runtime import ContainerConfig, SandboxConfig
from windlass.testing.dockerd import busybox_layer
from windlass_runtime.process.driver import build

WAIT_SECONDS = 30


class Box:
    """A driver with one sandbox at a time, and short words for what the tests do with it."""

    def __init__(self, driver, root):
        self.driver = driver
        self.root = root
        self.sandbox = ""
        self.count = 0

    async def pod(self, **options):
        self.count += 1
        self.sandbox = await self.driver.run_pod_sandbox(
            SandboxConfig("web", "default", f"uid-{self.count}", hostname="web", **options)
        )
        return self.sandbox

    async def start(self, script="exec sleep 1000", **options):
        self.count += 1
        if not self.sandbox:
            await self.pod()
        chosen = {"image": "busybox:local", "command": ["sh", "-c", script], **options}
        container = await self.driver.create_container(self.sandbox, ContainerConfig(f"c{self.count}", 0, **chosen))
        await self.driver.start_container(container)
        return container

    async def end(self, container):
        async with asyncio.timeout(WAIT_SECONDS):
            await self.driver._watch.wait(container)
        return await self.driver.container_status(container)

    async def output(self, container):
        await self.end(container)
        return b"".join([line.content async for line in self.driver.container_logs(container, follow=False)]).decode()

    async def run(self, script, **options):
        return (await self.output(await self.start(script, **options))).strip()

    async def exec(self, container, script, timeout_seconds=WAIT_SECONDS):
        return await self.driver.exec_sync(container, ["sh", "-c", script], timeout_seconds=timeout_seconds)


@pytest.fixture
async def box(tmp_path):
    rootfs = tmp_path / "images" / "busybox%3Alocal" / "rootfs"
    rootfs.mkdir(parents=True)
    with tarfile.open(fileobj=io.BytesIO(busybox_layer())) as tar:
        tar.extractall(rootfs, filter="fully_trusted")
    driver = build({"state_dir": str(tmp_path), "isolated": True})
    await driver.start()
    yield Box(driver, tmp_path)
    for sandbox in await driver.list_pod_sandboxes():
        await driver.remove_pod_sandbox(sandbox.id)
    await driver.close()
