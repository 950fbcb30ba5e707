"""Bounds on requests in work: reads and writes apart, and a lane of their own for what keeps the cluster alive."""

from functools import partial

from prometheus_client import Gauge

from windlass.api.config import ApiConfig
from windlass.api.request import ApiRequest
from windlass.errors import ErrorDetails, TooManyRequestsError

EXEMPT = "exempt"
HEALTH = ("/healthz/", "/livez/", "/readyz/", "/metrics/")
READ_VERBS = ("get", "list", "watch")
NODE_LEASES = "kube-node-lease"


class Lanes:
    """Counts requests in work. What does not fit is refused at once, to be tried again."""

    def __init__(self, config: ApiConfig, gauge: Gauge) -> None:
        self._limits = {
            "read": config.max_read_requests,
            "write": config.max_write_requests,
            "watch": config.max_watches,
        }
        self._inside = dict.fromkeys((*self._limits, EXEMPT), 0)
        for lane in self._inside:
            gauge.labels(lane).set_function(partial(self._inside.__getitem__, lane))

    def enter(self, request: ApiRequest, *, streams: bool) -> str:
        """Take a place and return the lane to `leave`. Raises 429."""
        lane = _lane(request, streams=streams)
        if self._inside[lane] >= self._limits.get(lane, 2**31):
            raise TooManyRequestsError(
                "the server has received too many requests and has asked us to try again later",
                details=ErrorDetails(retry_after_seconds=1),
            )
        self._inside[lane] += 1
        return lane

    def leave(self, lane: str) -> None:
        """Give the place back."""
        self._inside[lane] -= 1


def _lane(request: ApiRequest, *, streams: bool) -> str:
    path = request.path
    if f"{path.text}/".startswith(HEALTH) or (path.plural == "leases" and path.namespace == NODE_LEASES and path.name):
        return EXEMPT
    if streams:
        return "watch"
    return "read" if request.verb in READ_VERBS else "write"
