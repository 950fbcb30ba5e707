"""Defaults of a pod that depend on other fields; constant ones stand in the schemas."""

from collections.abc import Iterator
from typing import Any

from windlass.apimachinery.scheme import Obj

VOLUME_SOURCE_KEYS_IGNORED = frozenset({"name"})


def default_pod_spec(spec: Obj) -> None:
    """Fill in what Kubernetes fills into every PodSpec, also into those of templates. Safe to repeat."""
    for container in all_containers(spec):
        _default_container(container)
        if spec.get("hostNetwork"):
            _default_host_ports(container)
    for volume in spec.get("volumes") or []:
        _default_volume(volume)
    _default_service_account(spec)
    if (spec.get("terminationGracePeriodSeconds") or 0) < 0:
        spec["terminationGracePeriodSeconds"] = 1


def default_running_pod_spec(spec: Obj) -> None:
    """Fill in what Kubernetes fills into the specs of pods only, not into templates. Safe to repeat."""
    if spec.get("enableServiceLinks") is None:
        spec["enableServiceLinks"] = True
    for container in (*(spec.get("containers") or []), *(spec.get("initContainers") or [])):
        _default_requests(container)


def all_containers(spec: Obj) -> Iterator[Obj]:
    """Yield every container of a pod spec: init, main and ephemeral ones."""
    for field in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(field) or []


def default_pull_policy(image: str) -> str:
    """Return `Always` for an image with the tag latest or none, `IfNotPresent` for any other.

    A digest pins the image: such a one is never latest.
    """
    if "@" in image:
        return "IfNotPresent"
    _, colon, tag = image.rpartition("/")[2].partition(":")
    return "Always" if not colon or tag == "latest" else "IfNotPresent"


def _default_container(container: Obj) -> None:
    if not container.get("imagePullPolicy"):
        container["imagePullPolicy"] = default_pull_policy(container.get("image") or "")


def _default_host_ports(container: Obj) -> None:
    for port in container.get("ports") or []:
        if not port.get("hostPort"):
            port["hostPort"] = port.get("containerPort")


def _default_requests(container: Obj) -> None:
    resources: dict[str, Any] = container.get("resources") or {}
    if resources.get("limits"):
        resources["requests"] = {**resources["limits"], **(resources.get("requests") or {})}


def _default_volume(volume: Obj) -> None:
    if not [key for key, value in volume.items() if key not in VOLUME_SOURCE_KEYS_IGNORED and value is not None]:
        volume["emptyDir"] = {}
    image = volume.get("image")
    if image is not None and not image.get("pullPolicy"):
        image["pullPolicy"] = default_pull_policy(image.get("reference") or "")


def _default_service_account(spec: Obj) -> None:
    # The older name mirrors the newer one, which wins.
    name = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if name:
        spec["serviceAccountName"] = spec["serviceAccount"] = name
