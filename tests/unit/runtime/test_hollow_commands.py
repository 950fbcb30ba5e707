"""The hollow runtime's made-up commands, streams, figures and imports."""

import asyncio

import pytest
from saved_images import Saved, docker_archive, layer

from windlass.errors import RuntimeDriverError
from windlass.plugin.interfaces.runtime import ContainerConfig, ExecTimeoutError, SandboxConfig
from windlass.testing.clock import FakeClock
from windlass_runtime.archive import ArchiveError
from windlass_runtime.hollow.driver import build

P = "hollow.windlass.dev/"


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
async def start(clock):
    driver = build({"clock": clock, "local_images": ["app"]})

    async def start(annotations=None, **options):
        pod = SandboxConfig("web", "default", "u1", annotations={P + k: v for k, v in (annotations or {}).items()})
        sandbox = await driver.run_pod_sandbox(pod)
        container = await driver.create_container(sandbox, ContainerConfig("main", 0, "app", **options))
        await driver.start_container(container)
        return driver, container

    return start


async def test_commands_succeed_unless_told(start):
    driver, container = await start()
    assert (await driver.exec_sync(container, ["true"], timeout_seconds=1)).exit_code == 0


async def test_exit_codes_and_output_by_program(start):
    """Exec probes and hooks meet these."""
    driver, container = await start({"exec-exit-code": "3", "exec-exit-code.ready": "0", "exec-output": "hello"})
    result = await driver.exec_sync(container, ["/bin/probe"], timeout_seconds=1, max_output_bytes=4)
    assert (result.exit_code, result.output) == (3, b"hell")
    assert (await driver.exec_sync(container, ["/usr/bin/ready"], timeout_seconds=1)).exit_code == 0


async def test_a_command_that_takes_too_long(start, clock):
    driver, container = await start({"exec-seconds": "60"})
    running = asyncio.ensure_future(driver.exec_sync(container, ["slow"], timeout_seconds=5))
    async with asyncio.timeout(20):
        while not running.done():
            await asyncio.sleep(0)
            await clock.advance(1)
    with pytest.raises(ExecTimeoutError):
        running.result()


async def test_verbs_fail_as_told(start):
    driver, container = await start({"fail-exec-sync": "Broken"})
    with pytest.raises(RuntimeDriverError) as caught:
        await driver.exec_sync(container, ["x"], timeout_seconds=1)
    assert caught.value.reason == "Broken"


async def test_a_stream_echoes_its_input(start):
    driver, container = await start({"exec-output": "a\n", "exec-exit-code": "4"})
    stream = await driver.exec(container, ["cat"], stdin=True, tty=True)
    await stream.resize(80, 24)
    await stream.write(b"typed")
    await stream.close_stdin()
    assert [piece async for piece in stream.output()] == [("stdout", b"a\r\n"), ("stdout", b"typed")]
    assert await stream.wait() == 4
    assert stream.sizes == [(80, 24)]
    await stream.close()


async def test_attach_ends_with_the_container(start):
    driver, container = await start()
    stream = await driver.attach(container, stdin=False)
    waiting = asyncio.ensure_future(stream.wait())
    await asyncio.sleep(0)
    await driver.stop_container(container, 0)
    async with asyncio.timeout(20):
        assert await waiting != 0
    with pytest.raises(RuntimeDriverError):
        await driver.attach(container, stdin=False)


async def test_figures_are_made_up(start):
    driver, _ = await start(
        {"cpu-millis": "500", "memory-bytes": "1000", "rootfs-bytes.main": "7", "log-bytes.other": "9"}
    )
    (figures,) = await driver.container_stats()
    assert (figures.memory_working_set_bytes, figures.rootfs_bytes, figures.log_bytes) == (1000, 7, 0)


async def test_imports_bring_names(start, tmp_path):
    driver, _ = await start()
    path = tmp_path / "image.tar"
    path.write_bytes(docker_archive(Saved([layer()], ["web"])))
    assert await driver.import_images(str(path)) == ["web:latest"]
    assert await driver.image_status("web") is not None
    path.write_bytes(b"nonsense")
    with pytest.raises(ArchiveError):
        await driver.import_images(str(path))
