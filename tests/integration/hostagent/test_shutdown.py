"""Graceful node shutdown over a real message bus, with a login manager that speaks logind's interface."""

import asyncio
import os
import subprocess

import pytest
from dbus_fast import PropertyAccess
from dbus_fast.aio import MessageBus
from dbus_fast.service import ServiceInterface, dbus_property, method, signal

from windlass.clock import SystemClock
from windlass_hostagent.shutdown.guard import ShutdownGuard
from windlass_hostagent.shutdown.logind import Logind, LogindUnavailableError
from windlass_hostagent.shutdown.plan import ShutdownPolicy

pytestmark = pytest.mark.dbus
HANG_SECONDS = 30


class LoginManager(ServiceInterface):
    """Hands out delay locks and knows when they are let go, as systemd-logind does."""

    def __init__(self):
        super().__init__("org.freedesktop.login1.Manager")
        self.asked = []
        self.locks = []
        self.given = []
        self.locked = asyncio.Event()

    @method()
    def Inhibit(self, what: "s", who: "s", why: "s", mode: "s") -> "h":  # noqa: F821
        self.asked.append((what, who, mode))
        ours, theirs = os.pipe()
        self.locks.append(ours)
        self.given.append(theirs)
        self.locked.set()
        return theirs

    @dbus_property(access=PropertyAccess.READ)
    def InhibitDelayMaxUSec(self) -> "t":  # noqa: F821
        return 5_000_000

    @signal()
    def PrepareForShutdown(self, beginning) -> "b":  # noqa: F821
        return beginning

    async def released(self, node):
        """Return when the node, which has heard the signal and so has its lock, has closed the last one."""
        async with asyncio.timeout(HANG_SECONDS):
            await node.reported.wait()
        while self.given:
            os.close(self.given.pop())
        done = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(self.locks[-1], done.set)
        async with asyncio.timeout(HANG_SECONDS):
            await done.wait()
        loop.remove_reader(self.locks[-1])


@pytest.fixture
def address():
    """A bus of our own."""
    daemon = subprocess.Popen(
        ["dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address=1"], stdout=subprocess.PIPE, text=True
    )
    try:
        yield daemon.stdout.readline().strip()
    finally:
        daemon.terminate()
        daemon.wait(HANG_SECONDS)
        daemon.stdout.close()


@pytest.fixture
async def manager(address):
    bus = await MessageBus(address, negotiate_unix_fd=True).connect()
    service = LoginManager()
    bus.export("/org/freedesktop/login1", service)
    await bus.request_name("org.freedesktop.login1")
    yield service
    bus.disconnect()
    for lock in service.locks:
        os.close(lock)


class Node:
    """Pods that end when the test lets them, and a record of what happened in which order."""

    def __init__(self, address, *pods, grace=30.0):
        self.log = []
        self.let_go = asyncio.Event()
        self.reported = asyncio.Event()
        self.guard = ShutdownGuard(
            ShutdownPolicy(grace, grace / 3), SystemClock(),
            pods=lambda: [pod(*p) for p in pods], terminate=self.terminate, report=self.report, bus_address=address,
        )  # fmt: skip

    async def terminate(self, uid, fate):
        self.log.append((uid, fate.reason))
        await self.let_go.wait()

    async def report(self):
        self.log.append(("report", self.guard.shutting_down))
        self.reported.set()


def pod(name, priority):
    return {"metadata": {"uid": name}, "spec": {"priority": priority}, "status": {"phase": "Running"}}


@pytest.fixture
async def running():
    tasks = []
    yield lambda node: tasks.append(asyncio.ensure_future(node.guard.run()))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def locked(manager):
    async with asyncio.timeout(HANG_SECONDS):
        await manager.locked.wait()
    manager.locked.clear()


async def test_the_shutdown_waits_for_the_pods_and_then_goes_on(address, manager, running):
    node = Node(address, ("critical", 2_000_000_000), ("web", 0))
    running(node)
    await locked(manager)
    assert manager.asked == [("shutdown", "windlass", "delay")]
    node.let_go.set()
    manager.PrepareForShutdown(True)
    await manager.released(node)
    assert node.log == [("report", True), ("web", "Terminated"), ("critical", "Terminated")]


async def test_pods_that_do_not_end_do_not_hold_it_up_for_ever(address, manager, running):
    node = Node(address, ("critical", 2_000_000_000), ("stuck", 0), grace=0.3)
    running(node)
    await locked(manager)
    manager.PrepareForShutdown(True)
    await manager.released(node)
    assert [name for name, _ in node.log] == ["report", "stuck", "critical"]


async def test_a_shutdown_that_is_called_off_opens_the_node_again(address, manager, running):
    node = Node(address)
    running(node)
    await locked(manager)
    manager.PrepareForShutdown(True)
    await manager.released(node)
    assert node.guard.shutting_down
    manager.PrepareForShutdown(False)
    await locked(manager)
    assert not node.guard.shutting_down
    assert len(manager.asked) == 2


async def test_a_bus_without_logind_and_no_bus_at_all(address, tmp_path):
    async with Logind.connect(address) as logind:
        with pytest.raises(LogindUnavailableError, match="Inhibit"):
            await logind.inhibit()
    with pytest.raises(LogindUnavailableError, match="no system bus"):
        async with Logind.connect(f"unix:path={tmp_path}/none"):
            pass
