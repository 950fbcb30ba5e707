"""In which order pods end when the machine shuts down, and how long each may take. Pure.

As kubelet's: of `grace_seconds` in all, the last `critical_seconds` belong to pods of system priority, the rest to all
others, who go first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from windlass_hostagent.eviction.ranking import SYSTEM_CRITICAL_PRIORITY
from windlass_hostagent.pods.termination import pod_grace

Obj = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ShutdownPolicy:
    """How long a shutdown of the machine may be held up for its pods; 0 not at all."""

    grace_seconds: float = 0.0
    critical_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Phase:
    """Pods that end at the same time: (uid, grace in seconds) of each. `seconds` is the longest that it takes."""

    pods: Sequence[tuple[str, float]]
    seconds: float


def phases(pods: Sequence[Obj], policy: ShutdownPolicy) -> list[Phase]:
    """Return the phases of a shutdown: ordinary pods, then critical ones; pods that have ended are in none."""
    live = [p for p in pods if (p.get("status") or {}).get("phase") not in ("Succeeded", "Failed")]
    critical = [p for p in live if int(p["spec"].get("priority") or 0) >= SYSTEM_CRITICAL_PRIORITY]
    others = [p for p in live if p not in critical]
    made = []
    for group, seconds in (
        (others, policy.grace_seconds - policy.critical_seconds),
        (critical, policy.critical_seconds),
    ):
        graces = [(p["metadata"]["uid"], min(pod_grace(p), seconds)) for p in group]
        if graces:
            made.append(Phase(graces, seconds))
    return made
