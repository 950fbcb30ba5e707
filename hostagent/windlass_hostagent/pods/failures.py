"""Container starts that failed: what to show, and when to try again. Pure, apart from remembering."""

from dataclasses import dataclass, field

from windlass_hostagent.pods.observation import Waiting
from windlass_hostagent.pods.restart import INITIAL_SECONDS, MAX_SECONDS

CONFIG_RETRY_SECONDS = 5.0
SHOW_SECONDS = 1.0
"""How long the error itself is shown before the state says that it is being backed off."""
IMAGE_REASONS = frozenset({"ErrImagePull", "ErrImageInspect", "RegistryUnavailable"})
CONFIG_REASONS = frozenset({"CreateContainerConfigError", "ErrImageNeverPull", "InvalidImageName"})


@dataclass(slots=True)
class Failure:
    """One container's failed start."""

    image: str
    waiting: Waiting
    retry_at: float
    delay_seconds: float
    shown_until: float
    announced: bool = False


@dataclass(slots=True)
class Failures:
    """Failures by container name."""

    entries: dict[str, Failure] = field(default_factory=dict)

    def add(self, container: str, image: str, waiting: Waiting, *, now: float) -> None:
        """Note a failure; image and create errors back off from 10 s to 5 min, configuration errors retry soon."""
        old = self.entries.get(container)
        delay = CONFIG_RETRY_SECONDS
        if waiting.reason not in CONFIG_REASONS:
            delay = min(old.delay_seconds * 2, MAX_SECONDS) if old else INITIAL_SECONDS
        self.entries[container] = Failure(image, waiting, now + delay, delay, now + SHOW_SECONDS)

    def forget(self, container: str) -> None:
        """Note that the container has started."""
        self.entries.pop(container, None)

    def blocked(self, container: str, image: str, now: float) -> bool:
        """Say whether a start has to wait; another image than the one that failed is tried at once."""
        entry = self.entries.get(container)
        if entry is not None and entry.image != image:
            del self.entries[container]
            return False
        return entry is not None and now < entry.retry_at

    def waiting(self, now: float) -> dict[str, Waiting]:
        """Return what each failed container shows."""
        shown: dict[str, Waiting] = {}
        for name, entry in self.entries.items():
            if entry.waiting.reason in IMAGE_REASONS and now >= entry.shown_until:
                error = f"{entry.waiting.reason}: {entry.waiting.message}"
                shown[name] = Waiting("ImagePullBackOff", f'Back-off pulling image "{entry.image}": {error}')
            else:
                shown[name] = entry.waiting
        return shown

    def newly_backing_off(self, now: float) -> list[tuple[str, str]]:
        """Return (container, image) of pulls that have just begun to be backed off, each once per failure."""
        found = []
        for name, entry in self.entries.items():
            if entry.waiting.reason in IMAGE_REASONS and now >= entry.shown_until and not entry.announced:
                entry.announced = True
                found.append((name, entry.image))
        return found

    def wake_seconds(self, now: float) -> float | None:
        """Return when to look again, None when nothing failed."""
        times = [
            e.shown_until if e.waiting.reason in IMAGE_REASONS and now < e.shown_until else e.retry_at
            for e in self.entries.values()
        ]
        return max(0.0, min(times) - now) if times else None
