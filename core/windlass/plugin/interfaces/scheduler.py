"""Scheduler plugins, at the framework's extension points, over columns of all nodes at once.

A *filter* returns a boolean mask over the nodes, a *score* a float vector (0..100, higher is better); both read the
`NodeColumns` and the pod's interned requirements and are pure and synchronous. `per_node` adapts a plain function of
one node for authors who do not want NumPy. See `windlass.scheduler.framework` for the cycle that calls them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from windlass.scheduler.columns import NodeColumns, PodInfo

Mask = npt.NDArray[np.bool_]
Scores = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SchedulerPluginRegistration:
    """What `register_scheduler_plugins` hands out: a unique name, a default weight, and how to build it."""

    name: str
    build: Callable[[Mapping[str, Any]], Any]
    weight: float = 1.0
    enabled_by_default: bool = True


class PreEnqueuePlugin(Protocol):
    """`pre_enqueue`: may this pod enter the active queue? Return None, or why not."""

    def pre_enqueue(self, pod: "PodInfo") -> str | None:
        """Return None to let it in."""
        ...


@dataclass(frozen=True, slots=True)
class FilterResult:
    """A mask of nodes that fit, and for those that do not a reason index per node (-1 where it fits)."""

    mask: Mask
    reasons: Sequence[str] = ()
    reason_index: npt.NDArray[np.int16] | None = None
    unresolvable: bool = field(default=False)


class FilterPlugin(Protocol):
    """`filter`: which nodes can take the pod."""

    def filter(self, pod: "PodInfo", nodes: "NodeColumns") -> FilterResult:
        """Return the mask over all rows of `nodes`."""
        ...


class ScorePlugin(Protocol):
    """`score`: how good each node is, 0..100."""

    def score(self, pod: "PodInfo", nodes: "NodeColumns") -> Scores:
        """Return one float per row of `nodes`."""
        ...
