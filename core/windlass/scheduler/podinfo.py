"""Reads from a pod what the scheduler needs, once per equivalence class."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from weakref import WeakValueDictionary

import orjson

from windlass.apis.core.v1.pod_resources import CPU, pod_requests
from windlass.plugin.interfaces.scheduler import HostPort, PodInfo, PodRequirements, Toleration

MEMORY = "memory"
DEFAULT_NONZERO = {CPU: 100, MEMORY: 200 * 1024 * 1024}
"""What a container without a request counts for in scores, so that such pods spread too."""

FINISHED_PHASES = frozenset({"Succeeded", "Failed"})


def is_finished(pod: Mapping[str, Any]) -> bool:
    """Say whether the pod has ended and holds nothing of its node any more."""
    return pod.get("status", {}).get("phase") in FINISHED_PHASES


def _nonzero(requests: Mapping[str, int]) -> dict[str, int]:
    return {name: requests.get(name, default) for name, default in DEFAULT_NONZERO.items()}


def _long_running(spec: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from spec.get("containers") or ()
    for container in spec.get("initContainers") or ():
        if container.get("restartPolicy") == "Always":
            yield container


def host_ports(spec: Mapping[str, Any]) -> tuple[HostPort, ...]:
    """List the node's ports that the pod claims."""
    claims: list[HostPort] = []
    for container in _long_running(spec):
        for port in container.get("ports") or ():
            number = port.get("hostPort") or (port.get("containerPort", 0) if spec.get("hostNetwork") else 0)
            if number:
                claims.append(HostPort(port.get("hostIP") or "0.0.0.0", port.get("protocol") or "TCP", int(number)))  # noqa: S104 - compared with, never listened on
    return tuple(dict.fromkeys(claims))


def _controller_uid(metadata: Mapping[str, Any]) -> str:
    for owner in metadata.get("ownerReferences") or ():
        if owner.get("controller"):
            return str(owner.get("uid", ""))
    return ""


def _toleration(raw: Mapping[str, Any]) -> Toleration:
    return Toleration(raw.get("key", ""), raw.get("operator", ""), raw.get("value", ""), raw.get("effect", ""))


def _scheduling_parts(container: Mapping[str, Any]) -> tuple[Any, ...]:
    resources = container.get("resources")
    return (resources and resources.get("requests"), container.get("ports"), container.get("restartPolicy"))


class PodParser:
    """Turns API objects into `PodInfo`, sharing one `PodRequirements` between pods that are equal in it."""

    def __init__(self, equivalence_keys: Sequence[Callable[[Mapping[str, Any]], str]] = ()) -> None:
        self._equivalence_keys = equivalence_keys
        self._classes: WeakValueDictionary[bytes, PodRequirements] = WeakValueDictionary()

    def parse(self, obj: Mapping[str, Any]) -> PodInfo:
        """Read one pod. Raises ValueError when a quantity makes no sense."""
        metadata, spec = obj["metadata"], obj.get("spec") or {}
        namespace, name = metadata.get("namespace", ""), metadata["name"]
        return PodInfo(
            namespace=namespace,
            name=name,
            uid=metadata.get("uid") or f"{namespace}/{name}",
            priority=spec.get("priority") or 0,
            created=metadata.get("creationTimestamp") or "",
            requirements=self._requirements(obj, metadata, spec),
            obj=obj,
        )

    def _requirements(
        self, obj: Mapping[str, Any], metadata: Mapping[str, Any], spec: Mapping[str, Any]
    ) -> PodRequirements:
        owner_uid = _controller_uid(metadata)
        get = spec.get
        key = orjson.dumps(
            (
                metadata.get("namespace"),
                metadata.get("labels"),
                owner_uid,
                [_scheduling_parts(container) for container in get("containers") or ()],
                [_scheduling_parts(container) for container in get("initContainers") or ()],
                get("nodeSelector"),
                get("affinity"),
                get("tolerations"),
                get("topologySpreadConstraints"),
                get("overhead"),
                get("hostNetwork"),
                [equivalence_key(obj) for equivalence_key in self._equivalence_keys],
            ),
            option=orjson.OPT_SORT_KEYS,
        )
        requirements = self._classes.get(key)
        if requirements is None:
            requirements = self._classes[key] = _read_requirements(metadata, spec, owner_uid)
        return requirements


def _read_requirements(metadata: Mapping[str, Any], spec: Mapping[str, Any], owner_uid: str) -> PodRequirements:
    affinity = spec.get("affinity") or {}
    return PodRequirements(
        namespace=metadata.get("namespace", ""),
        labels=metadata.get("labels") or {},
        owner_uid=owner_uid,
        requests=pod_requests(spec),
        nonzero_requests=pod_requests(spec, _nonzero),
        node_selector=spec.get("nodeSelector") or {},
        node_affinity=affinity.get("nodeAffinity") or {},
        pod_affinity=affinity.get("podAffinity") or {},
        pod_anti_affinity=affinity.get("podAntiAffinity") or {},
        topology_spread_constraints=spec.get("topologySpreadConstraints") or (),
        tolerations=tuple(_toleration(raw) for raw in spec.get("tolerations") or ()),
        host_ports=host_ports(spec),
    )
