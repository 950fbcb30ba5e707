"""Checks of pod specs and pod templates, for pods and for every kind that makes pods.

The entry points of this module are what the strategies of workload kinds call:
`default_pod_spec`, `validate_pod_spec`, `validate_pod_template`, `pod_spec_warnings`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from windlass.apimachinery import names
from windlass.apimachinery.field_errors import duplicate, forbidden, invalid, invalid_each, required, too_many
from windlass.apimachinery.quantity import parse_quantity
from windlass.apis.core.v1.container_validation import PodFacts, validate_containers
from windlass.apis.core.v1.placement_validation import validate_placement
from windlass.apis.core.v1.pod_defaults import default_pod_spec
from windlass.apis.core.v1.pod_warnings import pod_spec_warnings
from windlass.apis.core.v1.resource_validation import validate_resource_name
from windlass.apis.core.v1.security_validation import validate_pod_security_context
from windlass.apis.core.v1.volume_validation import validate_volumes
from windlass.apis.meta.validation import validate_annotations, validate_labels
from windlass.errors import FieldError

__all__ = ["default_pod_spec", "pod_spec_warnings", "validate_pod_spec", "validate_pod_template"]

MAX_SECONDS = 2147483647
MAX_NAMESERVERS = 3
MAX_SEARCHES = 32
MAX_SEARCH_CHARACTERS = 2048
SUBDOMAIN_FIELDS = ("serviceAccountName", "nodeName", "priorityClassName", "runtimeClassName")
LABEL_FIELDS = ("hostname", "subdomain")


def validate_pod_template(template: Mapping[str, Any] | None, path: str) -> list[FieldError]:
    """Check a PodTemplateSpec (decoded and defaulted), as in `spec.template` of a Deployment."""
    template = template or {}
    meta, item = template.get("metadata") or {}, f"{path}.metadata"
    found = validate_labels(meta.get("labels") or {}, f"{item}.labels")
    found += validate_annotations(meta.get("annotations") or {}, f"{item}.annotations")
    spec = template.get("spec") or {}
    if spec.get("ephemeralContainers"):
        found.append(forbidden(f"{path}.spec.ephemeralContainers", "ephemeral containers not allowed in pod template"))
    return found + validate_pod_spec(spec, f"{path}.spec")


def validate_pod_spec(spec: Mapping[str, Any], path: str) -> list[FieldError]:
    """Check a PodSpec (decoded and defaulted) and return all that is wrong with it; `path` is the spec's own."""
    volumes = spec.get("volumes") or []
    facts = PodFacts(
        volumes={volume.get("name") or "": volume for volume in volumes},
        claims=frozenset(claim.get("name") or "" for claim in spec.get("resourceClaims") or []),
        host_network=bool(spec.get("hostNetwork")),
        grace_seconds=spec.get("terminationGracePeriodSeconds", 30),
    )
    return [
        *validate_volumes(volumes, f"{path}.volumes"),
        *validate_containers(spec, facts, path),
        *_validate_names(spec, path),
        *_validate_deadline(spec.get("activeDeadlineSeconds"), f"{path}.activeDeadlineSeconds"),
        *_validate_dns(spec, path),
        *_validate_host_aliases(spec.get("hostAliases") or [], f"{path}.hostAliases"),
        *_validate_gates(spec, path),
        *_validate_claims(spec.get("resourceClaims") or [], f"{path}.resourceClaims"),
        *_validate_overhead(spec.get("overhead") or {}, f"{path}.overhead"),
        *validate_pod_security_context(spec, path),
        *validate_placement(spec, path),
    ]


def _validate_names(spec: Mapping[str, Any], path: str) -> list[FieldError]:
    found = []
    for field in SUBDOMAIN_FIELDS:
        value = spec.get(field)
        if value:
            found += invalid_each(f"{path}.{field}", value, names.is_dns1123_subdomain(value))
    for field in LABEL_FIELDS:
        value = spec.get(field)
        if value:
            found += invalid_each(f"{path}.{field}", value, names.is_dns1123_label(value))
    return found + [required(f"{path}.imagePullSecrets[{index}].name")
                    for index, secret in enumerate(spec.get("imagePullSecrets") or []) if not secret.get("name")]


def _validate_deadline(seconds: int | None, path: str) -> list[FieldError]:
    if seconds is None or 1 <= seconds <= MAX_SECONDS:
        return []
    return [invalid(path, seconds, f"must be between 1 and {MAX_SECONDS}, inclusive")]


def _validate_dns(spec: Mapping[str, Any], path: str) -> list[FieldError]:
    config, item = spec.get("dnsConfig"), f"{path}.dnsConfig"
    if spec.get("dnsPolicy") == "None":
        if config is None:
            return [required(item, "must provide `dnsConfig` when `dnsPolicy` is None")]
        if not config.get("nameservers"):
            return [required(f"{item}.nameservers",
                             "must provide at least one DNS nameserver when `dnsPolicy` is None")]
    return [] if config is None else _validate_dns_config(config, item)


def _validate_dns_config(config: Mapping[str, Any], path: str) -> list[FieldError]:
    servers, searches = config.get("nameservers") or [], config.get("searches") or []
    found = []
    if len(servers) > MAX_NAMESERVERS:
        found.append(invalid(f"{path}.nameservers", servers, f"must not have more than {MAX_NAMESERVERS} nameservers"))
    for index, server in enumerate(servers):
        found += invalid_each(f"{path}.nameservers[{index}]", server, names.is_ip_address(server))
    if len(searches) > MAX_SEARCHES:
        found.append(too_many(f"{path}.searches", len(searches), MAX_SEARCHES))
    if len(" ".join(searches)) > MAX_SEARCH_CHARACTERS:
        found.append(invalid(f"{path}.searches", searches, f"must not have more than {MAX_SEARCH_CHARACTERS} "
                             "characters (including spaces) in the search list"))
    for index, search in enumerate(searches):
        found += invalid_each(f"{path}.searches[{index}]", search, names.is_dns1123_subdomain(search.removesuffix(".")))
    return found + [required(f"{path}.options[{index}]", "must not be empty")
                    for index, option in enumerate(config.get("options") or []) if not option.get("name")]


def _validate_host_aliases(aliases: Sequence[Mapping[str, Any]], path: str) -> list[FieldError]:
    found = []
    for index, alias in enumerate(aliases):
        address = alias.get("ip") or ""
        found += invalid_each(f"{path}[{index}].ip", address, names.is_ip_address(address))
        for place, name in enumerate(alias.get("hostnames") or []):
            found += invalid_each(f"{path}[{index}].hostnames[{place}]", name, names.is_dns1123_subdomain(name))
    return found


def _validate_gates(spec: Mapping[str, Any], path: str) -> list[FieldError]:
    found = []
    for index, gate in enumerate(spec.get("readinessGates") or []):
        kind = gate.get("conditionType") or ""
        found += invalid_each(f"{path}.readinessGates[{index}].conditionType", kind, names.is_qualified_name(kind))
    seen = set()
    for index, gate in enumerate(spec.get("schedulingGates") or []):
        item, name = f"{path}.schedulingGates[{index}]", gate.get("name") or ""
        found += invalid_each(item, name, names.is_qualified_name(name))
        if name in seen:
            found.append(duplicate(item, name))
        seen.add(name)
    return found


def _validate_claims(claims: Sequence[Mapping[str, Any]], path: str) -> list[FieldError]:
    found: list[FieldError] = []
    seen = set()
    for index, claim in enumerate(claims):
        item, name = f"{path}[{index}]", claim.get("name") or ""
        found += _validate_label_name(name, f"{item}.name")
        if name in seen:
            found.append(duplicate(f"{item}.name", name))
        seen.add(name)
        given = [field for field in ("resourceClaimName", "resourceClaimTemplateName") if claim.get(field)]
        if len(given) != 1:
            what = "at most" if given else "must specify"
            found.append(invalid(item, dict(claim), f"{what} one of `resourceClaimName`, `resourceClaimTemplateName`"))
    return found


def _validate_label_name(name: str, path: str) -> list[FieldError]:
    return invalid_each(path, name, names.is_dns1123_label(name)) if name else [required(path)]


def _validate_overhead(overhead: Mapping[str, Any], path: str) -> list[FieldError]:
    found = []
    for name, value in overhead.items():
        item = f"{path}[{name}]"
        found += validate_resource_name(name, item)
        if parse_quantity(value) < 0:
            found.append(invalid(item, value, "must be greater than or equal to 0"))
    return found
