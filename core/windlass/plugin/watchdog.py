"""Notices that the event loop does not turn, and names whose code holds it.

Code that runs in the loop cannot be interrupted; but a thread can see where it stands. The finding is logged and
counted, and leadership passes on because the Lease is not renewed meanwhile.
"""

import asyncio
import sys
import threading
from collections.abc import Callable
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from prometheus_client import Counter

from windlass.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Iterator

STALL_SECONDS = 5.0
STACK_LINES = 6
STALLS = Counter(
    "windlass_event_loop_stalls", "Times that the event loop stood still, by whose code held it.", ["plugin"]
)
log = get_logger(__name__)


class LoopWatchdog:
    """Watches the loop of the thread that makes it. `owner_of` names the plugin of a module, '' when it has none."""

    def __init__(
        self,
        owner_of: Callable[[str], str],
        on_stall: Callable[[str, str], None],
        seconds: float = STALL_SECONDS,
    ) -> None:
        self._owner_of = owner_of
        self._on_stall = on_stall
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._thread_id = threading.get_ident()
        self._stopped = threading.Event()
        self._turned = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True, name="loop-watchdog")

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End. Does not wait for the thread, which is a daemon."""
        self._stopped.set()
        self._turned.set()

    def _watch(self) -> None:
        while not self._stopped.wait(self._seconds):
            self._turned.clear()
            try:
                self._loop.call_soon_threadsafe(self._turned.set)
            except RuntimeError:
                return  # the loop has been closed
            if not self._turned.wait(self._seconds):
                self._report()
                self._turned.wait()

    def _report(self) -> None:
        frame = sys._current_frames().get(self._thread_id)  # noqa: SLF001 - the documented way to see another thread
        stack: list[str] = []
        owner = place = ""
        while frame is not None:
            stack.append(_place(frame))
            if not owner and (owner := self._owner_of(str(frame.f_globals.get("__name__", "")))):
                place = stack[-1]
            frame = frame.f_back
        log.error("event_loop_blocked", plugin=owner or "none", seconds=self._seconds, stack=stack[:STACK_LINES])
        STALLS.labels(owner).inc()
        if owner:
            self._on_stall(owner, f"held the event loop for more than {self._seconds:g} s at {place}")


def _place(frame: FrameType) -> str:
    return f"{frame.f_globals.get('__name__', '?')}:{frame.f_lineno} {frame.f_code.co_name}"


@contextmanager
def watched_loop(owner_of: Callable[[str], str], on_stall: Callable[[str, str], None]) -> "Iterator[None]":
    """Watch the running loop for the length of a block."""
    watchdog = LoopWatchdog(owner_of, on_stall)
    watchdog.start()
    try:
        yield
    finally:
        watchdog.stop()
