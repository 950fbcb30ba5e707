"""`/apis/metrics.k8s.io/v1beta1`: asks the host agents what they measure, and keeps each answer for some seconds."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import orjson

from windlass.api.agents import AgentConnections
from windlass.api.negotiation import negotiate
from windlass.api.rendering import Renderer
from windlass.api.request import ApiRequest
from windlass.api.response import ApiResponse
from windlass.api.usage import node_metrics, pod_metrics
from windlass.apimachinery.scheme import KindDefinition
from windlass.apimachinery.selectors import parse_field_selector, parse_label_selector
from windlass.apis.metrics.v1beta1 import NODE_METRICS, POD_METRICS
from windlass.clock import Clock
from windlass.errors import ApiError, InternalServerError, MethodNotAllowedError, UnavailableError
from windlass.logs import get_logger
from windlass.plugin.interfaces.authn import ObjectReader
from windlass.registry.refusals import not_found

KEEP_SECONDS = 5.0
ANSWER_SECONDS = 5.0
CONCURRENT_NODES = 32
Obj = dict[str, Any]
Build = Callable[[Mapping[str, Any], Mapping[str, Any]], Obj | None]
log = get_logger(__name__)


class SummarySource(Protocol):
    """Where a node's `/stats/summary` comes from."""

    async def summary(self, node: Mapping[str, Any]) -> Mapping[str, Any]:
        """Ask a node's agent, within a deadline of its own. Raises ApiError."""
        ...


class AgentSummaries:
    """Asks the host agents."""

    def __init__(self, agents: AgentConnections) -> None:
        self._agents = agents

    async def summary(self, node: Mapping[str, Any]) -> Mapping[str, Any]:
        """Ask a node's agent. Raises ApiError; 503 when it does not answer within 5 s."""
        name = node["metadata"]["name"]
        try:
            async with asyncio.timeout(ANSWER_SECONDS), self._agents.get(node, ("stats", "summary"), {}) as response:
                return dict(orjson.loads(await response.read()))
        except TimeoutError as error:
            raise UnavailableError(f"the host agent of node {name} gave no figures in {ANSWER_SECONDS:g} s") from error
        except orjson.JSONDecodeError as error:
            raise InternalServerError(f"the host agent of node {name} gave figures that are no JSON") from error


class MetricsHandler:
    """Serves nodes and pods of `metrics.k8s.io`. A node that does not answer has no metrics; the others have."""

    def __init__(self, source: SummarySource, reader: ObjectReader, clock: Clock) -> None:
        self._source = source
        self._reader = reader
        self._clock = clock
        self._kept: dict[str, tuple[float, Mapping[str, Any]]] = {}
        self._asking: dict[str, asyncio.Future[Mapping[str, Any] | None]] = {}
        self._slots = asyncio.Semaphore(CONCURRENT_NODES)

    async def nodes(self, request: ApiRequest) -> ApiResponse:
        """Serve get and list of NodeMetrics. Raises 404, 405, 406."""
        wanted = [(node, node["metadata"]["name"]) for node in self._select(request, "nodes")]
        return await self._answer(request, NODE_METRICS, wanted, node_metrics)

    async def pods(self, request: ApiRequest) -> ApiResponse:
        """Serve get and list of PodMetrics. Raises 404, 405, 406."""
        found = self._select(request, "pods")
        wanted = [(pod, pod["spec"]["nodeName"]) for pod in found if pod["spec"].get("nodeName")]
        return await self._answer(request, POD_METRICS, wanted, pod_metrics)

    async def _answer(
        self, request: ApiRequest, kind: KindDefinition, wanted: Sequence[tuple[Mapping[str, Any], str]], build: Build
    ) -> ApiResponse:
        """Build the metrics of objects, each with the name of its node, and render them."""
        summaries = await self._summaries(sorted({node for _, node in wanted}))
        known = [build(obj, summaries[node]) for obj, node in wanted if node in summaries]
        found = [made for made in known if made is not None]
        renderer = Renderer(kind, negotiate(request.header(b"accept")), self._clock)
        if not request.path.name:
            return renderer.objects(found, {})
        if not found:
            raise not_found(kind, request.path.name)
        return renderer.single(found[0])

    def _select(self, request: ApiRequest, resource: str) -> list[Mapping[str, Any]]:
        """Return the cached nodes or pods that a request means."""
        if request.verb not in ("get", "list") or request.path.subresource:
            raise MethodNotAllowedError("metrics are measured, not written: only get and list are served")
        if request.path.name:
            found = self._reader.get(resource, request.path.namespace, request.path.name)
            return [found] if found is not None else []
        labels = parse_label_selector(request.value("labelSelector"))
        fields = parse_field_selector(request.value("fieldSelector"))
        return [
            obj
            for obj in self._reader.list(resource, request.path.namespace)
            if labels.matches(obj["metadata"].get("labels")) and fields.matches(_fields(obj))
        ]

    async def _summaries(self, names: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        """Return what the agents say, those that answer."""
        answers = await asyncio.gather(*(self._summary(name) for name in names))
        return {name: answer for name, answer in zip(names, answers, strict=True) if answer is not None}

    async def _summary(self, name: str) -> Mapping[str, Any] | None:
        """Return one node's summary, at most five seconds old; requests that come together ask once."""
        kept = self._kept.get(name)
        if kept is not None and self._clock.monotonic() - kept[0] < KEEP_SECONDS:
            return kept[1]
        if name not in self._asking:
            self._asking[name] = asyncio.ensure_future(self._ask(name))
            self._asking[name].add_done_callback(lambda _done: self._asking.pop(name, None))
        return await asyncio.shield(self._asking[name])

    async def _ask(self, name: str) -> Mapping[str, Any] | None:
        node = self._reader.get("nodes", "", name)
        if node is None:
            self._kept.pop(name, None)
            return None
        try:
            async with self._slots:
                found = await self._source.summary(node)
        except ApiError as error:
            log.warning("node_metrics_not_read", node=name, error=str(error))
            return None
        self._kept[name] = self._clock.monotonic(), found
        return found


def _fields(obj: Mapping[str, Any]) -> dict[str, str]:
    metadata = obj["metadata"]
    return {"metadata.name": metadata["name"], "metadata.namespace": metadata.get("namespace", "")}
