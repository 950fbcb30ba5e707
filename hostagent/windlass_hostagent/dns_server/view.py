"""What the resolver knows of the cluster: informers of Services and EndpointSlices, by the keys that names have.

The copies stay when the API is away (K82): answers are then the last known ones.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from windlass.client.informer import Informer

Obj = Mapping[str, Any]
SERVICE_NAME = "kubernetes.io/service-name"
BY_ADDRESS = "dns-address"
BY_SERVICE = "dns-service"


class ClusterView(Protocol):
    """What there is to know. Objects are shared: nobody changes them."""

    def ready(self) -> bool:
        """Say whether everything has been read once."""
        ...

    def has_namespace(self, namespace: str) -> bool:
        """Say whether there is a Service in the namespace."""
        ...

    def service(self, namespace: str, name: str) -> Obj | None:
        """Return a Service."""
        ...

    def slices(self, namespace: str, service: str) -> Sequence[Obj]:
        """Return a Service's EndpointSlices."""
        ...

    def services_at(self, address: str) -> Sequence[Obj]:
        """Return the Services with that cluster IP."""
        ...

    def slices_with(self, address: str) -> Sequence[Obj]:
        """Return the EndpointSlices that hold that address."""
        ...


def cluster_ips(service: Obj) -> list[str]:
    """Return a Service's addresses; none for a headless one or one that is only a name."""
    spec = service.get("spec") or {}
    if spec.get("type") == "ExternalName":
        return []
    found = spec.get("clusterIPs") or [spec.get("clusterIP")]
    return [str(ip) for ip in found if ip and ip != "None"]


def _slice_service(one: Obj) -> list[str]:
    meta = one["metadata"]
    name = (meta.get("labels") or {}).get(SERVICE_NAME)
    return [f"{meta['namespace']}/{name}"] if name else []


def _slice_addresses(one: Obj) -> Iterable[str]:
    return {str(ip) for endpoint in one.get("endpoints") or () for ip in endpoint.get("addresses") or ()}


class InformerView:
    """The view over two informers."""

    def __init__(self, services: Informer, slices: Informer, on_change: Callable[[], None]) -> None:
        self._services = services
        self._slices = slices
        services.add_index(BY_ADDRESS, cluster_ips)
        slices.add_index(BY_ADDRESS, _slice_addresses)
        slices.add_index(BY_SERVICE, _slice_service)
        for informer in (services, slices):
            informer.on_event(lambda *_: on_change())

    def ready(self) -> bool:
        """Say whether both collections have been read once."""
        return self._services.has_synced and self._slices.has_synced

    def has_namespace(self, namespace: str) -> bool:
        """Say whether there is a Service in the namespace."""
        return bool(namespace and self._services.list(namespace))

    def service(self, namespace: str, name: str) -> Obj | None:
        """Return a Service."""
        return self._services.get(namespace, name)

    def slices(self, namespace: str, service: str) -> Sequence[Obj]:
        """Return a Service's EndpointSlices."""
        return self._slices.by_index(BY_SERVICE, f"{namespace}/{service}")

    def services_at(self, address: str) -> Sequence[Obj]:
        """Return the Services with that cluster IP."""
        return self._services.by_index(BY_ADDRESS, address)

    def slices_with(self, address: str) -> Sequence[Obj]:
        """Return the EndpointSlices that hold that address."""
        return self._slices.by_index(BY_ADDRESS, address)
