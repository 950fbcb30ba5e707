"""Why a pod is ended from outside: eviction, shutdown of the node, its own active deadline. Plain data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Fate:
    """The pod will be Failed with this reason. `grace_seconds` None: the pod's own; `conditions` are added to its own."""

    reason: str
    message: str
    grace_seconds: float | None = None
    conditions: Sequence[Mapping[str, Any]] = ()
