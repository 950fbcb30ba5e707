"""Which Services select which pods."""

from collections.abc import Mapping
from typing import Any

from windlass.client.informer import Informer
from windlass_controllers.keyed import own_key

Obj = dict[str, Any]


def selects_pods(service: Mapping[str, Any]) -> bool:
    """Say whether a Service has endpoints of its own making."""
    spec = service.get("spec") or {}
    return bool(spec.get("selector")) and spec.get("type") != "ExternalName"


def is_selected(selector: Mapping[str, str], pod: Mapping[str, Any]) -> bool:
    """Say whether a Service's selector takes a pod."""
    labels = pod["metadata"].get("labels") or {}
    return all(labels.get(key) == value for key, value in selector.items())


class ServiceSelection:
    """Reads the caches of Services and pods."""

    def __init__(self, services: Informer, pods: Informer) -> None:
        self._services = services
        self._pods = pods

    def services_of(self, pod: Obj) -> list[str]:
        """Return the keys of the Services that select a pod."""
        return [
            key
            for service in self._services.list(pod["metadata"]["namespace"])
            if selects_pods(service) and is_selected(service["spec"]["selector"], pod)
            for key in own_key(service)
        ]

    def pods_of(self, service: Mapping[str, Any]) -> list[Obj]:
        """Return the pods that a Service selects."""
        selector = service["spec"]["selector"]
        return [pod for pod in self._pods.list(service["metadata"]["namespace"]) if is_selected(selector, pod)]
