"""What is to be served, before it is nginx's. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Obj = Mapping[str, Any]
CONTROLLER = "windlass.dev/nginx"
ANNOTATION = "nginx.ingress.kubernetes.io/"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is left out, and the object whose owner should know."""

    obj: Obj
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Backend:
    """A Service's port. `upstream` is its name in the configuration; `protocol` is http, https or grpc."""

    upstream: str
    protocol: str = "http"


@dataclass(frozen=True, slots=True)
class Location:
    """A path of a host. `backend` None answers 503; `canary` gets `weight` of a hundred requests."""

    path: str
    exact: bool
    backend: Backend | None
    canary: Backend | None = None
    weight: int = 0
    body_size: str = "1m"


@dataclass(frozen=True, slots=True)
class Site:
    """One host, '' for every other one. `certificate` names a Secret, '' serves no TLS."""

    host: str
    locations: Sequence[Location]
    certificate: str = ""
    redirect: bool = False


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate chain with its key, both PEM."""

    chain: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class IngressPlan:
    """Everything that nginx serves."""

    sites: Sequence[Site]
    upstreams: Mapping[str, Sequence[str]]
    certificates: Mapping[str, Certificate]
    problems: Sequence[Problem] = ()


@dataclass(frozen=True, slots=True)
class Cluster:
    """What the plan is made from. Keys are namespace/name; slices are by their Service's key."""

    ingresses: Sequence[Obj]
    services: Mapping[str, Obj] = field(default_factory=dict)
    slices: Mapping[str, Sequence[Obj]] = field(default_factory=dict)
    secrets: Mapping[str, Obj] = field(default_factory=dict)


def key_of(obj: Obj) -> str:
    """Return namespace/name."""
    return f"{obj['metadata']['namespace']}/{obj['metadata']['name']}"


def annotation(ingress: Obj, name: str) -> str:
    """Return one of the controller's annotations, '' when there is none."""
    return str((ingress["metadata"].get("annotations") or {}).get(ANNOTATION + name) or "")


def served_by_us(ingresses: Sequence[Obj], classes: Sequence[Obj]) -> list[Obj]:
    """Return the Ingresses whose class is ours, oldest first; without a class, those of the default one."""
    ours = {one["metadata"]["name"] for one in classes if (one.get("spec") or {}).get("controller") == CONTROLLER}
    marked = [
        one["metadata"]["name"]
        for one in classes
        if (one["metadata"].get("annotations") or {}).get("ingressclass.kubernetes.io/is-default-class") == "true"
    ]
    default = max(marked, default="")
    found = []
    for ingress in ingresses:
        named = (ingress.get("spec") or {}).get("ingressClassName")
        legacy = (ingress["metadata"].get("annotations") or {}).get("kubernetes.io/ingress.class")
        if (named or legacy or default) in ours and not ingress["metadata"].get("deletionTimestamp"):
            found.append(ingress)
    return sorted(found, key=lambda one: (str(one["metadata"].get("creationTimestamp") or ""), key_of(one)))
