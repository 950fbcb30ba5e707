"""Connect to a port inside a pod: from its network namespace, to its loopback address, whatever the pod listens on there."""

import asyncio
import ctypes
import os
import socket
import threading
from collections.abc import Callable

from windlass.errors import RuntimeDriverError
from windlass.plugin.interfaces.runtime import SandboxStatus

CLONE_NEWNET = 0x40000000
CONNECT_SECONDS = 10.0
BUFFER_BYTES = 64 * 1024
ADDRESSES = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def connect(sandbox: SandboxStatus, port: int) -> Connection:
    """Connect to a port of a pod. Raises RuntimeDriverError when the pod has no network of this machine, OSError else."""
    if not sandbox.netns_path and sandbox.ips:
        raise RuntimeDriverError("the pod has no network on this machine, so no port of it can be forwarded")
    refused: OSError | None = None
    for family, address in ADDRESSES:
        try:
            return await _connect(sandbox.netns_path, family, address, port)
        except OSError as error:
            refused = refused or error
    raise refused or OSError("no address")


async def _connect(netns_path: str, family: int, address: str, port: int) -> Connection:
    made = await _make(netns_path, family)
    try:
        made.setblocking(False)
        async with asyncio.timeout(CONNECT_SECONDS):
            await asyncio.get_running_loop().sock_connect(made, (address, port))
        return await asyncio.open_connection(sock=made, limit=BUFFER_BYTES)
    except BaseException:
        made.close()
        raise


async def _make(netns_path: str, family: int) -> socket.socket:
    """Make the socket in a thread; one that nobody waits for any more is closed when it comes."""
    making = asyncio.ensure_future(asyncio.to_thread(socket_in, netns_path, family))
    try:
        return await asyncio.shield(making)
    except asyncio.CancelledError:
        making.add_done_callback(_close_late)
        raise


def _close_late(making: "asyncio.Future[socket.socket]") -> None:
    if not making.cancelled() and making.exception() is None:
        making.result().close()


def socket_in(netns_path: str, family: int) -> socket.socket:
    """Return a TCP socket that belongs to a network namespace; '' means this one. Raises OSError. May block.

    A socket stays in the namespace in which it was made. A thread of its own enters it and ends with it, so that no
    other code ever runs in there.
    """
    if not netns_path:
        return socket.socket(family, socket.SOCK_STREAM)
    made: list[socket.socket] = []
    failed: list[OSError] = []

    def make() -> None:
        try:
            _enter(netns_path)
            made.append(socket.socket(family, socket.SOCK_STREAM))
        except OSError as error:
            failed.append(error)

    thread = threading.Thread(target=make, name="netns-socket")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return made[0]


def _enter(netns_path: str) -> None:
    setns: Callable[[int, int], int] = ctypes.CDLL(None, use_errno=True).setns
    descriptor = os.open(netns_path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if setns(descriptor, CLONE_NEWNET):
            number = ctypes.get_errno()
            raise OSError(number, f"cannot enter the network namespace {netns_path}: {os.strerror(number)}")
    finally:
        os.close(descriptor)
