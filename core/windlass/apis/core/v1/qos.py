"""Quality of service classes: how well a pod is protected when its node runs short."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from windlass.apimachinery.quantity import parse_quantity

QOS_RESOURCES = ("cpu", "memory")


def qos_class(spec: Mapping[str, Any]) -> str:
    """Return `Guaranteed`, `Burstable` or `BestEffort`, by the cpu and memory of all containers."""
    containers = [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]
    requests = [_amounts(container, "requests") for container in containers]
    limits = [_amounts(container, "limits") for container in containers]
    if not any(requests) and not any(limits):
        return "BestEffort"
    guaranteed = all(
        set(limit) == set(QOS_RESOURCES) and {**limit, **request} == limit
        for request, limit in zip(requests, limits, strict=True)
    )
    return "Guaranteed" if guaranteed else "Burstable"


def _amounts(container: Mapping[str, Any], field: str) -> dict[str, Decimal]:
    listed = (container.get("resources") or {}).get(field) or {}
    parsed = {name: parse_quantity(listed[name]) for name in QOS_RESOURCES if listed.get(name) is not None}
    return {name: amount for name, amount in parsed.items() if amount > 0}
