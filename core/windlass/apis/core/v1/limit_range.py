"""Limit ranges: bounds and defaults for each single container, pod or claim of a namespace."""

from collections.abc import Iterable
from typing import Any

from windlass.apimachinery import names
from windlass.apimachinery.field_errors import duplicate, forbidden, invalid, invalid_each, required
from windlass.apimachinery.quantity import int_value, parse_quantity
from windlass.apimachinery.schema import ListOf, MapOf, Nested, Quantity, Str
from windlass.apimachinery.scheme import Column, KindDefinition, Obj, Strategy
from windlass.apis.core.v1.quota_resources import HUGE_PAGES, STANDARD
from windlass.apis.core.v1.resource_validation import CONTAINER_RESOURCES, may_be_overcommitted
from windlass.apis.core.v1.schema import CoreObject, CoreSchema
from windlass.errors import FieldError

CONTAINER, POD, CLAIM = "Container", "Pod", "PersistentVolumeClaim"
TYPES = (CONTAINER, POD, CLAIM)
MAPS = ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio")


class LimitRangeItem(CoreSchema):
    """Bounds for objects of one type."""

    default = MapOf("Limits of who sets none.", Quantity("The amount."))
    default_request = MapOf("Requests of who sets none.", Quantity("The amount."))
    max = MapOf("The most that one may ask for.", Quantity("The bound."))
    max_limit_request_ratio = MapOf("How many times its request a limit may be.", Quantity("The bound."))
    min = MapOf("The least that one must ask for.", Quantity("The bound."))
    type = Str("What is bounded: Container, Pod or PersistentVolumeClaim.", required=True)


class LimitRangeSpec(CoreSchema):
    """All bounds."""

    limits = ListOf("Bounds, one entry for each type.", LimitRangeItem, required=True, list_type="atomic")


class LimitRange(CoreObject):
    """Bounds what each container, pod or claim of a namespace may ask for."""

    spec = Nested("The bounds.", LimitRangeSpec)


def _default(item: Obj) -> None:
    """Take a container's default limit from the maximum, its default request from the default limit or else the minimum."""
    if item.get("type") != CONTAINER:
        return
    limits = {**(item.get("max") or {}), **(item.get("default") or {})}
    requests = {**(item.get("min") or {}), **limits, **(item.get("defaultRequest") or {})}
    for field, amounts in (("default", limits), ("defaultRequest", requests)):
        if amounts:
            item[field] = amounts


def _validate_name(kind: str, name: str, path: str) -> list[FieldError]:
    problems = list(names.is_qualified_name(name))
    if not problems and "/" not in name:
        known = CONTAINER_RESOURCES if kind in (CONTAINER, POD) else STANDARD | {"storage"}
        if name not in known and not name.startswith(HUGE_PAGES):
            problems = ["must be a standard limit type or fully qualified"]
            if kind in (CONTAINER, POD):
                problems = ["must be a standard resource for containers"]
    return invalid_each(path, name, problems)


def _validate_item(item: Obj, path: str) -> list[FieldError]:
    kind, found = item.get("type", ""), list[FieldError]()
    if "/" not in kind and kind not in TYPES:
        found.append(invalid(f"{path}.type", kind, "must be a standard limit type or fully qualified"))
    for field in MAPS:
        amounts = item.get(field) or {}
        if kind == POD and amounts and field in ("default", "defaultRequest"):
            found.append(forbidden(f"{path}.{field}", "may not be specified when `type` is 'Pod'"))
            continue
        for name in amounts:
            found += _validate_name(kind, name, f"{path}.{field}[{name}]")
    if kind == CLAIM and "storage" not in {**(item.get("min") or {}), **(item.get("max") or {})}:
        detail = "either minimum or maximum storage value is required, but neither was provided"
        found.append(required(f"{path}.limits", detail))
    for name in sorted({name for field in MAPS for name in item.get(field) or ()}):
        given = {field: item[field][name] for field in MAPS if name in (item.get(field) or {})}
        found += [*_validate_order(given, name, path), *_validate_ratio(given, name, path)]
    return found


ORDER = (
    ("min", "max", "min", "min value {} is greater than max value {}"),
    ("min", "defaultRequest", "defaultRequest", "min value {} is greater than default request value {}"),
    ("defaultRequest", "max", "defaultRequest", "default request value {} is greater than max value {}"),
    ("defaultRequest", "default", "defaultRequest", "default request value {} is greater than default limit value {}"),
    ("min", "default", "default", "min value {} is greater than default value {}"),
    ("default", "max", "default", "default value {} is greater than max value {}"),
)
"""Which must not be above which, the field that is to blame, and the words."""


def _validate_order(given: dict[str, str], name: str, path: str) -> Iterable[FieldError]:
    for low, high, field, words in ORDER:
        if low in given and high in given and parse_quantity(given[low]) > parse_quantity(given[high]):
            yield invalid(f"{path}.{field}[{name}]", given[field], words.format(given[low], given[high]))
    if not may_be_overcommitted(name) and "default" in given and "defaultRequest" in given:
        limit, request = given["default"], given["defaultRequest"]
        if parse_quantity(limit) != parse_quantity(request):
            words = f"default value {limit} must equal to defaultRequest value {request} in {name}"
            yield invalid(f"{path}.default[{name}]", limit, words)


def _validate_ratio(given: dict[str, str], name: str, path: str) -> Iterable[FieldError]:
    ratio, item = given.get("maxLimitRequestRatio"), f"{path}.maxLimitRequestRatio[{name}]"
    if ratio is None:
        return
    if parse_quantity(ratio) < 1:
        yield invalid(item, ratio, f"ratio {ratio} is less than 1")
    if "min" in given and "max" in given and int_value(given["min"]) > 0:
        most = int_value(given["max"]) / int_value(given["min"])
        if int_value(ratio) > most:
            yield invalid(item, ratio, f"ratio {ratio} is greater than max/min = {most:f}")


class LimitRangeStrategy(Strategy):
    """Behaviour of limit ranges."""

    columns = (Column("Created At", lambda obj, _now: obj["metadata"].get("creationTimestamp", ""),
                      description="When the limit range was created."),)  # fmt: skip

    def default(self, obj: Obj) -> None:
        """Derive a container's defaults from the bounds."""
        for item in (obj.get("spec") or {}).get("limits") or ():
            _default(item)

    def validate(self, obj: Obj) -> list[FieldError]:
        """Check every entry, and that no type stands twice."""
        found: list[FieldError] = []
        seen: set[Any] = set()
        for index, item in enumerate((obj.get("spec") or {}).get("limits") or ()):
            path = f"spec.limits[{index}]"
            found += _validate_item(item, path)
            if item.get("type") in seen:
                found.append(duplicate(f"{path}.type", item["type"]))
            seen.add(item.get("type"))
        return found


KINDS = (
    KindDefinition(
        group="",
        version="v1",
        kind="LimitRange",
        plural="limitranges",
        singular="limitrange",
        namespaced=True,
        schema=LimitRange,
        strategy=LimitRangeStrategy(),
        short_names=("limits",),
    ),
)
