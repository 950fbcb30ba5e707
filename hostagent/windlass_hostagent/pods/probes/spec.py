"""A probe as the pod asks for it, with the API's defaults, and where it goes. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Obj = Mapping[str, Any]
KINDS = ("startup", "liveness", "readiness")
MIN_PERIOD_SECONDS = 1.0


class ProbeError(Exception):
    """The probe cannot be made, e.g. it names a port that the container does not have."""


@dataclass(frozen=True, slots=True)
class ProbeSpec:
    """One probe. `handler` is the API's own object: exec, httpGet, tcpSocket or grpc in it says which."""

    kind: str
    handler: Obj
    initial_delay_seconds: float
    period_seconds: float
    timeout_seconds: float
    success_threshold: int
    failure_threshold: int
    grace_seconds: int | None = None


def parse_probe(kind: str, probe: Obj) -> ProbeSpec:
    """Read one probe; a period or timeout of zero (an object that was never defaulted) becomes the default."""
    return ProbeSpec(
        kind=kind,
        handler=probe,
        initial_delay_seconds=float(probe.get("initialDelaySeconds") or 0),
        period_seconds=max(MIN_PERIOD_SECONDS, float(probe.get("periodSeconds") or 10)),
        timeout_seconds=max(1.0, float(probe.get("timeoutSeconds") or 1)),
        success_threshold=int(probe.get("successThreshold") or 1),
        failure_threshold=int(probe.get("failureThreshold") or 3),
        grace_seconds=probe.get("terminationGracePeriodSeconds"),
    )


def probes_of(container: Obj) -> list[ProbeSpec]:
    """Return a container's probes."""
    return [parse_probe(kind, container[f"{kind}Probe"]) for kind in KINDS if container.get(f"{kind}Probe")]


def resolve_port(container: Obj, port: Any) -> int:
    """Return a port by number or by its name among the container's ports. Raises ProbeError."""
    if isinstance(port, str) and not port.isdigit():
        named = [p["containerPort"] for p in container.get("ports") or () if p.get("name") == port]
        if not named:
            raise ProbeError(f"couldn't find port: {port}")
        port = named[0]
    number = int(port or 0)
    if not 0 < number < 65536:
        raise ProbeError(f"invalid port number: {number}")
    return number


def http_headers(action: Obj) -> Sequence[tuple[str, str]]:
    """Return the headers that an HTTP action asks for, in order."""
    return [(str(h.get("name", "")), str(h.get("value", ""))) for h in action.get("httpHeaders") or ()]
