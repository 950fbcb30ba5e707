"""Resource quotas: how much a namespace may use in all."""

from datetime import datetime
from typing import Any

from windlass.apimachinery.field_errors import immutable, invalid, required
from windlass.apimachinery.schema import ListOf, MapOf, Nested, Quantity, Str
from windlass.apimachinery.scheme import Column, KindDefinition, Obj, Strategy
from windlass.apimachinery.table import AGE
from windlass.apis.core.v1.quota_resources import (
    BEST_EFFORT,
    NOT_BEST_EFFORT,
    NOT_TERMINATING,
    PRIORITY_CLASS,
    SCOPES,
    TERMINATING,
    is_standard,
    scope_allows,
    validate_amounts,
)
from windlass.apis.core.v1.schema import CoreObject, CoreSchema
from windlass.errors import FieldError

PENDING = "quota.windlass.dev/pending-charges"
"""Annotation of what admission has charged and the controller has not seen stored yet. The system's own."""
ONLY_EXISTS = (
    "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, "
    "ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"
)


class ScopedResourceSelectorRequirement(CoreSchema):
    """Selects by one scope."""

    operator = Str("How the scope's value relates to the values.", required=True)
    scope_name = Str("The scope.", required=True)
    values = ListOf("Values for In and NotIn.", Str("One value."), list_type="atomic")


class ScopeSelector(CoreSchema):
    """Selects the objects that a quota counts by scopes with values."""

    openapi_map_type = "atomic"

    match_expressions = ListOf("All of these must hold.", ScopedResourceSelectorRequirement, list_type="atomic")


class ResourceQuotaSpec(CoreSchema):
    """What may be used in all."""

    hard = MapOf("The most of each resource.", Quantity("The bound."))
    scope_selector = Nested("Narrows what is counted, by scopes with values.", ScopeSelector)
    scopes = ListOf("Narrows what is counted; all must match.", Str("One scope."), list_type="atomic")


class ResourceQuotaStatus(CoreSchema):
    """What is enforced and how much of it is used."""

    hard = MapOf("The bounds that are enforced.", Quantity("The bound."))
    used = MapOf("How much of each is in use.", Quantity("The amount."))


class ResourceQuota(CoreObject):
    """Bounds what the objects of a namespace use together."""

    spec = Nested("The bounds.", ResourceQuotaSpec)
    status = Nested("The bounds in force and the use.", ResourceQuotaStatus)


def quota_scopes(spec: Obj) -> list[Obj]:
    """Return scopes and scope selector as one list of requirements."""
    plain = [{"scopeName": scope, "operator": "Exists"} for scope in spec.get("scopes") or ()]
    return [*plain, *((spec.get("scopeSelector") or {}).get("matchExpressions") or ())]


def _validate_scopes(spec: Obj) -> list[FieldError]:
    scopes, path, found = spec.get("scopes") or [], "spec.scopes", list[FieldError]()
    for scope in scopes:
        if scope not in SCOPES:
            found.append(invalid(path, scopes, "unsupported scope"))
        found += _unfit(spec, scope, path, scopes)
    for pair in ({BEST_EFFORT, NOT_BEST_EFFORT}, {TERMINATING, NOT_TERMINATING}):
        if pair <= set(scopes):
            found.append(invalid(path, scopes, "conflicting scopes"))
    return found


def _unfit(spec: Obj, scope: str, path: str, shown: Any) -> list[FieldError]:
    unfit = [name for name in sorted(spec.get("hard") or {}) if is_standard(name) and not scope_allows(scope, name)]
    return [invalid(path, shown, "unsupported scope applied to resource") for _ in unfit]


def _validate_requirement(spec: Obj, one: Obj) -> list[FieldError]:
    path = "spec.scopeSelector.matchExpressions"
    scope, operator, values = one.get("scopeName", ""), one.get("operator", ""), one.get("values") or []
    found = []
    if scope not in SCOPES:
        found.append(invalid(f"{path}.scopeName", scope, "unsupported scope"))
    found += _unfit(spec, scope, path, spec.get("scopeSelector"))
    if scope in SCOPES - {PRIORITY_CLASS} and operator != "Exists":
        found.append(invalid(f"{path}.operator", operator, ONLY_EXISTS))
    if operator in ("In", "NotIn"):
        if not values:
            detail = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
            found.append(required(f"{path}.values", detail))
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            detail = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
            found.append(invalid(f"{path}.values", values, detail))
    else:
        found.append(invalid(f"{path}.operator", operator, "not a valid selector operator"))
    return found


def _shown(obj: Obj, *, limits: bool) -> str:
    status = obj.get("status") or {}
    hard, used = status.get("hard") or {}, status.get("used") or {}
    chosen = [name for name in sorted(hard) if name.startswith("limits.") == limits]
    return ", ".join(f"{name}: {used.get(name, '0')}/{hard[name]}" for name in chosen)


def _request_cell(obj: Obj, _now: datetime) -> str:
    return _shown(obj, limits=False)


def _limit_cell(obj: Obj, _now: datetime) -> str:
    return _shown(obj, limits=True)


class ResourceQuotaStrategy(Strategy):
    """Behaviour of resource quotas."""

    columns = (
        Column("Request", _request_cell, description="Use and bound of what is requested or counted."),
        Column("Limit", _limit_cell, description="Use and bound of limits."),
        AGE,
    )

    def prepare_for_create(self, obj: Obj) -> None:
        """Drop the status and what only the system writes."""
        super().prepare_for_create(obj)
        (obj["metadata"].get("annotations") or {}).pop(PENDING, None)

    def prepare_for_update(self, new: Obj, old: Obj) -> None:
        """Keep the status and the system's annotation."""
        super().prepare_for_update(new, old)
        kept = (old["metadata"].get("annotations") or {}).get(PENDING)
        if kept is not None:
            new["metadata"].setdefault("annotations", {})[PENDING] = kept
        else:
            (new["metadata"].get("annotations") or {}).pop(PENDING, None)

    def validate(self, obj: Obj) -> list[FieldError]:
        """Check names, amounts and scopes."""
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        found = validate_amounts(spec.get("hard"), "spec.hard")
        found += _validate_scopes(spec)
        for one in (spec.get("scopeSelector") or {}).get("matchExpressions") or ():
            found += _validate_requirement(spec, one)
        for field in ("hard", "used"):
            found += validate_amounts(status.get(field), f"status.{field}")
        return found

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        """Keep the scopes: what was charged under them would be lost."""
        after, before = (new.get("spec") or {}), (old.get("spec") or {})
        return immutable("spec.scopes", sorted(after.get("scopes") or ()), sorted(before.get("scopes") or ()))


KINDS = (
    KindDefinition(
        group="",
        version="v1",
        kind="ResourceQuota",
        plural="resourcequotas",
        singular="resourcequota",
        namespaced=True,
        schema=ResourceQuota,
        strategy=ResourceQuotaStrategy(),
        short_names=("quota",),
        subresources=("status",),
    ),
)
