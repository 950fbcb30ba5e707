"""Which images go when the disk fills: the longest unused first, none that a container uses. Pure, and the loop."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from windlass.clock import Clock
from windlass.errors import RuntimeDriverError
from windlass.logs import get_logger
from windlass.plugin.interfaces.runtime import Image, RuntimeDriver
from windlass_hostagent.stats.sample import NodeSample

PERIOD_SECONDS = 300.0
MIN_AGE_SECONDS = 120.0
log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ImageGcPolicy:
    """Percentages of the image file system: above `high` images go until it is below `low`."""

    high_percent: int = 85
    low_percent: int = 80


def bytes_to_free(sample: NodeSample, policy: ImageGcPolicy) -> int:
    """Return how much has to go, 0 below the high mark."""
    capacity, available = sample.imagefs.capacity, sample.imagefs.available
    if capacity <= 0 or (capacity - available) * 100 < capacity * policy.high_percent:
        return 0
    return capacity * (100 - policy.low_percent) // 100 - available


def choose_images(
    images: Sequence[Image], in_use: set[str], last_used: Mapping[str, float], now: float, wanted: int
) -> list[Image]:
    """Return the images to remove, the longest unused first, until `wanted` bytes are free.

    `in_use` holds image ids and names; `last_used` UNIX seconds by image id, first seen counts as used.
    """
    idle = [
        i
        for i in images
        if not i.pinned
        and i.id not in in_use
        and not in_use.intersection(i.repo_tags)
        and now - last_used.get(i.id, now) >= MIN_AGE_SECONDS
    ]
    chosen: list[Image] = []
    freed = 0
    for image in sorted(idle, key=lambda i: (last_used.get(i.id, now), i.id)):
        if freed >= wanted:
            break
        chosen.append(image)
        freed += image.size_bytes
    return chosen


class ImageGarbageCollector:
    """Remembers when images were last used and removes those that nobody uses when the disk fills."""

    def __init__(
        self,
        runtime: RuntimeDriver,
        clock: Clock,
        sample: Callable[[], NodeSample | None],
        policy: ImageGcPolicy,
    ) -> None:
        self._runtime = runtime
        self._clock = clock
        self._sample = sample
        self._policy = policy
        self._last_used: dict[str, float] = {}

    async def run(self) -> None:
        """Collect every five minutes until cancelled."""
        while True:
            try:
                sample = self._sample()
                wanted = bytes_to_free(sample, self._policy) if sample else 0
                await self.collect(wanted)
            except RuntimeDriverError as error:
                log.warning("image_gc_failed", error=str(error))
            await self._clock.sleep(PERIOD_SECONDS)

    async def collect(self, wanted: int) -> int:
        """Note what is used; free at least `wanted` bytes if that many are idle. Returns the bytes freed."""
        images = await self._runtime.list_images()
        containers = await self._runtime.list_containers()
        in_use = {c.image for c in containers} | {c.image_id for c in containers}
        now = self._clock.now().timestamp()
        self._note(images, in_use, now)
        freed = 0
        for image in choose_images(images, in_use, self._last_used, now, wanted) if wanted > 0 else ():
            for name in image.repo_tags or (image.id,):
                await self._runtime.remove_image(name)
            log.info("image_removed", image=image.id, names=list(image.repo_tags), bytes=image.size_bytes)
            freed += image.size_bytes
        if freed < wanted:
            log.warning("image_gc_freed_too_little", wanted=wanted, freed=freed)
        return freed

    def _note(self, images: Sequence[Image], in_use: set[str], now: float) -> None:
        known = {i.id for i in images}
        self._last_used = {i: at for i, at in self._last_used.items() if i in known}
        for image in images:
            if image.id not in self._last_used or image.id in in_use or in_use.intersection(image.repo_tags):
                self._last_used[image.id] = now
