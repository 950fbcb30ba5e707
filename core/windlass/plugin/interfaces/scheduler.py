"""Scheduler plugins, at the framework's extension points, over columns of all nodes at once.

One scheduling cycle, for a batch of pods whose requirements are equal: `pre_filter`, `filter`, `score`, then for each
pod in turn the best row is taken, `reserve`, `permit`, `pre_bind`, `bind`, `post_bind`. When no node fits,
`post_filter` may help. A plugin is any object that has one or more of these methods; the Protocols below are their
contracts. `windlass.plugin.interfaces.per_node` adapts a plain function of one node.

What makes the scheduler quick is that filters and scores are pure functions of a *row*: their answers are kept, and
only rows that changed are asked again, some of them ahead of time (`NodeColumns` then shows the node as it would be
with more pods of the batch). A plugin whose answer for one node depends on other nodes says `row_local = False`; pods
that it does not answer SKIP for in `pre_filter` are then evaluated in full after each placement.

NumPy is imported by implementations only (array types are in `windlass.plugin.interfaces.arrays`): a process that
does not schedule does not pay for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from windlass.plugin.interfaces.arrays import Counts, Mask, Scores

MAX_SCORE = 100.0


class Code(StrEnum):
    """The closed set of answers. What happens next to the pod is part of each one's meaning."""

    SUCCESS = "Success"
    """Go on."""

    UNSCHEDULABLE = "Unschedulable"
    """Not now. The pod waits in the unschedulable set until an event that may help; removing pods may help too."""

    UNSCHEDULABLE_AND_UNRESOLVABLE = "UnschedulableAndUnresolvable"
    """As Unschedulable, but removing pods cannot help, so `post_filter` does not try these nodes."""

    SKIP = "Skip"
    """`pre_filter`: this plugin has nothing to say on this pod. `bind`: let the next binder do it."""

    ERROR = "Error"
    """Something broke. The pod is tried again after its back-off, whatever happens in the cluster."""


@dataclass(frozen=True, slots=True)
class PluginStatus:
    """A plugin's answer: a code and, unless it is SUCCESS or SKIP, a sentence for users."""

    code: Code = Code.SUCCESS
    message: str = ""


SUCCESS = PluginStatus()
SKIP = PluginStatus(Code.SKIP)


class Taint(NamedTuple):
    """A node's taint. `effect`: NoSchedule, PreferNoSchedule or NoExecute."""

    key: str
    value: str
    effect: str


class Toleration(NamedTuple):
    """A pod's toleration; an empty key with Exists tolerates everything, an empty effect every effect."""

    key: str
    operator: str
    value: str
    effect: str

    def tolerates(self, taint: Taint) -> bool:
        """Say whether the taint is tolerated, by the API's rules."""
        if self.effect and self.effect != taint.effect:
            return False
        if self.key and self.key != taint.key:
            return False
        if self.operator == "Exists":
            return True
        return self.operator in {"", "Equal"} and bool(self.key) and self.value == taint.value


class HostPort(NamedTuple):
    """A port claimed on the node. `ip` 0.0.0.0 claims it on every address."""

    ip: str
    protocol: str
    port: int


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class PodRequirements:
    """What matters in a pod for choosing its node, shared by all pods that are equal in it: their equivalence class.

    Compared by identity. `requests` has cpu in millicores, all else in units, init containers and overhead included.
    `node_affinity`, `pod_affinity`, `pod_anti_affinity`, `topology_spread_constraints` are as in the API.
    """

    namespace: str
    labels: Mapping[str, str]
    owner_uid: str
    requests: Mapping[str, int]
    nonzero_requests: Mapping[str, int]
    node_selector: Mapping[str, str]
    node_affinity: Mapping[str, Any]
    pod_affinity: Mapping[str, Any]
    pod_anti_affinity: Mapping[str, Any]
    topology_spread_constraints: Sequence[Mapping[str, Any]]
    tolerations: tuple[Toleration, ...]
    host_ports: tuple[HostPort, ...]


@dataclass(frozen=True, slots=True, eq=False)
class PodInfo:
    """A pod on its way to a node, or on one. `obj` is the API object: read it, never change it.

    `filter` and `score` get one pod for all pods of the class and may use `requirements` only, unless the plugin has
    `equivalence_key`.
    """

    namespace: str
    name: str
    uid: str
    priority: int
    created: str
    requirements: PodRequirements
    obj: Mapping[str, Any] = field(repr=False)

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """One row as plain Python, for authors who do not want columns. `pods` excludes hypothetical ones."""

    name: str
    labels: Mapping[str, str]
    taints: tuple[Taint, ...]
    unschedulable: bool
    allocatable: Mapping[str, int]
    requested: Mapping[str, int]
    pod_count: int
    obj: Mapping[str, Any] = field(repr=False)


class NodeColumns(Protocol):
    """All nodes, or some, one column per fact; every array has `size` entries, in the same order.

    Read only. Rows of nodes that have gone may be among them; the framework leaves them out of every answer.
    Resources are `cpu` (millicores), `memory`, `ephemeral-storage` (bytes) and any extended resource (units).
    """

    @property
    def size(self) -> int:
        """Return the number of rows."""
        ...

    def allocatable(self, resource: str) -> Counts:
        """Return what each node can give of a resource; 0 where it has none."""
        ...

    def requested(self, resource: str) -> Counts:
        """Return what each node's pods request of a resource."""
        ...

    def nonzero_requested(self, resource: str) -> Counts:
        """Return the same for cpu or memory, with containers that request none counted as 100m and 200Mi."""
        ...

    def allowed_pods(self) -> Counts:
        """Return how many pods each node takes."""
        ...

    def pod_counts(self) -> Counts:
        """Return how many pods each node has."""
        ...

    def unschedulable(self) -> Mask:
        """Return which nodes have `spec.unschedulable`."""
        ...

    def taint_sets(self) -> Sequence[tuple[Taint, ...]]:
        """Return the distinct lists of taints that nodes have."""
        ...

    def taint_set_codes(self) -> Counts:
        """Return each node's index into `taint_sets()`."""
        ...

    def label_exists(self, key: str) -> Mask:
        """Return which nodes have the label."""
        ...

    def label_in(self, key: str, values: Iterable[str]) -> Mask:
        """Return which nodes have the label with one of the values."""
        ...

    def label_numbers(self, key: str) -> Scores:
        """Return the label read as an integer; NaN where it is absent or not one."""
        ...

    def label_codes(self, key: str) -> Counts:
        """Return a small number per distinct value of the label, -1 where it is absent: a topology's domains."""
        ...

    def name_in(self, names: Iterable[str]) -> Mask:
        """Return which nodes have one of the names."""
        ...

    def host_port_conflicts(self, ports: Sequence[HostPort]) -> Mask:
        """Return which nodes have a pod that holds one of the ports."""
        ...

    def owner_pods(self, owner_uid: str) -> Counts:
        """Return how many pods of one controller each node has."""
        ...

    def placed_classes(self) -> Iterable[PodRequirements]:
        """Return the classes of all pods that are on nodes."""
        ...

    def anti_affinity_classes(self) -> Iterable[PodRequirements]:
        """Return those of them that have required pod anti-affinity."""
        ...

    def class_counts(self, requirements: PodRequirements) -> Counts:
        """Return how many pods of one class each node has."""
        ...

    def namespace_labels(self, namespace: str) -> Mapping[str, str]:
        """Return a namespace's labels; none when it is not known."""
        ...

    def node_infos(self) -> Sequence[NodeInfo]:
        """Return every row as plain Python. Slow for many nodes."""
        ...


class Rejection(NamedTuple):
    """Some rows refused for one reason. `reason` is the sentence users see after the count of nodes."""

    reason: str
    rows: Mask
    unresolvable: bool = False


class ClusterEvent(StrEnum):
    """What can make an unschedulable pod schedulable."""

    NODE_ADD = "NodeAdd"
    NODE_UPDATE = "NodeUpdate"
    POD_ADD = "AssignedPodAdd"
    POD_DELETE = "AssignedPodDelete"


class EquivalencePlugin(Protocol):
    """`equivalence_key`: for plugins that look at more of a pod than `PodRequirements`."""

    def equivalence_key(self, pod: Mapping[str, Any]) -> str:
        """Return what else must be equal in two pods for this plugin to treat them alike."""
        ...


class PreEnqueuePlugin(Protocol):
    """`pre_enqueue`: whether a pod may enter the active queue."""

    def pre_enqueue(self, pod: PodInfo) -> PluginStatus:
        """Return SUCCESS, or UNSCHEDULABLE with why not; asked again when the pod changes."""
        ...


class QueueSortPlugin(Protocol):
    """`queue_sort`: the order of the active queue. Exactly one is used."""

    def queue_sort(self, pod: PodInfo) -> Any:
        """Return a comparable key of one fixed type; the smallest goes first."""
        ...


class PreFilterPlugin(Protocol):
    """`pre_filter`: once per batch, before filters."""

    def pre_filter(self, pod: PodInfo, nodes: NodeColumns) -> PluginStatus:
        """Return SUCCESS; SKIP to leave out this plugin's `filter` and `score`; or a reason to refuse the pod."""
        ...


class FilterPlugin(Protocol):
    """`filter`: which nodes can take the pod. Runs in the order of registration."""

    def filter(self, pod: PodInfo, nodes: NodeColumns) -> Sequence[Rejection]:
        """Return who cannot, by reason; a row may be in several. Nothing means that all can."""
        ...


class PostFilterPlugin(Protocol):
    """`post_filter`: no node fits; whether something can be done."""

    def post_filter(self, pod: PodInfo, cluster: Preview) -> PostFilterResult | None:
        """Return what to do, or None. Runs in order until one returns something with a node."""
        ...


class Preview(Protocol):
    """What `post_filter` may ask."""

    def candidates(self) -> Sequence[str]:
        """Return the nodes that refused the pod for reasons which removing pods could resolve."""
        ...

    def total(self) -> int:
        """Return the number of nodes."""
        ...

    def pods(self, node_name: str) -> Sequence[PodInfo]:
        """Return the pods on a node."""
        ...

    def fits(self, node_name: str, without: Sequence[PodInfo]) -> bool:
        """Say whether the pod would pass all filters on the node if these pods were gone."""
        ...

    def disruption_budgets(self) -> Sequence[Mapping[str, Any]]:
        """Return the PodDisruptionBudgets of all namespaces, as the API server shows them."""
        ...


@dataclass(frozen=True, slots=True)
class PostFilterResult:
    """`node_name` is nominated after `victims` are deleted; empty when nothing helps. `message` goes to users."""

    node_name: str = ""
    victims: Sequence[PodInfo] = ()
    message: str = ""


class ScorePlugin(Protocol):
    """`score`: how good each node is, 0 to 100, higher is better; multiplied by the plugin's weight."""

    def score(self, pod: PodInfo, nodes: NodeColumns) -> Scores | None:
        """Return one float per row; None when all are equal."""
        ...


class ReservePlugin(Protocol):
    """`reserve`/`unreserve`: the pod has been given to a node, or taken back. Synchronous, in memory."""

    def reserve(self, pod: PodInfo, node_name: str) -> PluginStatus:
        """Take what the pod needs; anything but SUCCESS takes the pod back."""
        ...

    def unreserve(self, pod: PodInfo, node_name: str) -> None:
        """Give it back; idempotent, safe without `reserve`, never raises."""
        ...


class PermitPlugin(Protocol):
    """`permit`: hold or refuse a pod before binding. Other pods go on meanwhile."""

    async def permit(self, pod: PodInfo, node_name: str) -> PluginStatus:
        """Return when the pod may be bound, or with why not. Cancelled after the configured timeout."""
        ...


class PreBindPlugin(Protocol):
    """`pre_bind`: what must exist before the pod is bound, e.g. a provisioned volume."""

    async def pre_bind(self, pod: PodInfo, node_name: str) -> PluginStatus:
        """Do it. Idempotent: it runs again when a later step failed."""
        ...


class BindPlugin(Protocol):
    """`bind`: tell the API server. Without any, the framework posts a Binding."""

    async def bind(self, pod: PodInfo, node_name: str) -> PluginStatus:
        """Bind, or return SKIP."""
        ...


class PostBindPlugin(Protocol):
    """`post_bind`: the pod is bound; for information."""

    def post_bind(self, pod: PodInfo, node_name: str) -> None:
        """Take note."""
        ...


@dataclass(frozen=True, slots=True)
class SchedulerPluginRegistration:
    """What `register_scheduler_plugins` hands out: a unique name, a default weight, and how to build it.

    `build` gets the plugin's own section of the scheduler's configuration.
    """

    name: str
    build: Callable[[Mapping[str, Any]], Any]
    weight: float = 1.0
    enabled_by_default: bool = True
