"""Checks of resource names and amounts."""

from collections.abc import Mapping
from typing import Any

from windlass.apimachinery import names
from windlass.apimachinery.field_errors import duplicate, forbidden, invalid, invalid_each, not_found, required
from windlass.apimachinery.quantity import parse_quantity
from windlass.errors import FieldError

CONTAINER_RESOURCES = frozenset({"cpu", "memory", "ephemeral-storage"})
HUGE_PAGES = "hugepages-"
NATIVE_DOMAIN = "kubernetes.io/"


def is_extended(name: str) -> bool:
    """Tell whether a resource comes from a device plugin or an operator: its domain is not Kubernetes'."""
    domain, slash, _ = name.rpartition("/")
    return bool(slash) and not f"{domain}/".endswith(NATIVE_DOMAIN) and not name.startswith("requests.")


def may_be_overcommitted(name: str) -> bool:
    """Tell whether requests may be below limits."""
    return not is_extended(name) and not name.startswith(HUGE_PAGES)


def validate_resource_name(name: str, path: str) -> list[FieldError]:
    """Check the name of a resource that a container asks for."""
    problems = list(names.is_qualified_name(name))
    if not problems and "/" not in name and name not in CONTAINER_RESOURCES and not name.startswith(HUGE_PAGES):
        problems = ["must be a standard resource for containers", "must be a standard resource type or fully qualified"]
    return invalid_each(path, name, problems)


def validate_quantity(name: str, value: Any, path: str) -> list[FieldError]:
    """Check that an amount is not negative, and whole where the resource cannot be divided."""
    amount = parse_quantity(value)
    if amount < 0:
        return [invalid(path, value, "must be greater than or equal to 0")]
    if is_extended(name) and amount != amount.to_integral_value():
        return [invalid(path, value, "must be an integer")]
    return []


def validate_resource_requirements(resources: Mapping[str, Any] | None, claims: frozenset[str],
                                   path: str) -> list[FieldError]:
    """Check requests and limits of a container; `claims` are the names of the pod's resourceClaims."""
    resources = resources or {}
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    found = []
    for field, amounts in (("limits", limits), ("requests", requests)):
        for name, value in amounts.items():
            item = f"{path}.{field}[{name}]"
            found += validate_resource_name(name, item) or validate_quantity(name, value, item)
    if not found:
        for name, value in requests.items():
            found += _validate_against_limit(name, value, limits.get(name), path)
    asked = {*limits, *requests}
    if any(name.startswith(HUGE_PAGES) for name in asked) and not asked & {"cpu", "memory"}:
        found.append(forbidden(path, "HugePages require cpu or memory"))
    return found + _validate_claims(resources.get("claims") or [], claims, f"{path}.claims")


def _validate_against_limit(name: str, request: Any, limit: Any, path: str) -> list[FieldError]:
    if limit is None:
        needed = not may_be_overcommitted(name)
        return [required(f"{path}.limits", "Limit must be set for non overcommitable resources")] if needed else []
    asked, allowed = parse_quantity(request), parse_quantity(limit)
    if asked != allowed and not may_be_overcommitted(name):
        return [invalid(f"{path}.requests", request, f"must be equal to {name} limit of {limit}")]
    if asked > allowed:
        return [invalid(f"{path}.requests", request, f"must be less than or equal to {name} limit of {limit}")]
    return []


def _validate_claims(listed: list[Mapping[str, Any]], known: frozenset[str], path: str) -> list[FieldError]:
    found, seen = [], set()
    for index, claim in enumerate(listed):
        key = (claim.get("name"), claim.get("request") or "")
        if not key[0]:
            found.append(required(f"{path}[{index}].name"))
        elif key in seen:
            found.append(duplicate(f"{path}[{index}]", key[0]))
        elif key[0] not in known:
            found.append(not_found(f"{path}[{index}]", key[0]))
        seen.add(key)
    return found
