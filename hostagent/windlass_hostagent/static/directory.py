"""The directory of static pods: looks for changed files and tells what came and what went."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from windlass.clock import Clock
from windlass.errors import ConfigError
from windlass.logs import get_logger
from windlass_hostagent.static.manifest import read_manifest

Obj = dict[str, Any]
SUFFIXES = (".yaml", ".yml", ".json")
CHECK_SECONDS = 5.0
MAX_BYTES = 1 << 20
log = get_logger(__name__)


class StaticPodDirectory:
    """Watches one directory. `on_add`/`on_remove` get a static pod; a changed file is one of each.

    A file that cannot be read as a pod keeps its last good pod running, is named in the log once, and is tried again
    when it changes.
    """

    def __init__(
        self,
        directory: Path,
        node_name: str,
        clock: Clock,
        *,
        on_add: Callable[[Obj], None],
        on_remove: Callable[[Obj], None],
    ) -> None:
        self._directory = directory
        self._node_name = node_name
        self._clock = clock
        self._on_add = on_add
        self._on_remove = on_remove
        self._seen: dict[str, tuple[int, int, int]] = {}
        self._pods: dict[str, Obj] = {}

    async def run(self) -> None:
        """Check until cancelled. Call `check` once before, so that nothing of a static pod counts as an orphan."""
        while True:
            await self._clock.sleep(CHECK_SECONDS)
            await self.check()

    async def check(self) -> None:
        """Look once and tell what changed."""
        found = await asyncio.to_thread(self._stat)
        for name in [n for n in self._seen if n not in found]:
            del self._seen[name]
            self._replace(name, None)
        for name, stamp in found.items():
            if self._seen.get(name) == stamp:
                continue
            self._seen[name] = stamp
            try:
                content = await asyncio.to_thread(self._read, name)
                pod = read_manifest(name, content, self._node_name)
                self._check_name(name, pod)
            except (ConfigError, OSError) as error:
                log.warning("static_pod_refused", file=name, error=str(error))
                continue
            self._replace(name, pod)

    def _stat(self) -> dict[str, tuple[int, int, int]]:
        """Return what tells one version of each file from another; a directory that is not there is empty."""
        found = {}
        try:
            entries = sorted(self._directory.iterdir())
        except FileNotFoundError:
            return {}
        for entry in entries:
            if entry.suffix in SUFFIXES and not entry.name.startswith(".") and entry.is_file():
                status = entry.stat()
                found[entry.name] = (status.st_mtime_ns, status.st_size, status.st_ino)
        return found

    def _read(self, name: str) -> bytes:
        with (self._directory / name).open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise ConfigError(f"static pod {name}: larger than {MAX_BYTES} bytes")
        return content

    def _check_name(self, file_name: str, pod: Obj) -> None:
        """Refuse a second file for the same pod. Raises ConfigError naming both."""
        meta = pod["metadata"]
        for other, known in self._pods.items():
            theirs = known["metadata"]
            if other != file_name and (theirs["namespace"], theirs["name"]) == (meta["namespace"], meta["name"]):
                raise ConfigError(
                    f"static pod {file_name}: {other} already holds pod {meta['namespace']}/{meta['name']}"
                )

    def _replace(self, name: str, pod: Obj | None) -> None:
        old = self._pods.pop(name, None)
        if pod is not None:
            self._pods[name] = pod
        if old is not None and (pod is None or old["metadata"]["uid"] != pod["metadata"]["uid"]):
            self._on_remove(old)
        if pod is not None and (old is None or old["metadata"]["uid"] != pod["metadata"]["uid"]):
            self._on_add(pod)
