"""Tells when a file is written, without polling: Linux inotify."""

import asyncio
import ctypes
import os
from collections.abc import Callable
from pathlib import Path

from windlass.logs import get_logger

_IN_MODIFY = 0x2
log = get_logger(__name__)


class FileBell:
    """Calls back on the event loop after writes to a file. Without inotify it stays silent and says so."""

    def __init__(self, path: Path, on_ring: Callable[[], None]) -> None:
        self._on_ring = on_ring
        self._loop = asyncio.get_running_loop()
        libc = ctypes.CDLL(None, use_errno=True)
        try:
            self._descriptor = int(libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
            watched = libc.inotify_add_watch(self._descriptor, os.fsencode(path), _IN_MODIFY) >= 0
        except AttributeError:
            self._descriptor, watched = -1, False
        if watched:
            self._loop.add_reader(self._descriptor, self._ring)
        else:
            log.warning("no_file_notification", path=str(path), error=os.strerror(ctypes.get_errno()))

    def close(self) -> None:
        """Stop listening. Idempotent."""
        if self._descriptor >= 0:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    def _ring(self) -> None:
        os.read(self._descriptor, 4096)
        self._on_ring()
