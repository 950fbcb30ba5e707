"""Which endpoints a Service should have: from its pods, by address family and by the ports that they have. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from windlass.apimachinery.meta import is_being_deleted
from windlass_controllers.pods import is_ready, phase_of

Obj = dict[str, Any]
FAMILIES = ("IPv4", "IPv6")
ZONE = "topology.kubernetes.io/zone"


class PortSet(NamedTuple):
    """Ports that endpoints of one slice share: (name, protocol, number, application protocol) each, sorted."""

    ports: tuple[tuple[str, str, int | None, str], ...]

    def as_wire(self) -> list[Obj]:
        """Return them as a slice has them."""
        made = []
        for name, protocol, number, application in self.ports:
            port: Obj = {"name": name, "protocol": protocol}
            if number is not None:
                port["port"] = number
            if application:
                port["appProtocol"] = application
            made.append(port)
        return made


def families_of(service: Mapping[str, Any]) -> Sequence[str]:
    """Return the address families that a Service is about; without a word of them, IPv4."""
    return tuple((service.get("spec") or {}).get("ipFamilies") or ("IPv4",))


def addresses_of(pod: Mapping[str, Any], family: str) -> list[str]:
    """Return a pod's addresses of a family."""
    status = pod.get("status") or {}
    found = [entry["ip"] for entry in status.get("podIPs") or ()] or ([status["podIP"]] if status.get("podIP") else [])
    return [ip for ip in found if (":" in ip) == (family == "IPv6")]


def find_port(pod: Mapping[str, Any], port: Mapping[str, Any]) -> int | None:
    """Return a pod's number for a Service's port; None when it has no port of that name."""
    target = port.get("targetPort") or port["port"]
    if isinstance(target, int):
        return target
    spec = pod["spec"]
    sidecars = [c for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"]
    for container in (*(spec.get("containers") or ()), *sidecars):
        for declared in container.get("ports") or ():
            same = declared.get("name") == target
            if same and (declared.get("protocol") or "TCP") == (port.get("protocol") or "TCP"):
                return int(declared["containerPort"])
    return None


def ports_of(service: Mapping[str, Any], pod: Mapping[str, Any]) -> PortSet:
    """Return the ports of one pod behind a Service; a headless Service without ports has one empty set."""
    found = []
    for port in (service.get("spec") or {}).get("ports") or ():
        number = find_port(pod, port)
        if number is not None:
            protocol = port.get("protocol") or "TCP"
            found.append((port.get("name") or "", protocol, number, port.get("appProtocol") or ""))
    return PortSet(tuple(sorted(found)))


def endpoint_of(service: Mapping[str, Any], pod: Mapping[str, Any], addresses: Sequence[str], zone: str) -> Obj:
    """Build one endpoint."""
    spec, metadata = pod["spec"], pod["metadata"]
    publish = bool((service.get("spec") or {}).get("publishNotReadyAddresses"))
    ending = is_being_deleted(pod)
    serving = is_ready(pod) or publish
    endpoint: Obj = {
        "addresses": list(addresses),
        "conditions": {"ready": publish or (is_ready(pod) and not ending), "serving": serving, "terminating": ending},
        "targetRef": {
            "kind": "Pod",
            "namespace": metadata["namespace"],
            "name": metadata["name"],
            "uid": metadata["uid"],
        },
    }
    if spec.get("nodeName"):
        endpoint["nodeName"] = spec["nodeName"]
    if zone:
        endpoint["zone"] = zone
    if spec.get("hostname") and spec.get("subdomain") == service["metadata"]["name"]:
        endpoint["hostname"] = spec["hostname"]
    return endpoint


def desired_endpoints(
    service: Mapping[str, Any], pods: Iterable[Mapping[str, Any]], zones: Mapping[str, str]
) -> dict[tuple[str, PortSet], list[Obj]]:
    """Return the endpoints by (family, ports). `zones` is by node name."""
    found: dict[tuple[str, PortSet], list[Obj]] = {}
    for pod in pods:
        if phase_of(pod) in {"Succeeded", "Failed"}:
            continue
        zone = zones.get(str(pod["spec"].get("nodeName") or ""), "")
        for family in families_of(service):
            addresses = addresses_of(pod, family)
            if addresses:
                key = family, ports_of(service, pod)
                found.setdefault(key, []).append(endpoint_of(service, pod, addresses, zone))
    return found
