"""Eviction signals and their thresholds: what is short on this node. Pure.

A threshold is written as kubelet's: `memory.available<100Mi`, `nodefs.available<10%`, several joined by commas.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from windlass.apimachinery.quantity import int_value
from windlass.errors import ConfigError
from windlass_hostagent.stats.sample import NodeSample

DEFAULT_HARD = (
    "memory.available<100Mi,nodefs.available<10%,nodefs.inodesFree<5%,imagefs.available<15%,pid.available<10%"
)
CONDITIONS: Mapping[str, str] = {
    "memory.available": "MemoryPressure",
    "nodefs.available": "DiskPressure",
    "nodefs.inodesFree": "DiskPressure",
    "imagefs.available": "DiskPressure",
    "imagefs.inodesFree": "DiskPressure",
    "pid.available": "PIDPressure",
}
RESOURCES: Mapping[str, str] = {
    "memory.available": "memory",
    "nodefs.available": "ephemeral-storage",
    "nodefs.inodesFree": "inodes",
    "imagefs.available": "ephemeral-storage",
    "imagefs.inodesFree": "inodes",
    "pid.available": "pids",
}


@dataclass(frozen=True, slots=True)
class Threshold:
    """A signal must not fall below `minimum` (absolute), or below `fraction` of what there is."""

    signal: str
    minimum: int = 0
    fraction: float = 0.0

    def floor(self, capacity: int) -> int:
        """Return the least that must be available."""
        return self.minimum or int(capacity * self.fraction)


@dataclass(frozen=True, slots=True)
class Shortage:
    """A threshold that is crossed: `available` of `capacity`, where at least `floor` should be."""

    signal: str
    available: int
    capacity: int
    floor: int

    @property
    def resource(self) -> str:
        """The resource as users name it."""
        return RESOURCES[self.signal]


def parse_thresholds(text: str) -> list[Threshold]:
    """Parse thresholds. Raises ConfigError naming the part that is wrong."""
    return [_parse(part.strip()) for part in text.split(",") if part.strip()]


def _parse(part: str) -> Threshold:
    signal, less, value = part.partition("<")
    if not less or signal not in CONDITIONS:
        known = ", ".join(sorted(CONDITIONS))
        raise ConfigError(
            f"eviction threshold {part!r}: write SIGNAL<QUANTITY or SIGNAL<PERCENT%, SIGNAL one of {known}"
        )
    try:
        if not value.endswith("%"):
            return Threshold(signal, minimum=int_value(value))
        percent = float(value[:-1])
    except ValueError as error:
        raise ConfigError(f"eviction threshold {part!r}: {value!r} is no quantity and no percentage") from error
    if not 0 < percent < 100:
        raise ConfigError(f"eviction threshold {part!r}: a percentage lies between 0 and 100")
    return Threshold(signal, fraction=percent / 100)


def signals(sample: NodeSample) -> dict[str, tuple[int, int]]:
    """Return (available, capacity) of every signal that this node can tell."""
    found = {
        "memory.available": (sample.memory.available, sample.memory.total),
        "nodefs.available": (sample.nodefs.available, sample.nodefs.capacity),
        "imagefs.available": (sample.imagefs.available, sample.imagefs.capacity),
        "pid.available": (sample.max_pids - sample.pids, sample.max_pids),
    }
    for name, filesystem in (("nodefs.inodesFree", sample.nodefs), ("imagefs.inodesFree", sample.imagefs)):
        if filesystem.inodes:  # some file systems count none
            found[name] = (filesystem.inodes_free, filesystem.inodes)
    return found


def shortages(sample: NodeSample, thresholds: Sequence[Threshold]) -> list[Shortage]:
    """Return the thresholds that are crossed, memory first, as kubelet evicts."""
    found = []
    known = signals(sample)
    for threshold in thresholds:
        if threshold.signal not in known:
            continue
        available, capacity = known[threshold.signal]
        floor = threshold.floor(capacity)
        if available < floor:
            found.append(Shortage(threshold.signal, available, capacity, floor))
    return sorted(found, key=lambda s: (s.resource != "memory", s.signal))
