"""Metrics of the API server. Every label value comes from a closed set, so that no client can grow the series."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from windlass.plugin.guarding import PLUGIN_FAILURES

VERBS = frozenset({"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"})
BUCKETS = (0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0, 60.0)


class Metrics:
    """Counts of one application. `resource` must be a served plural or ''; anything else is the caller's bug."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._total = Counter(
            "apiserver_request",
            "Requests by verb, resource and code.",
            ["verb", "group", "resource", "code"],
            registry=self.registry,
        )
        self._duration = Histogram(
            "apiserver_request_duration_seconds",
            "Time from request to answer, streams excepted.",
            ["verb"],
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.inflight = Gauge(
            "apiserver_current_inflight_requests", "Requests in work.", ["request_kind"], registry=self.registry
        )
        self.registry.register(PLUGIN_FAILURES)
        self._children: dict[tuple[str, str, str, int], Counter] = {}
        self._durations = {verb: self._duration.labels(verb) for verb in (*VERBS, "other")}

    def observe(self, verb: str, group: str, resource: str, code: int, seconds: float) -> None:
        """Count one answered request."""
        verb = verb if verb in VERBS else "other"
        key = (verb, group, resource, code)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = self._total.labels(verb, group, resource, str(code))
        child.inc()
        self._durations[verb].observe(seconds)

    def render(self) -> bytes:
        """Return the text exposition."""
        return generate_latest(self.registry)
