"""What a pod asks of its node, as the API defines it. Pure; scheduler, quotas and host agents count alike."""

from collections.abc import Callable, Mapping
from typing import Any

from windlass.apimachinery import quantity

CPU = "cpu"


def resource_amount(name: str, text: Any) -> int:
    """Read a quantity in whole units: cpu in millicores, all else in whole units, rounded up."""
    return quantity.cpu_millis(str(text)) if name == CPU else quantity.int_value(str(text))


def container_requests(container: Mapping[str, Any]) -> dict[str, int]:
    """Return what one container requests."""
    requests = container.get("resources", {}).get("requests") or {}
    return {name: resource_amount(name, text) for name, text in requests.items()}


def _add(total: dict[str, int], more: Mapping[str, int]) -> None:
    for name, amount in more.items():
        total[name] = total.get(name, 0) + amount


def _raise_to(total: dict[str, int], floor: Mapping[str, int]) -> None:
    for name, amount in floor.items():
        total[name] = max(total.get(name, 0), amount)


def pod_requests(spec: Mapping[str, Any], view: Callable[[dict[str, int]], dict[str, int]] = dict) -> dict[str, int]:
    """Sum a pod's requests as the API defines them.

    Containers and sidecars run together; each other init container runs with the sidecars started before it; the pod
    needs the larger, plus its overhead. `view` changes each container's requests first.
    """
    total: dict[str, int] = {}
    for container in spec.get("containers") or ():
        _add(total, view(container_requests(container)))
    sidecars: dict[str, int] = {}
    peak: dict[str, int] = {}
    for container in spec.get("initContainers") or ():
        requests = view(container_requests(container))
        if container.get("restartPolicy") == "Always":
            _add(total, requests)
            _add(sidecars, requests)
        else:
            _add(requests, sidecars)
            _raise_to(peak, requests)
    _raise_to(total, peak)
    _add(total, {name: resource_amount(name, text) for name, text in (spec.get("overhead") or {}).items()})
    return total
