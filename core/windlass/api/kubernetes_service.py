"""The Service `kubernetes` in namespace default: how pods reach this API. Each API server keeps it in place."""

import ipaddress
import socket
from collections.abc import Sequence
from typing import Any

import orjson

from windlass.apimachinery.meta import new_uid
from windlass.clock import rfc3339
from windlass.errors import KeyExistsError, RevisionMismatchError, StoreUnavailableError, UnknownOutcomeError
from windlass.logs import get_logger
from windlass.registry.backend import Backend
from windlass.registry.reservations import ADDRESSES, Owner, Reservations
from windlass.registry.service_ranges import ServiceRanges, usable

NAMESPACE, NAME, PORT = "default", "kubernetes", 443
LABELS = {"component": "apiserver", "provider": "kubernetes"}
INTERVAL_SECONDS = 10.0
log = get_logger(__name__)


def advertised_address(host: str) -> str:
    """Return the address under which pods reach a server that listens on `host`; '' when there is none.

    A server on loopback is reached from this machine alone, and no endpoint may be a loopback address.
    """
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return ""
    if address.is_loopback:
        return ""
    return _outgoing_address() if address.is_unspecified else str(address)


def _outgoing_address() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # a documentation address: nothing is sent
        except OSError:
            return ""
        own = str(probe.getsockname()[0])
    return "" if ipaddress.ip_address(own).is_loopback else own


class KubernetesService:
    """Keeps the Service, its Endpoints and its EndpointSlice. `address`: '' has no endpoint."""

    def __init__(self, backend: Backend, address: str, port: int) -> None:
        self._backend = backend
        self._address = address
        self._port = port
        self._network = ServiceRanges.parse(backend.service_cidrs).networks[0]
        self.cluster_ip = str(type(self._network.network_address)(usable(self._network)[0]))

    async def run(self) -> None:
        """Look every few seconds until cancelled; whoever deletes them sees them come back."""
        while True:
            try:
                await self.once()
            except (StoreUnavailableError, UnknownOutcomeError) as error:
                log.warning("kubernetes_service_not_written", error=str(error))
            await self._backend.clock.sleep(INTERVAL_SECONDS)

    async def once(self) -> None:
        """Write what is absent or lacks this server."""
        uid = await self._ensure("core/services/default/kubernetes", self._service())
        await Reservations(self._backend, ADDRESSES).take(self.cluster_ip, Owner(NAMESPACE, NAME, uid))
        if self._address:
            await self._ensure("core/endpoints/default/kubernetes", self._endpoints([self._address]))
            await self._ensure("discovery.k8s.io/endpointslices/default/kubernetes", self._slice([self._address]))

    async def _ensure(self, key: str, wanted: dict[str, Any]) -> str:
        """Create the object, or correct the part of it that is ours; return its uid."""
        stored = await self._backend.store.get(key)
        if stored is None:
            uid = new_uid()
            wanted["metadata"] |= {"uid": uid, "creationTimestamp": rfc3339(self._backend.clock.now())}
            try:
                await self._backend.store.create(key, orjson.dumps(wanted))
            except KeyExistsError:
                log.debug("made_by_another_server", key=key)
                return await self._ensure(key, wanted)
            return uid
        present: dict[str, Any] = orjson.loads(stored.value)
        ours = {part: wanted[part] for part in ("subsets", "endpoints", "ports") if part in wanted}
        if any(present.get(part) != value for part, value in ours.items()):
            try:
                await self._backend.store.update(key, orjson.dumps({**present, **ours}), revision=stored.revision)
            except RevisionMismatchError:
                log.debug("changed_by_another_server", key=key)
        return str(present["metadata"]["uid"])

    def _service(self) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": dict(LABELS)},
            "spec": {
                "clusterIP": self.cluster_ip,
                "clusterIPs": [self.cluster_ip],
                "internalTrafficPolicy": "Cluster",
                "ipFamilies": [f"IPv{self._network.version}"],
                "ipFamilyPolicy": "SingleStack",
                "ports": [{"name": "https", "port": PORT, "protocol": "TCP", "targetPort": self._port}],
                "sessionAffinity": "None",
                "type": "ClusterIP",
            },
            "status": {"loadBalancer": {}},
        }

    def _endpoints(self, addresses: Sequence[str]) -> dict[str, Any]:
        labels = {"endpointslice.kubernetes.io/skip-mirror": "true"}
        ports = [{"name": "https", "port": self._port, "protocol": "TCP"}]
        return {
            "apiVersion": "v1",
            "kind": "Endpoints",
            "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": labels},
            "subsets": [{"addresses": [{"ip": ip} for ip in addresses], "ports": ports}],
        }

    def _slice(self, addresses: Sequence[str]) -> dict[str, Any]:
        return {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": {"kubernetes.io/service-name": NAME}},
            "addressType": f"IPv{ipaddress.ip_address(addresses[0]).version}",
            "endpoints": [{"addresses": [ip], "conditions": {"ready": True}} for ip in addresses],
            "ports": [{"name": "https", "port": self._port, "protocol": "TCP"}],
        }
