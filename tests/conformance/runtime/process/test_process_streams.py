"""Exec, attach and terminals of the process runtime. Needs root."""

import asyncio

import pytest

from windlass.errors import RuntimeDriverError
from windlass.plugin.interfaces.runtime import ContainerResources, ContainerState, ExecTimeoutError
from windlass_runtime.process.driver import build

pytestmark = [pytest.mark.root, pytest.mark.busybox]
WAIT_SECONDS = 30


async def drain(stream):
    async with asyncio.timeout(WAIT_SECONDS):
        pieces = [piece async for piece in stream.output()]
        return b"".join(data for _, data in pieces), await stream.wait()


async def test_a_command_with_input_and_both_outputs(box):
    """Exec keeps stdout and stderr apart and gives the command's own exit code."""
    container = await box.start()
    stream = await box.driver.exec(container, ["sh", "-c", "cat; echo bad >&2; exit 9"], stdin=True, tty=False)

    async def send():
        await stream.write(b"a" * 300_000)
        await stream.close_stdin()

    sending = asyncio.ensure_future(send())
    async with asyncio.timeout(WAIT_SECONDS):
        pieces = [piece async for piece in stream.output()]
        await sending
    assert b"".join(data for name, data in pieces if name == "stdout") == b"a" * 300_000
    assert b"".join(data for name, data in pieces if name == "stderr") == b"bad\n"
    assert await stream.wait() == 9
    await stream.close()


async def test_a_terminal_in_a_container(box):
    container = await box.start()
    stream = await box.driver.exec(container, ["sh"], stdin=True, tty=True)
    await stream.resize(101, 37)
    await stream.write(b"busybox stty size; busybox tty; echo $TERM; exit 3\n")
    output, code = await drain(stream)
    await stream.close()
    assert code == 3
    assert b"37 101\r\n/dev/pts/0\r\nxterm\r\n" in output


async def test_a_command_of_a_user_without_rights(box):
    container = await box.start(user="nobody", no_new_privileges=True)
    found = (await box.exec(container, "id -u; cat /proc/self/status; echo x > /new")).output.decode()
    assert found.startswith("65534\n")
    assert "CapEff:\t0000000000000000" in found
    assert "NoNewPrivs:\t1" in found
    assert "Permission denied" in found


async def test_a_command_that_is_not_there(box):
    container = await box.start()
    for command, message in ((["nope"], r"executable file not found in \$PATH"), (["/no/such"], "no such file")):
        with pytest.raises(RuntimeDriverError, match=message):
            await box.driver.exec_sync(container, command, timeout_seconds=WAIT_SECONDS)
    ended = await box.start("exit 0")
    await box.end(ended)
    with pytest.raises(RuntimeDriverError, match="not running"):
        await box.exec(ended, "true")


async def test_a_command_that_takes_too_long_is_killed_with_all_it_started(box):
    """N73: a probe that forks without end, and writes without end."""
    container = await box.start(resources=ContainerResources(pids_limit=200))
    for script in ("while :; do (while :; do :; done) & sleep 0.01; done", "while :; do echo spam; done"):
        with pytest.raises(ExecTimeoutError):
            await box.exec(container, script, timeout_seconds=0.5)
    assert b"while" not in (await box.exec(container, "busybox ps")).output
    assert (await box.driver.container_status(container)).state is ContainerState.RUNNING


async def test_output_of_a_command_is_bounded(box):
    container = await box.start()
    result = await box.driver.exec_sync(
        container,
        ["sh", "-c", "busybox yes | busybox head -c 1000000"],
        timeout_seconds=WAIT_SECONDS,
        max_output_bytes=100,
    )
    assert result.output == b"y\n" * 50


async def test_closing_a_stream_ends_its_command(box):
    container = await box.start()
    stream = await box.driver.exec(container, ["sleep", "1234"], stdin=False, tty=False)
    await stream.close()
    async with asyncio.timeout(WAIT_SECONDS):
        while b"1234" in (await box.exec(container, "busybox ps")).output.replace(b"grep", b""):
            await asyncio.sleep(0.05)


async def test_attached_clients_see_output_and_send_input(box):
    """Attach: with stdin_once the input ends with the first client's."""
    container = await box.start("echo early; cat; exit 5", stdin=True, stdin_once=True)
    watcher = await box.driver.attach(container, stdin=False)
    stream = await box.driver.attach(container, stdin=True)
    await stream.write(b"z" * 200_000)
    await stream.close_stdin()
    output, code = await drain(stream)
    seen, _ = await drain(watcher)
    assert output.endswith(b"z" * 200_000)
    assert seen.endswith(b"z" * 200_000)
    assert code == 5
    await stream.close()
    await watcher.close()


async def test_a_terminal_to_attach_to(box):
    container = await box.start("read line; busybox stty size; echo got $line", stdin=True, tty=True)
    stream = await box.driver.attach(container, stdin=True)
    await stream.resize(77, 33)
    await stream.write(b"hello\n")
    output, code = await drain(stream)
    await stream.close()
    assert b"33 77\r\ngot hello\r\n" in output
    assert code == 0


async def test_an_attached_client_survives_the_agent(box):
    """The shim keeps the streams: another driver attaches to the same container."""
    container = await box.start("cat", stdin=True)
    second = build({"state_dir": str(box.root), "isolated": True})
    await second.start()
    try:
        stream = await second.attach(container, stdin=True)
        await stream.write(b"ping\n")
        async with asyncio.timeout(WAIT_SECONDS):
            assert await anext(aiter(stream.output())) == ("stdout", b"ping\n")
        await stream.close()
        assert (await second.exec_sync(container, ["true"], timeout_seconds=WAIT_SECONDS)).exit_code == 0
    finally:
        await second.close()
