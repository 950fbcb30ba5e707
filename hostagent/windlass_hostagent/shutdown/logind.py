"""systemd-logind over D-Bus: hears of the machine's shutdown, and delays it while pods end."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from dbus_fast import BusType, Message, MessageType
from dbus_fast.aio import MessageBus
from dbus_fast.errors import DBusError


class Target(NamedTuple):
    """Where a D-Bus call goes."""

    destination: str
    path: str
    interface: str


MANAGER = Target("org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager")
PROPERTIES = MANAGER._replace(interface="org.freedesktop.DBus.Properties")
BUS = Target("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus")
MATCH = f"type='signal',interface='{MANAGER.interface}',member='PrepareForShutdown',path='{MANAGER.path}'"


class LogindUnavailableError(Exception):
    """There is no logind to ask: a machine without systemd, or one whose bus is away."""


class Logind:
    """One connection to logind. `address` is the bus's, empty for the system bus."""

    def __init__(self, bus: MessageBus) -> None:
        self._bus = bus
        self._lock = -1
        self._announced: asyncio.Queue[bool] = asyncio.Queue()
        bus.add_message_handler(self._on_message)

    @classmethod
    @asynccontextmanager
    async def connect(cls, address: str = "") -> AsyncIterator["Logind"]:
        """Connect and listen. Raises LogindUnavailableError."""
        try:
            bus = await MessageBus(address or None, bus_type=BusType.SYSTEM, negotiate_unix_fd=True).connect()
        except (OSError, DBusError) as error:
            raise LogindUnavailableError(f"no system bus: {error}") from error
        try:
            logind = cls(bus)
            await logind._call(BUS, "AddMatch", [MATCH])
            yield logind
        finally:
            logind.release()
            bus.disconnect()

    async def inhibit(self) -> None:
        """Take a delay lock: a shutdown waits for its release, up to logind's own limit (InhibitDelayMaxSec)."""
        what = ["shutdown", "windlass", "pods are given time to end", "delay"]
        answer = await self._call(MANAGER, "Inhibit", what)
        self._lock = answer.unix_fds[0]

    async def max_delay_seconds(self) -> float:
        """Return how long logind lets a lock delay the shutdown."""
        answer = await self._call(PROPERTIES, "Get", [MANAGER.interface, "InhibitDelayMaxUSec"])
        return float(answer.body[0].value) / 1_000_000

    async def announcements(self) -> AsyncIterator[bool]:
        """Yield True when a shutdown begins, False when it was called off. Raises LogindUnavailableError at its end."""
        lost = asyncio.ensure_future(self._bus.wait_for_disconnect())  # type: ignore[no-untyped-call]
        try:
            while True:
                heard = asyncio.ensure_future(self._announced.get())
                await asyncio.wait({heard, lost}, return_when=asyncio.FIRST_COMPLETED)
                if not heard.done():
                    heard.cancel()
                    raise LogindUnavailableError("the connection to the system bus has ended")
                yield heard.result()
        finally:
            lost.cancel()

    def release(self) -> None:
        """Let a shutdown go on. Safe to repeat."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _on_message(self, message: Message) -> None:
        if message.message_type is MessageType.SIGNAL and message.member == "PrepareForShutdown":
            self._announced.put_nowait(bool(message.body[0]))

    async def _call(self, target: Target, member: str, body: list[str]) -> Message:
        """Call a method whose parameters are all strings. Raises LogindUnavailableError."""
        message = Message(**target._asdict(), member=member, signature="s" * len(body), body=body)
        try:
            answer = await self._bus.call(message)
        except (OSError, DBusError) as error:
            raise LogindUnavailableError(f"{member}: {error}") from error
        if answer is None or answer.message_type is MessageType.ERROR:
            said = answer.body[0] if answer and answer.body else "no answer"
            raise LogindUnavailableError(f"{member}: {said}")
        return answer
