"""`/stats/summary`: what the node and its pods use."""

import falcon
import falcon.asgi
import orjson

from windlass.errors import RuntimeDriverError
from windlass_hostagent.stats.collector import StatsCollector


class StatsSummary:
    """Serves kubelet's Summary; the API server makes `metrics.k8s.io` of it."""

    def __init__(self, collector: StatsCollector) -> None:
        self._collector = collector

    async def on_get(self, _req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Answer with the last figures; 503 while the runtime does not give any."""
        try:
            summary = await self._collector.summary()
        except (RuntimeDriverError, TimeoutError, OSError) as error:
            message = f"the container runtime gives no figures: {error or 'no answer'}"
            raise falcon.HTTPServiceUnavailable(description=message, retry_after=10) from error
        resp.content_type = "application/json"
        resp.data = orjson.dumps(summary)
