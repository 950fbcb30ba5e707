"""Ingresses: HTTP from outside to Services, by host name and path."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from windlass.apimachinery import names
from windlass.apimachinery.field_errors import invalid, invalid_each, required
from windlass.apimachinery.schema import Int, ListOf, Nested, Str
from windlass.apimachinery.scheme import Column, KindDefinition, Obj, Strategy
from windlass.apimachinery.table import AGE
from windlass.apis.core.v1.references import TypedLocalObjectReference
from windlass.apis.meta.v1 import ApiObject
from windlass.apis.networking.v1.schema import GROUP, NetworkingSchema
from windlass.errors import FieldError

ABSOLUTE_TYPES = ("Exact", "Prefix")
PATH_TYPES = (*ABSOLUTE_TYPES, "ImplementationSpecific")
NO_PATH_PARTS = ("//", "/./", "/../", "%2f", "%2F")
NO_PATH_ENDS = ("/..", "/.")


class ServiceBackendPort(NetworkingSchema):
    """A Service's port, by name or number."""

    openapi_map_type = "atomic"

    name = Str("Name of the port.")
    number = Int("Number of the port.")


class IngressServiceBackend(NetworkingSchema):
    """A Service behind an Ingress."""

    name = Str("Name of the Service, in the same namespace.", required=True)
    port = Nested("Its port.", ServiceBackendPort)


class IngressBackend(NetworkingSchema):
    """Where requests go: to a Service, or to an object that the Ingress class knows."""

    resource = Nested("An object that the class knows.", TypedLocalObjectReference)
    service = Nested("A Service.", IngressServiceBackend)


class HTTPIngressPath(NetworkingSchema):
    """Requests for some paths."""

    backend = Nested("Where they go.", IngressBackend, required=True)
    path = Str("The path.")
    path_type = Str("How the path is compared.", required=True, enum=PATH_TYPES)


class HTTPIngressRuleValue(NetworkingSchema):
    """What becomes of a host's requests."""

    paths = ListOf("By path.", HTTPIngressPath, required=True, list_type="atomic")


class IngressRule(NetworkingSchema):
    """Requests for one host, or for any."""

    host = Str("Host name, or `*.` and a domain; none means any.")
    http = Nested("What becomes of them.", HTTPIngressRuleValue)


class IngressTLS(NetworkingSchema):
    """Hosts that are served over TLS."""

    hosts = ListOf("Host names in the certificate.", Str("One of them."), list_type="atomic")
    secret_name = Str("Secret that holds certificate and key.")


class IngressSpec(NetworkingSchema):
    """What comes in where."""

    default_backend = Nested("Where requests go that no rule takes.", IngressBackend)
    ingress_class_name = Str("Class whose controller serves it.")
    rules = ListOf("Rules by host.", IngressRule, list_type="atomic")
    tls = ListOf("Hosts that are served over TLS.", IngressTLS, list_type="atomic")


class IngressPortStatus(NetworkingSchema):
    """What became of one port at the way in."""

    error = Str("What went wrong, in one word.")
    port = Int("Number of the port.", required=True)
    protocol = Str("Transport protocol.", required=True)


class IngressLoadBalancerIngress(NetworkingSchema):
    """One way in."""

    hostname = Str("Its host name.")
    ip = Str("Its address.")
    ports = ListOf("What became of each port.", IngressPortStatus, list_type="atomic")


class IngressLoadBalancerStatus(NetworkingSchema):
    """The ways in."""

    ingress = ListOf("The ways in.", IngressLoadBalancerIngress, list_type="atomic")


class IngressStatus(NetworkingSchema):
    """What is observed of an Ingress."""

    load_balancer = Nested("Where it is reached.", IngressLoadBalancerStatus)


class Ingress(ApiObject):
    """Brings HTTP from outside to Services."""

    openapi_prefix = NetworkingSchema.openapi_prefix

    spec = Nested("What comes in where.", IngressSpec)
    status = Nested("What is observed.", IngressStatus)


def _hosts(obj: Obj, _now: datetime) -> str:
    hosts = [rule["host"] for rule in (obj.get("spec") or {}).get("rules") or () if rule.get("host")]
    return ",".join(hosts[:3]) + (f" + {len(hosts) - 3} more..." if len(hosts) > 3 else "") if hosts else "*"


def _address(obj: Obj, _now: datetime) -> str:
    found = ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    return ",".join(one.get("ip") or one.get("hostname") or "" for one in found)


class IngressStrategy(Strategy):
    """Behaviour of Ingresses."""

    has_generation = True
    columns = (
        Column("Class", lambda obj, _now: (obj.get("spec") or {}).get("ingressClassName") or "<none>",
               description="Class whose controller serves it."),
        Column("Hosts", _hosts, description="The first hosts."),
        Column("Address", _address, description="Where it is reached."),
        Column("Ports", lambda obj, _now: "80, 443" if (obj.get("spec") or {}).get("tls") else "80",
               description="Ports that it listens on."),
        AGE,
    )  # fmt: skip

    def validate(self, obj: Obj) -> list[FieldError]:
        """Check rules, paths, backends and TLS hosts."""
        spec = obj.get("spec") or {}
        found: list[FieldError] = []
        if not spec.get("rules") and not spec.get("defaultBackend"):
            found.append(invalid("spec", "", "either `defaultBackend` or `rules` must be specified"))
        if spec.get("defaultBackend"):
            found += validate_backend(spec["defaultBackend"], "spec.defaultBackend")
        class_name = spec.get("ingressClassName")
        if class_name is not None:
            found += invalid_each("spec.ingressClassName", class_name, names.is_dns1123_subdomain(class_name))
        for index, rule in enumerate(spec.get("rules") or ()):
            found += _validate_rule(rule, f"spec.rules[{index}]")
        for index, tls in enumerate(spec.get("tls") or ()):
            for position, host in enumerate(tls.get("hosts") or ()):
                found += _validate_host(host, f"spec.tls[{index}].hosts[{position}]")
        return found


def _validate_host(host: str, path: str) -> list[FieldError]:
    if "*" in host:
        return invalid_each(path, host, names.is_wildcard_dns1123_subdomain(host))
    return invalid_each(path, host, names.is_dns1123_subdomain(host))


def _validate_rule(rule: Mapping[str, Any], path: str) -> list[FieldError]:
    host = rule.get("host") or ""
    found: list[FieldError] = []
    if host and not names.is_ip_address(host):
        found.append(invalid(f"{path}.host", host, "must be a DNS name, not an IP address"))
    elif host:
        found += _validate_host(host, f"{path}.host")
    if rule.get("http") is None:
        return found
    paths = rule["http"].get("paths") or []
    if not paths:
        found.append(required(f"{path}.http.paths"))
    for index, one in enumerate(paths):
        found += _validate_path(one, f"{path}.http.paths[{index}]")
    return found


def _validate_path(one: Mapping[str, Any], path: str) -> list[FieldError]:
    text, kind = one.get("path") or "", one.get("pathType")
    found: list[FieldError] = []
    if kind in ABSOLUTE_TYPES:
        if not text.startswith("/"):
            found.append(invalid(f"{path}.path", text, "must be an absolute path"))
        found += [invalid(f"{path}.path", text, f"must not contain '{p}'") for p in NO_PATH_PARTS if p in text]
        found += [invalid(f"{path}.path", text, f"cannot end with '{p}'") for p in NO_PATH_ENDS if text.endswith(p)]
    elif text and not text.startswith("/"):
        found.append(invalid(f"{path}.path", text, "must be an absolute path"))
    return found + validate_backend(one.get("backend") or {}, f"{path}.backend")


def validate_backend(backend: Mapping[str, Any], path: str) -> list[FieldError]:
    """Check that a backend is exactly one thing, and that thing's name and port."""
    service, resource = backend.get("service"), backend.get("resource")
    if resource is not None and service is not None:
        return [invalid(path, "", "cannot set both resource and service backends")]
    if resource is not None:
        return []
    if service is None:
        return [required(path, "port name or number is required")]
    name, port = service.get("name") or "", service.get("port") or {}
    found = invalid_each(f"{path}.service.name", name, names.is_dns1035_label(name)) if name else []
    if not name:
        found.append(required(f"{path}.service.name"))
    if port.get("name") and port.get("number"):
        found.append(invalid(path, "", "cannot set both port name & port number"))
    elif port.get("name"):
        found += invalid_each(f"{path}.service.port.name", port["name"], names.is_port_name(port["name"]))
    elif port.get("number"):
        found += invalid_each(f"{path}.service.port.number", port["number"], names.is_port_number(port["number"]))
    else:
        found.append(required(path, "port name or number is required"))
    return found


KINDS = (
    KindDefinition(
        group=GROUP,
        version="v1",
        kind="Ingress",
        plural="ingresses",
        singular="ingress",
        namespaced=True,
        schema=Ingress,
        strategy=IngressStrategy(),
        short_names=("ing",),
        subresources=("status",),
    ),
)
