"""Calls plugins at their extension points, checks what they return, and keeps their failures apart.

A plugin that raises, exits or returns nonsense is named in the log and in a metric, and fails the one scheduling cycle
it was called in: the pod is tried again after its back-off. Plugins are told apart from each other, never from the
process: they are trusted code.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from windlass.errors import PluginError
from windlass.logs import get_logger
from windlass.plugin.interfaces.arrays import Mask, Scores
from windlass.plugin.interfaces.scheduler import (
    SUCCESS,
    Code,
    PluginStatus,
    PodInfo,
    PostFilterResult,
    Preview,
    Rejection,
    SchedulerPluginRegistration,
)
from windlass.scheduler.diagnosis import Diagnosis
from windlass.scheduler.metrics import PLUGIN_FAILURES
from windlass.scheduler.view import TableView

logger = get_logger(__name__)


class PluginFailureError(PluginError):
    """A plugin raised or broke its contract while answering for a pod."""

    def __init__(self, plugin: str, extension_point: str, problem: str) -> None:
        super().__init__(f"scheduler plugin {plugin!r} failed in {extension_point}: {problem}")
        self.plugin = plugin


@dataclass(frozen=True, slots=True)
class LoadedPlugin:
    """A built plugin under its name."""

    name: str
    weight: float
    plugin: Any
    row_local: bool


def _load(registration: SchedulerPluginRegistration, config: Mapping[str, Any]) -> LoadedPlugin:
    options = {name: value for name, value in config.items() if name not in {"enabled", "weight"}}
    try:
        plugin = registration.build(options)
    except (Exception, SystemExit) as error:
        raise PluginError(f"scheduler plugin {registration.name!r} cannot be built: {error!r}") from error
    weight = float(config.get("weight", registration.weight))
    return LoadedPlugin(registration.name, weight, plugin, bool(getattr(plugin, "row_local", True)))


def load_plugins(
    registrations: Sequence[SchedulerPluginRegistration], config: Mapping[str, Mapping[str, Any]]
) -> list[LoadedPlugin]:
    """Build the enabled plugins in order. Raises PluginError for doubled names and sections that name no plugin."""
    names = [registration.name for registration in registrations]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise PluginError(f"scheduler plugins registered more than once: {', '.join(doubled)}")
    unknown = sorted(set(config) - set(names))
    if unknown:
        raise PluginError(
            f"configuration for unknown scheduler plugins: {', '.join(unknown)}; known: {', '.join(names)}"
        )
    loaded = []
    for registration in registrations:
        section = config.get(registration.name, {})
        if section.get("enabled", registration.enabled_by_default):
            loaded.append(_load(registration, section))
    return loaded


def _default_queue_sort(pod: PodInfo) -> tuple[int, str]:
    return (-pod.priority, pod.created)


class Framework:
    """The plugins of one scheduler, by extension point."""

    def __init__(self, plugins: Sequence[LoadedPlugin]) -> None:
        self._plugins = plugins
        self._by_point: dict[str, list[LoadedPlugin]] = {}
        sorters = self._with("queue_sort")
        if len(sorters) > 1:
            raise PluginError(f"more than one queue_sort plugin: {', '.join(loaded.name for loaded in sorters)}")
        self._sorter = sorters[0] if sorters else None

    def _with(self, extension_point: str) -> list[LoadedPlugin]:
        found = self._by_point.get(extension_point)
        if found is None:
            found = [loaded for loaded in self._plugins if callable(getattr(loaded.plugin, extension_point, None))]
            self._by_point[extension_point] = found
        return found

    def plugin_names(self) -> list[str]:
        """Return the enabled plugins, in order."""
        return [loaded.name for loaded in self._plugins]

    def equivalence_keys(self) -> list[Callable[[Mapping[str, Any]], str]]:
        """Return what tells pods apart beside their requirements."""
        return [loaded.plugin.equivalence_key for loaded in self._with("equivalence_key")]

    def _call(self, loaded: LoadedPlugin, extension_point: str, *arguments: Any) -> Any:
        try:
            return getattr(loaded.plugin, extension_point)(*arguments)
        except (Exception, SystemExit) as error:
            raise self.failure(loaded.name, extension_point, error) from error

    def failure(self, plugin: str, extension_point: str, problem: BaseException | str) -> PluginFailureError:
        """Log and count a plugin's failure and return the error to raise."""
        PLUGIN_FAILURES.labels(plugin, extension_point).inc()
        cause = problem if isinstance(problem, BaseException) else None
        logger.error(
            "scheduler plugin failed",
            plugin=plugin,
            extension_point=extension_point,
            problem=repr(problem),
            exc_info=cause,
        )
        return PluginFailureError(plugin, extension_point, repr(problem) if cause else str(problem))

    def _status(self, loaded: LoadedPlugin, extension_point: str, *arguments: Any) -> PluginStatus:
        status = self._call(loaded, extension_point, *arguments)
        if not isinstance(status, PluginStatus):
            raise self.failure(loaded.name, extension_point, f"returned {type(status).__name__}, not PluginStatus")
        return status

    # -- the queue

    def queue_sort(self, pod: PodInfo) -> Any:
        """Return the pod's place in the active queue: behind all others when the plugin fails, so that none is lost."""
        if self._sorter is None:
            return _default_queue_sort(pod)
        try:
            return (0, self._call(self._sorter, "queue_sort", pod))
        except PluginFailureError:
            return (1, _default_queue_sort(pod))

    def pre_enqueue(self, pod: PodInfo) -> PluginStatus:
        """Return the first refusal, or SUCCESS. A plugin that fails refuses."""
        for loaded in self._with("pre_enqueue"):
            try:
                status = self._status(loaded, "pre_enqueue", pod)
            except PluginFailureError as error:
                return PluginStatus(Code.ERROR, str(error))
            if status.code is not Code.SUCCESS:
                return status
        return SUCCESS

    # -- the scheduling cycle

    def pre_filter(self, pod: PodInfo, nodes: TableView) -> tuple[set[str], PluginStatus]:
        """Return which plugins are left out for this pod, and SUCCESS or the refusal."""
        skipped: set[str] = set()
        for loaded in self._with("pre_filter"):
            status = self._status(loaded, "pre_filter", pod, nodes)
            if status.code is Code.SKIP:
                skipped.add(loaded.name)
            elif status.code is Code.ERROR:
                raise self.failure(loaded.name, "pre_filter", status.message)
            elif status.code is not Code.SUCCESS:
                return skipped, status
        return skipped, SUCCESS

    def row_local(self, skipped: set[str]) -> bool:
        """Say whether each plugin that takes part looks at one row at a time."""
        return all(loaded.row_local or loaded.name in skipped for loaded in self._plugins)

    def _rejections(self, loaded: LoadedPlugin, pod: PodInfo, nodes: TableView) -> Sequence[Rejection]:
        rejections = self._call(loaded, "filter", pod, nodes)
        if not isinstance(rejections, (list, tuple)):
            raise self.failure(loaded.name, "filter", f"returned {type(rejections).__name__}, not a list of Rejection")
        for rejection in rejections:
            rows = getattr(rejection, "rows", None)
            if not isinstance(rows, np.ndarray) or rows.shape != (nodes.size,) or rows.dtype != np.bool_:
                raise self.failure(loaded.name, "filter", f"rows must be {nodes.size} booleans")
        return rejections

    def feasible(self, pod: PodInfo, nodes: TableView, skipped: set[str]) -> Mask:
        """Return which rows pass every filter."""
        mask = nodes.valid().copy()
        for loaded in self._with("filter"):
            if loaded.name not in skipped:
                for rejection in self._rejections(loaded, pod, nodes):
                    mask &= ~rejection.rows
        return mask

    def total_score(self, pod: PodInfo, nodes: TableView, skipped: set[str]) -> Scores:
        """Return the weighted sum of all scores."""
        total = np.zeros(nodes.size, dtype=np.float64)
        for loaded in self._with("score"):
            if loaded.name in skipped:
                continue
            scores = self._call(loaded, "score", pod, nodes)
            if scores is None:
                continue
            if not isinstance(scores, np.ndarray) or scores.shape != (nodes.size,) or np.isnan(scores).any():
                raise self.failure(loaded.name, "score", f"scores must be {nodes.size} numbers")
            total += scores * loaded.weight
        return total

    def explain(self, pod: PodInfo, nodes: TableView) -> Diagnosis:
        """Say why no row fits: the filters once more, this time counting. `nodes` are all rows."""
        alive = nodes.valid().copy()
        diagnosis = Diagnosis(total=int(alive.sum()))
        skipped, status = self.pre_filter(pod, nodes)
        if status.code is not Code.SUCCESS:
            diagnosis.pre_filter_message = status.message
            return diagnosis
        resolvable = alive.copy()
        for loaded in self._with("filter"):
            if loaded.name in skipped:
                continue
            refused = np.zeros(nodes.size, dtype=np.bool_)
            for rejection in self._rejections(loaded, pod, nodes):
                rows = rejection.rows & alive
                count = int(rows.sum())
                if count:
                    diagnosis.reasons[rejection.reason] += count
                    refused |= rows
                if rejection.unresolvable:
                    resolvable &= ~rows
            if refused.any():
                diagnosis.rejecters.append(loaded.name)
            alive &= ~refused
        diagnosis.candidates = np.flatnonzero(resolvable & ~alive).tolist()
        return diagnosis

    def post_filter(self, pod: PodInfo, preview: Preview) -> PostFilterResult:
        """Ask who can help; the first with a node wins, else all messages together."""
        messages = []
        for loaded in self._with("post_filter"):
            result = self._call(loaded, "post_filter", pod, preview)
            if result is None:
                continue
            if not isinstance(result, PostFilterResult):
                raise self.failure(
                    loaded.name, "post_filter", f"returned {type(result).__name__}, not PostFilterResult"
                )
            if result.node_name:
                return result
            messages.append(result.message)
        return PostFilterResult(message=" ".join(message for message in messages if message))

    def reserve(self, pod: PodInfo, node_name: str) -> PluginStatus:
        """Run all `reserve`; the first refusal takes everything back."""
        for loaded in self._with("reserve"):
            try:
                status = self._status(loaded, "reserve", pod, node_name)
            except PluginFailureError as error:
                status = PluginStatus(Code.ERROR, str(error))
            if status.code is not Code.SUCCESS:
                self.unreserve(pod, node_name)
                return status
        return SUCCESS

    def unreserve(self, pod: PodInfo, node_name: str) -> None:
        """Run all `unreserve`, last first, whatever happens."""
        for loaded in reversed(self._with("unreserve")):
            try:
                self._call(loaded, "unreserve", pod, node_name)
            except PluginFailureError:
                continue  # logged and counted; the others must still give back

    # -- the binding cycle

    async def run_async(self, extension_point: str, pod: PodInfo, node_name: str) -> PluginStatus:
        """Run `permit` or `pre_bind` of all plugins, up to the first refusal; `bind`, up to the first not to SKIP."""
        last = PluginStatus(Code.SKIP)
        for loaded in self._with(extension_point):
            try:
                last = await getattr(loaded.plugin, extension_point)(pod, node_name)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - plugin isolation: named in log and metric
                return PluginStatus(Code.ERROR, str(self.failure(loaded.name, extension_point, error)))
            if not isinstance(last, PluginStatus):
                return PluginStatus(
                    Code.ERROR, str(self.failure(loaded.name, extension_point, "returned no PluginStatus"))
                )
            if last.code is not (Code.SKIP if extension_point == "bind" else Code.SUCCESS):
                return last
        return last if extension_point == "bind" else SUCCESS

    def has(self, extension_point: str) -> bool:
        """Say whether any plugin takes part at an extension point."""
        return bool(self._with(extension_point))

    def post_bind(self, pod: PodInfo, node_name: str) -> None:
        """Tell everybody who asked."""
        for loaded in self._with("post_bind"):
            try:
                self._call(loaded, "post_bind", pod, node_name)
            except PluginFailureError:
                continue  # logged and counted; the pod is bound all the same
