"""The driver's ears: who has ended (pidfds), who ran out of memory, which directories changed (inotify). No polling."""

import asyncio
import contextlib
import os
import struct
from collections.abc import AsyncIterator, Callable, Iterator

from windlass.plugin.interfaces.runtime import RuntimeEvent
from windlass_runtime.process import cgroups
from windlass_runtime.process import syscalls as sys_

_INOTIFY = struct.Struct("=iIII")


class EventHub:
    """Hands events to everybody who listens."""

    def __init__(self) -> None:
        self._subscribers: set[asyncio.Queue[RuntimeEvent]] = set()

    def emit(self, kind: str, sandbox_id: str, container_id: str = "") -> None:
        """Tell everybody."""
        for queue in self._subscribers:
            queue.put_nowait(RuntimeEvent(kind, sandbox_id, container_id))

    async def follow(self) -> AsyncIterator[RuntimeEvent]:
        """Yield events as they happen."""
        queue: asyncio.Queue[RuntimeEvent] = asyncio.Queue()
        self._subscribers.add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._subscribers.discard(queue)


class ProcessWatch:
    """Knows when processes end. `key` is the id of what the process stands for."""

    def __init__(self) -> None:
        self._descriptors: dict[str, int] = {}
        self._ended: dict[str, asyncio.Event] = {}
        self._memory: dict[str, int] = {}
        self._on_oom: dict[str, Callable[[], None]] = {}

    def watch(self, key: str, pid: int, on_end: Callable[[], None]) -> None:
        """Call `on_end` when the process has ended; at once when it is gone already."""
        if key in self._descriptors:
            return
        event = self._ended.setdefault(key, asyncio.Event())
        try:
            descriptor = os.pidfd_open(pid)
        except OSError:
            event.set()
            on_end()
            return
        self._descriptors[key] = descriptor

        def ended() -> None:
            self._release(self._descriptors, key)
            if key in self._on_oom:
                self._on_oom[key]()  # its news may not have been read yet
            self._release_memory(key)
            event.set()
            on_end()

        asyncio.get_running_loop().add_reader(descriptor, ended)

    def watch_memory(self, key: str, group: str, on_oom: Callable[[], None]) -> None:
        """Call `on_oom` whenever the kernel kills for memory in a container's group."""
        if key in self._memory:
            return
        with contextlib.suppress(OSError):
            descriptor = cgroups.oom_watch(group)
            self._memory[key] = descriptor

            def killed() -> None:
                with contextlib.suppress(BlockingIOError):
                    os.read(descriptor, 4096)
                    # Version 1 tells before the kill is counted, and once more when the group is removed.
                    version_1 = not cgroups.is_unified() and cgroups.folder(group, "memory").is_dir()
                    if version_1 or cgroups.oom_kills(group) > 0:
                        on_oom()

            self._on_oom[key] = killed
            asyncio.get_running_loop().add_reader(descriptor, killed)
            if cgroups.oom_kills(group) > 0:  # before anybody listened
                on_oom()

    async def wait(self, key: str) -> None:
        """Wait until a watched process has ended; returns at once for one that never was."""
        event = self._ended.get(key)
        if event is not None:
            await event.wait()

    def forget(self, key: str) -> None:
        """Let go of an ended process."""
        self._release(self._descriptors, key)
        self._release_memory(key)
        event = self._ended.pop(key, None)
        if event is not None:
            event.set()

    def close(self) -> None:
        """Stop watching everything."""
        for key in list(self._ended):
            self.forget(key)

    def _release_memory(self, key: str) -> None:
        self._on_oom.pop(key, None)
        self._release(self._memory, key)

    @staticmethod
    def _release(descriptors: dict[str, int], key: str) -> None:
        descriptor = descriptors.pop(key, None)
        if descriptor is not None:
            asyncio.get_running_loop().remove_reader(descriptor)
            os.close(descriptor)


class DirectoryWatch:
    """Wakes those who wait for a change in a directory. One inotify descriptor for all of them."""

    def __init__(self) -> None:
        self._descriptor = -1
        self._waiting: dict[int, set[asyncio.Event]] = {}

    @contextlib.contextmanager
    def changes(self, path: str) -> Iterator[asyncio.Event]:
        """Give an event that is set at every change; the caller clears it before it looks."""
        if self._descriptor < 0:
            self._descriptor = sys_.inotify_open()
            asyncio.get_running_loop().add_reader(self._descriptor, self._read)
        watch = sys_.inotify_watch(self._descriptor, path, sys_.IN_MODIFY | sys_.IN_CREATE | sys_.IN_MOVED_TO)
        event = asyncio.Event()
        self._waiting.setdefault(watch, set()).add(event)
        try:
            yield event
        finally:
            waiting = self._waiting[watch]
            waiting.discard(event)
            if not waiting:
                del self._waiting[watch]
                if self._descriptor >= 0:
                    sys_.inotify_unwatch(self._descriptor, watch)

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            data = os.read(self._descriptor, 64 * 1024)
            offset = 0
            while offset < len(data):
                watch, _, _, length = _INOTIFY.unpack_from(data, offset)
                offset += _INOTIFY.size + length
                for event in self._waiting.get(watch, ()):
                    event.set()

    def close(self) -> None:
        """Wake everybody and stop."""
        if self._descriptor >= 0:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1
        for waiting in self._waiting.values():
            for event in waiting:
                event.set()
