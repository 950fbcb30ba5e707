"""Connections into another network namespace, over both families of addresses."""

import asyncio
import subprocess
import sys

import pytest

from windlass.plugin.interfaces.runtime import SandboxStatus
from windlass_hostagent.server import dial

pytestmark = pytest.mark.root
SERVER = """
import socket, subprocess, sys
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
listener = socket.create_server((sys.argv[1], 8080), family=socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET)
print("ready", flush=True)
while True:
    connection, _ = listener.accept()
    connection.sendall(b"from inside")
    connection.close()
"""


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_a_port_in_a_namespace_of_its_own(address):
    server = subprocess.Popen(["unshare", "-n", sys.executable, "-c", SERVER, address], stdout=subprocess.PIPE)
    try:
        assert server.stdout.readline() == b"ready\n"
        sandbox = SandboxStatus("s", True, 1.0, {}, netns_path=f"/proc/{server.pid}/ns/net")
        reader, writer = await dial.connect(sandbox, 8080)
        assert await asyncio.wait_for(reader.read(), 20) == b"from inside"
        writer.transport.abort()
        with pytest.raises(OSError):
            await dial.connect(sandbox, 8081)
        await asyncio.sleep(0)
    finally:
        server.kill()
        server.wait(20)
        server.stdout.close()


async def test_a_namespace_that_is_gone():
    with pytest.raises(OSError):
        await dial.connect(SandboxStatus("s", True, 1.0, {}, netns_path="/proc/none/ns/net"), 80)
