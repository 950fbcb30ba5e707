"""The node's heartbeat: a Lease in kube-node-lease, renewed every 10 s whatever the runtime does."""

from typing import Any

from windlass.apis.resources import LEASES
from windlass.clock import Clock, rfc3339_micro
from windlass.errors import AlreadyExistsError, ApiError, ConflictError, NotFoundError
from windlass.logs import get_logger

Obj = dict[str, Any]
NAMESPACE = "kube-node-lease"
DURATION_SECONDS = 40
RENEW_SECONDS = 10.0
RETRY_SECONDS = 1.0
log = get_logger(__name__)


class NodeLease:
    """Renews until cancelled; an API that does not answer is asked again every second."""

    def __init__(self, client: Any, node: Obj, clock: Clock) -> None:
        self._client = client
        self._node = node
        self._clock = clock
        self._lease: Obj | None = None

    async def run(self) -> None:
        """Renew until cancelled."""
        while True:
            wait = RENEW_SECONDS
            try:
                await self.renew()
            except (ApiError, OSError) as error:
                log.warning("node_lease_not_renewed", error=str(error))
                wait = RETRY_SECONDS
            await self._clock.sleep(wait)

    async def renew(self) -> None:
        """Create or renew once. Raises ApiError."""
        name = self._node["metadata"]["name"]
        spec = {
            "holderIdentity": name,
            "leaseDurationSeconds": DURATION_SECONDS,
            "renewTime": rfc3339_micro(self._clock.now()),
        }
        try:
            if self._lease is None:
                self._lease = await self._client.get(LEASES, name, NAMESPACE)
            lease = {**self._lease, "spec": {**(self._lease.get("spec") or {}), **spec}}
            self._lease = await self._client.update(LEASES, lease)
        except NotFoundError:
            await self._create(name, spec)
        except ConflictError:
            self._lease = None
            raise

    async def _create(self, name: str, spec: Obj) -> None:
        """Create the Lease, owned by the Node so that it goes with it."""
        owner = {"apiVersion": "v1", "kind": "Node", "name": name, "uid": self._node["metadata"]["uid"]}
        lease = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": name, "namespace": NAMESPACE, "ownerReferences": [owner]},
            "spec": spec,
        }
        try:
            self._lease = await self._client.create(LEASES, lease, NAMESPACE)
        except AlreadyExistsError:
            self._lease = None
