"""What the agent remembers of a pod's volumes while the pod is on this node. All of it can be made again."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from windlass.plugin.interfaces.volume import NodeVolumeDriver, Published

Obj = dict[str, Any]
FIRST_RETRY_SECONDS = 0.5
MAX_RETRY_SECONDS = 122.0
FOLLOWS_POD = frozenset({"downwardAPI", "projected"})


@dataclass(slots=True)
class PodVolume:
    """One volume. Times are the monotonic clock's; `error` is why it could not be published the last time."""

    spec: Obj
    source: str
    driver: NodeVolumeDriver | None
    target: Path
    published: Published | None = None
    stale: bool = True
    refresh_at: float | None = None
    retry_at: float = 0.0
    delay_seconds: float = FIRST_RETRY_SECONDS
    error: str = ""

    def due_at(self) -> float | None:
        """Return when to publish (again), None when nothing asks for it."""
        if self.stale:
            return self.retry_at
        return self.refresh_at

    def succeeded(self, published: Published, now: float) -> None:
        """Note that it is as wanted."""
        self.published, self.error, self.stale = published, "", False
        self.retry_at, self.delay_seconds = 0.0, FIRST_RETRY_SECONDS
        wait = published.refresh_seconds
        self.refresh_at = None if wait is None else now + wait

    def failed(self, error: str, now: float) -> None:
        """Note why not, and wait longer each time."""
        self.error, self.stale = error, True
        self.retry_at = now + self.delay_seconds
        self.delay_seconds = min(self.delay_seconds * 2, MAX_RETRY_SECONDS)

    def changed(self) -> None:
        """Note that its content is no longer what it should be: publish at once."""
        self.stale, self.retry_at, self.delay_seconds = True, 0.0, FIRST_RETRY_SECONDS


@dataclass(slots=True)
class PodVolumes:
    """All volumes of one pod. `wake` has the pod's worker look again."""

    pod: Obj
    volumes: dict[str, PodVolume]
    ips: Sequence[str] = ()
    wake: Callable[[], None] = field(default=lambda: None)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    subpaths: asyncio.Lock = field(default_factory=asyncio.Lock)
    refreshing: bool = False

    def take(self, pod: Obj) -> bool:
        """Take a newer version of the pod; say whether volumes that show its labels or annotations are stale now."""
        old, self.pod = self.pod, pod
        if _shown(old) == _shown(pod):
            return False
        following = [v for v in self.volumes.values() if v.source in FOLLOWS_POD]
        for volume in following:
            volume.changed()
        return bool(following)

    @property
    def ready(self) -> bool:
        """Whether every volume has been published once."""
        return all(v.published is not None for v in self.volumes.values())

    def due_at(self) -> float | None:
        """Return when the first volume is due."""
        times = [at for v in self.volumes.values() if (at := v.due_at()) is not None]
        return min(times, default=None)


def _shown(pod: Obj) -> tuple[Obj, Obj]:
    meta = pod["metadata"]
    return meta.get("labels") or {}, meta.get("annotations") or {}
