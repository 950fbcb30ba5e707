"""Allocatable: what is left of the node's capacity for pods. Pure."""

from collections.abc import Mapping, Sequence

from windlass.apimachinery.quantity import cpu_millis, int_value
from windlass.errors import ConfigError
from windlass_hostagent.context import NodeCapacity
from windlass_hostagent.eviction.thresholds import Threshold

RESERVABLE = ("cpu", "memory", "ephemeral-storage", "pid")


def parse_reserved(text: str) -> dict[str, str]:
    """Parse `cpu=100m,memory=200Mi`. Raises ConfigError naming what is wrong."""
    found: dict[str, str] = {}
    for part in (p.strip() for p in text.split(",")):
        if not part:
            continue
        name, equals, value = part.partition("=")
        if not equals or name not in RESERVABLE:
            raise ConfigError(f"reserved resource {part!r}: write NAME=QUANTITY, NAME one of {', '.join(RESERVABLE)}")
        try:
            int_value(value)
        except ValueError as error:
            raise ConfigError(f"reserved resource {part!r}: {error}") from error
        found[name] = value
    return found


def allocatable(
    capacity: NodeCapacity, reserved: Sequence[Mapping[str, str]], thresholds: Sequence[Threshold]
) -> dict[str, str]:
    """Return capacity minus what is reserved and minus the hard eviction thresholds of memory and node disk.

    Raises ConfigError when nothing would be left.
    """
    whole = capacity.resources()
    cpu = cpu_millis(whole["cpu"]) - sum(cpu_millis(r["cpu"]) for r in reserved if "cpu" in r)
    left = {"cpu": f"{cpu}m" if cpu % 1000 else str(cpu // 1000), "pods": whole["pods"]}
    for name, signal in (("memory", "memory.available"), ("ephemeral-storage", "nodefs.available")):
        total = int_value(whole[name])
        kept = sum(int_value(r[name]) for r in reserved if name in r)
        kept += sum(t.floor(total) for t in thresholds if t.signal == signal)
        if kept >= total:
            raise ConfigError(f"reserved {name} and eviction thresholds leave nothing of {whole[name]} for pods")
        left[name] = whole[name] if not kept else str(total - kept)
    if cpu <= 0:
        raise ConfigError(f"reserved cpu leaves nothing of {whole['cpu']} for pods")
    return {name: left[name] for name in whole}
