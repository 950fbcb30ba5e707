"""What limit ranges do to pods and claims: the defaults they give and the bounds they hold, in Kubernetes' words. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from windlass.apimachinery.quantity import cpu_millis, int_value, parse_quantity
from windlass.apis.core.v1.limit_range import CLAIM, CONTAINER, POD
from windlass.apis.core.v1.pod_quantities import container_amounts, pod_amounts
from windlass.apis.core.v1.qos import qos_class

Obj = dict[str, Any]
Amounts = Mapping[str, str]
ANNOTATION = "kubernetes.io/limit-ranger"
MAX_MILLI_VALUE = (2**63 - 1) // 1000


def _items(limit_range: Mapping[str, Any], kind: str) -> Iterator[Mapping[str, Any]]:
    return (item for item in (limit_range.get("spec") or {}).get("limits") or () if item.get("type") == kind)


def give_defaults(pod: Obj, limit_range: Mapping[str, Any]) -> None:
    """Fill requests and limits that containers lack, and name in an annotation what was filled."""
    requests: Obj = {}
    limits: Obj = {}
    for item in _items(limit_range, CONTAINER):
        requests |= item.get("defaultRequest") or {}
        limits |= item.get("default") or {}
    if not requests and not limits:
        return
    told: list[str] = []
    for field, what in (("containers", "container"), ("initContainers", "init container")):
        for container in pod["spec"].get(field) or ():
            told += _fill(container, "requests", requests, f"request for {what}")
            told += _fill(container, "limits", limits, f"limit for {what}")
    if told:
        annotations = pod["metadata"].setdefault("annotations", {})
        annotations[ANNOTATION] = f"LimitRanger plugin set: {'; '.join(told)}"
        pod.setdefault("status", {})["qosClass"] = qos_class(pod["spec"])


def _fill(container: Obj, field: str, defaults: Amounts, what: str) -> list[str]:
    missing = {name: text for name, text in defaults.items() if name not in container_amounts(container, field)}
    if not missing:
        return []
    resources = container.setdefault("resources", {})
    resources[field] = {**(resources.get(field) or {}), **missing}
    return [f"{', '.join(sorted(missing))} {what} {container['name']}"]


def pod_problems(pod: Mapping[str, Any], limit_range: Mapping[str, Any]) -> list[str]:
    """Say how a pod breaks a limit range."""
    spec = pod["spec"]
    found: list[str] = []
    for item in _items(limit_range, CONTAINER):
        for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
            found += _problems(item, container_amounts(container, "requests"), container_amounts(container, "limits"))
    for item in _items(limit_range, POD):
        found += _problems(item, pod_amounts(spec, "requests"), pod_amounts(spec, "limits"))
    return found


def claim_problems(claim: Mapping[str, Any], limit_range: Mapping[str, Any]) -> list[str]:
    """Say how a claim breaks a limit range: only what it requests is looked at."""
    requests = ((claim.get("spec") or {}).get("resources") or {}).get("requests") or {}
    found: list[str] = []
    for item in _items(limit_range, CLAIM):
        for name, bound in (item.get("min") or {}).items():
            found += _below(f"minimum {name} usage per {CLAIM} is {bound}", bound, requests.get(name))
        for name, bound in (item.get("max") or {}).items():
            found += _above(f"maximum {name} usage per {CLAIM} is {bound}", bound, requests.get(name))
    return found


def _problems(item: Mapping[str, Any], requests: Amounts, limits: Amounts) -> Iterable[str]:
    kind = item["type"]
    for name, bound in (item.get("min") or {}).items():
        words, request, limit = f"minimum {name} usage per {kind} is {bound}", requests.get(name), limits.get(name)
        below = list(_below(words, bound, request))
        yield from below
        if not below and limit is not None and parse_quantity(limit) < parse_quantity(bound):
            yield f"{words}, but limit is {limit}"
    for name, bound in (item.get("max") or {}).items():
        words, request, limit = f"maximum {name} usage per {kind} is {bound}", requests.get(name), limits.get(name)
        if limit is None:
            yield f"{words}.  No limit is specified"
        elif parse_quantity(limit) > parse_quantity(bound):
            yield f"{words}, but limit is {limit}"
        elif request is not None:
            yield from _above(words, bound, request)
    for name, bound in (item.get("maxLimitRequestRatio") or {}).items():
        words = f"{name} max limit to request ratio per {kind} is {bound}"
        yield from _ratio(words, bound, requests.get(name), limits.get(name))


def _below(words: str, bound: str, request: str | None) -> Iterator[str]:
    if request is None:
        yield f"{words}.  No request is specified"
    elif parse_quantity(request) < parse_quantity(bound):
        yield f"{words}, but request is {request}"


def _above(words: str, bound: str, request: str | None) -> Iterator[str]:
    if request is None:
        yield f"{words}.  No request is specified"
    elif parse_quantity(request) > parse_quantity(bound):
        yield f"{words}, but request is {request}"


def _ratio(words: str, bound: str, request: str | None, limit: str | None) -> Iterator[str]:
    if request is None or parse_quantity(request) == 0:
        yield f"{words}, but no request is specified or request is 0"
    elif limit is None or parse_quantity(limit) == 0:
        yield f"{words}, but no limit is specified or limit is 0"
    else:
        # In thousandths, as long as they fit: that is how finely Kubernetes compares.
        fine = all(int_value(text) <= MAX_MILLI_VALUE for text in (request, limit, bound))
        measure = cpu_millis if fine else int_value
        ratio = measure(limit) / measure(request)
        if ratio > float(parse_quantity(bound)):
            yield f"{words}, but provided ratio is {ratio:f}"
