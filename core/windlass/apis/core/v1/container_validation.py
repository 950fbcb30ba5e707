"""Checks of a pod's containers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from windlass.apimachinery import names
from windlass.apimachinery.field_errors import duplicate, forbidden, invalid, invalid_each, not_supported, required
from windlass.apis.core.v1.env_validation import validate_env, validate_env_from
from windlass.apis.core.v1.mount_validation import validate_mounts
from windlass.apis.core.v1.probe_validation import PORT_RANGE, PROBES, validate_lifecycle, validate_probes
from windlass.apis.core.v1.resource_validation import validate_resource_requirements
from windlass.apis.core.v1.security_validation import validate_security_context
from windlass.errors import FieldError

INIT_ONLY_SIDECARS = ("lifecycle", *PROBES)
EPHEMERAL_FORBIDDEN = ("ports", *INIT_ONLY_SIDECARS, "resizePolicy")


@dataclass(frozen=True, slots=True)
class PodFacts:
    """What containers need to know of their pod."""

    volumes: Mapping[str, Mapping[str, Any]]
    claims: frozenset[str]
    host_network: bool
    grace_seconds: int


def validate_containers(spec: Mapping[str, Any], facts: PodFacts, path: str) -> list[FieldError]:
    """Check the init, main and ephemeral containers of a pod spec; `path` is the spec's."""
    found: list[FieldError] = []
    seen: set[str] = set()
    main = spec.get("containers") or []
    if not main:
        found.append(required(f"{path}.containers"))
    # The main containers claim their names first, as in Kubernetes: a clash is reported on the other one.
    for field in ("containers", "initContainers", "ephemeralContainers"):
        for index, container in enumerate(spec.get(field) or []):
            item = f"{path}.{field}[{index}]"
            found += _validate_container(container, facts, item) + _validate_role(field, container, spec, item)
            name = container.get("name") or ""
            if name in seen:
                found.append(duplicate(f"{item}.name", name))
            seen.add(name)
    for field in ("containers", "initContainers"):
        found += _validate_host_port_conflicts(spec.get(field) or [], f"{path}.{field}")
    return found


def _validate_container(container: Mapping[str, Any], facts: PodFacts, path: str) -> list[FieldError]:
    name, image = container.get("name") or "", container.get("image") or ""
    found = invalid_each(f"{path}.name", name, names.is_dns1123_label(name)) if name else [required(f"{path}.name")]
    if not image:
        found.append(required(f"{path}.image"))
    elif image != image.strip():
        found.append(invalid(f"{path}.image", image, "must not have leading or trailing whitespace"))
    return [
        *found,
        *validate_ports(container.get("ports") or [], f"{path}.ports", host_network=facts.host_network),
        *validate_env(container.get("env") or [], f"{path}.env"),
        *validate_env_from(container.get("envFrom") or [], f"{path}.envFrom"),
        *validate_mounts(container, facts.volumes, path),
        *validate_probes(container, path),
        *validate_lifecycle(container.get("lifecycle"), facts.grace_seconds, f"{path}.lifecycle"),
        *validate_resource_requirements(container.get("resources"), facts.claims, f"{path}.resources"),
        *validate_security_context(container.get("securityContext"), f"{path}.securityContext"),
    ]


def _validate_role(field: str, container: Mapping[str, Any], spec: Mapping[str, Any], path: str) -> list[FieldError]:
    """Check what only some kinds of containers may have."""
    restart = container.get("restartPolicy")
    if field == "initContainers":
        if restart not in (None, "", "Always"):
            return [not_supported(f"{path}.restartPolicy", restart, ("Always",))]
        refused = () if restart else INIT_ONLY_SIDECARS
        return [forbidden(f"{path}.{name}", "may not be set for init containers without restartPolicy=Always")
                for name in refused if container.get(name) is not None]
    found = []
    if restart:
        found.append(forbidden(f"{path}.restartPolicy", "may not be set for non-init containers"))
    if field == "ephemeralContainers":
        found += _validate_ephemeral(container, spec, path)
    return found


def _validate_ephemeral(container: Mapping[str, Any], spec: Mapping[str, Any], path: str) -> list[FieldError]:
    found = [forbidden(f"{path}.{name}", "cannot be set for an Ephemeral Container")
             for name in EPHEMERAL_FORBIDDEN if container.get(name)]
    if (container.get("resources") or {}) != {}:
        found.append(forbidden(f"{path}.resources", "cannot be set for an Ephemeral Container"))
    target = container.get("targetContainerName")
    others = {other.get("name") for field in ("containers", "initContainers") for other in spec.get(field) or []}
    if target and target not in others:
        found.append(FieldError(f"{path}.targetContainerName", f'Not found: "{target}"', "FieldValueNotFound"))
    return found


def validate_ports(ports: Sequence[Mapping[str, Any]], path: str, *, host_network: bool = False) -> list[FieldError]:
    """Check the ports of one container."""
    found = []
    seen = set()
    for index, port in enumerate(ports):
        item, name = f"{path}[{index}]", port.get("name") or ""
        if name:
            found += invalid_each(f"{item}.name", name, names.is_port_name(name))
            if name in seen:
                found.append(duplicate(f"{item}.name", name))
            seen.add(name)
        found += _validate_port_numbers(port, item, host_network=host_network)
    return found


def _validate_port_numbers(port: Mapping[str, Any], path: str, *, host_network: bool) -> list[FieldError]:
    found = []
    number, host_port = port.get("containerPort") or 0, port.get("hostPort") or 0
    if number == 0:
        found.append(required(f"{path}.containerPort"))
    elif not 1 <= number <= 65535:
        found.append(invalid(f"{path}.containerPort", number, PORT_RANGE))
    if host_port and not 1 <= host_port <= 65535:
        found.append(invalid(f"{path}.hostPort", host_port, PORT_RANGE))
    elif host_network and host_port != number:
        found.append(invalid(f"{path}.hostPort", host_port, "must match `containerPort` when `hostNetwork` is true"))
    return found


def _validate_host_port_conflicts(containers: Sequence[Mapping[str, Any]], path: str) -> list[FieldError]:
    found = []
    seen = set()
    for index, container in enumerate(containers):
        for place, port in enumerate(container.get("ports") or []):
            if not port.get("hostPort"):
                continue
            key = f"{port.get('protocol', 'TCP')}/{port.get('hostIP') or ''}/{port['hostPort']}"
            if key in seen:
                found.append(duplicate(f"{path}[{index}].ports[{place}].hostPort", key))
            seen.add(key)
    return found
