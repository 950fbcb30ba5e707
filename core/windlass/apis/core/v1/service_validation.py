"""What must hold across the fields of a Service; the messages are Kubernetes'."""

from collections.abc import Mapping
from typing import Any

from windlass.apimachinery import names
from windlass.apimachinery.checks import ip_address, port
from windlass.apimachinery.field_errors import duplicate, forbidden, invalid, invalid_each, required
from windlass.apis.meta.validation import validate_labels
from windlass.errors import FieldError

HEADLESS = "None"
NODE_PORT_TYPES = ("NodePort", "LoadBalancer")
MAX_AFFINITY_SECONDS = 86_400

Spec = Mapping[str, Any]


def validate_service_spec(spec: Spec) -> list[FieldError]:
    """Check a decoded and defaulted ServiceSpec and return all that is wrong with it."""
    addressed = _validate_external_name(spec) if spec.get("type") == "ExternalName" else _validate_addresses(spec)
    return [
        *addressed,
        *validate_labels(spec.get("selector") or {}, "spec.selector"),
        *_validate_ports(spec),
        *_validate_affinity(spec),
        *_validate_traffic(spec),
    ]


def validate_cluster_ip_update(new: Spec, old: Spec) -> list[FieldError]:
    """Keep the cluster address, unless the type leaves it behind."""
    if not old.get("clusterIP") or "ExternalName" in (old.get("type"), new.get("type")):
        return []
    if new.get("clusterIP") == old["clusterIP"]:
        return []
    detail = "may not change once set" if new.get("clusterIP") else "primary clusterIP can not be unset"
    return [invalid("spec.clusterIPs[0]", new.get("clusterIPs") or [], detail)]


def _validate_external_name(spec: Spec) -> list[FieldError]:
    name = spec.get("externalName") or ""
    found = [] if name else [required("spec.externalName")]
    if name:
        found += invalid_each("spec.externalName", name, names.is_dns1123_subdomain(name.rstrip(".").lower()))
    if spec.get("clusterIP"):
        found.append(forbidden("spec.clusterIPs[0]", "may not be set for ExternalName services"))
    return found


def _validate_addresses(spec: Spec) -> list[FieldError]:
    address, addresses = spec.get("clusterIP") or "", spec.get("clusterIPs") or []
    headless = address == HEADLESS
    found = [] if spec.get("ports") or headless else [required("spec.ports")]
    if addresses and addresses[0] != address:
        found.append(invalid("spec.clusterIPs", addresses, "first value must match `clusterIP`"))
    if len(addresses) > 2:
        found.append(invalid("spec.clusterIPs", addresses, "may only hold up to 2 values"))
    if headless and spec.get("type") in NODE_PORT_TYPES:
        found.append(invalid("spec.clusterIPs[0]", HEADLESS, f"may not be set to 'None' for {spec['type']} services"))
    for index, one in enumerate(addresses):
        if one != HEADLESS:
            found += ip_address(one, f"spec.clusterIPs[{index}]")
        elif len(addresses) > 1:
            found.append(invalid(f"spec.clusterIPs[{index}]", one, "'None' must be the first and only value"))
    return found


def _validate_ports(spec: Spec) -> list[FieldError]:
    found: list[FieldError] = []
    ports = spec.get("ports") or []
    seen_names: set[str] = set()
    seen_ports: set[tuple[int, str]] = set()
    for index, one in enumerate(ports):
        path, name = f"spec.ports[{index}]", one.get("name") or ""
        if name:
            found += invalid_each(f"{path}.name", name, names.is_dns1123_label(name))
        elif len(ports) > 1:
            found.append(required(f"{path}.name"))
        if name and name in seen_names:
            found.append(duplicate(f"{path}.name", name))
        pair = (one.get("port", 0), one.get("protocol", "TCP"))
        if pair in seen_ports:
            found.append(duplicate(path, {"port": pair[0], "protocol": pair[1]}))
        seen_names.add(name)
        seen_ports.add(pair)
        found += _validate_target(one.get("targetPort", 1), f"{path}.targetPort")
    return found + _validate_node_ports(spec)


def _validate_target(target: int | str, path: str) -> list[FieldError]:
    if isinstance(target, str):
        return invalid_each(path, target, names.is_port_name(target))
    return list(port(target, path))


def _validate_node_ports(spec: Spec) -> list[FieldError]:
    found: list[FieldError] = []
    seen: set[tuple[int, str]] = set()
    for index, one in enumerate(spec.get("ports") or []):
        path, number = f"spec.ports[{index}].nodePort", one.get("nodePort")
        if not number:
            continue
        pair = (number, one.get("protocol", "TCP"))
        if spec.get("type") not in NODE_PORT_TYPES:
            found.append(forbidden(path, f"may not be used when `type` is '{spec.get('type')}'"))
        elif pair in seen:
            found.append(duplicate(path, number))
        seen.add(pair)
    return found


def _validate_affinity(spec: Spec) -> list[FieldError]:
    if spec.get("sessionAffinity") != "ClientIP":
        return []
    config = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
    seconds = config.get("timeoutSeconds", 1)
    if 0 < seconds <= MAX_AFFINITY_SECONDS:
        return []
    path = "spec.sessionAffinityConfig.clientIP.timeoutSeconds"
    return [invalid(path, seconds, f"must be greater than 0 and less than {MAX_AFFINITY_SECONDS}")]


def _validate_traffic(spec: Spec) -> list[FieldError]:
    """Refuse what only makes sense for Services that are reached from outside."""
    found: list[FieldError] = []
    external = spec.get("type") in NODE_PORT_TYPES or bool(spec.get("externalIPs"))
    if spec.get("externalTrafficPolicy") and not external:
        found.append(invalid("spec.externalTrafficPolicy", spec["externalTrafficPolicy"],
                             "may only be set for externally-accessible services"))  # fmt: skip
    balanced = spec.get("type") == "LoadBalancer"
    if spec.get("healthCheckNodePort") and not (balanced and spec.get("externalTrafficPolicy") == "Local"):
        detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        found.append(invalid("spec.healthCheckNodePort", spec["healthCheckNodePort"], detail))
    if balanced:
        return found
    only = "may only be used when `type` is 'LoadBalancer'"
    names_of_balancer = ("allocateLoadBalancerNodePorts", "loadBalancerClass", "loadBalancerSourceRanges")
    return found + [forbidden(f"spec.{name}", only) for name in names_of_balancer if spec.get(name) is not None]
