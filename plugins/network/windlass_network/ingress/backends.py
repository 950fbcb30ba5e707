"""From an Ingress backend to addresses: straight to the endpoints, not through the Service's own address. Pure."""

import ipaddress
from collections.abc import Iterator, Sequence

from windlass_network.ingress.model import Backend, Cluster, Obj, Problem, annotation

PROTOCOLS = {"": "http", "HTTP": "http", "HTTPS": "https", "GRPC": "grpc"}


class Backends:
    """Collects upstreams while backends are looked up."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.upstreams: dict[str, Sequence[str]] = {}
        self.problems: list[Problem] = []

    def find(self, ingress: Obj, backend: Obj) -> Backend | None:
        """Return the backend; None when there is nothing to send requests to, which is told when it is a mistake."""
        wanted = backend.get("service")
        if not wanted:
            self._tell(ingress, "UnsupportedBackend", "a resource backend is not served; name a Service")
            return None
        key = f"{ingress['metadata']['namespace']}/{wanted['name']}"
        service = self._cluster.services.get(key)
        if service is None:
            self._tell(ingress, "ServiceNotFound", f"service {key} does not exist")
            return None
        if (service.get("spec") or {}).get("type") == "ExternalName":
            self._tell(ingress, "UnsupportedBackend", f"service {key} is an ExternalName: nothing of the cluster's")
            return None
        port = _service_port(service, wanted.get("port") or {})
        if port is None:
            self._tell(ingress, "ServicePortNotFound", f"service {key} has no port {_asked(wanted.get('port') or {})}")
            return None
        name = f"{key.replace('/', '.')}.{port['port']}"
        if name not in self.upstreams:
            self.upstreams[name] = sorted(dict.fromkeys(self._addresses(ingress, key, port)))
        if not self.upstreams[name]:
            return None
        return Backend(name, self._protocol(ingress))

    def _protocol(self, ingress: Obj) -> str:
        asked = annotation(ingress, "backend-protocol").upper()
        if asked not in PROTOCOLS:
            self._tell(ingress, "InvalidAnnotation", f"backend-protocol {asked!r} is none of HTTP, HTTPS, GRPC")
        return PROTOCOLS.get(asked, "http")

    def _tell(self, ingress: Obj, reason: str, message: str) -> None:
        self.problems.append(Problem(ingress, reason, message))

    def _addresses(self, ingress: Obj, key: str, port: Obj) -> Iterator[str]:
        for one in self._cluster.slices.get(key) or ():
            numbers = [
                int(each["port"])
                for each in one.get("ports") or ()
                if each.get("port") and (each.get("name") or "") == (port.get("name") or "")
            ]
            if one.get("addressType") not in ("IPv4", "IPv6") or not numbers:
                continue
            for endpoint in one.get("endpoints") or ():
                if (endpoint.get("conditions") or {}).get("ready") is False:
                    continue
                for address in endpoint.get("addresses") or ():
                    if _is_a_pods(address):
                        yield f"[{address}]:{numbers[0]}" if ":" in address else f"{address}:{numbers[0]}"
                    else:
                        self._tell(ingress, "InvalidEndpoint", f"service {key}: endpoint {address} is left out")


def _is_a_pods(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified)


def _asked(port: Obj) -> str:
    return str(port.get("name") or port.get("number") or "")


def _service_port(service: Obj, wanted: Obj) -> Obj | None:
    for port in (service.get("spec") or {}).get("ports") or ():
        if wanted.get("name"):
            if port.get("name") == wanted["name"]:
                return dict(port)
        elif port.get("port") == wanted.get("number"):
            return dict(port)
    return None
