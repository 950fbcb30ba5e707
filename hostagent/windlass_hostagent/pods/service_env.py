"""Variables that tell a container where Services are, as kubelet and Docker's links named them. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

Obj = Mapping[str, Any]
MASTER = ("default", "kubernetes")


def service_env(services: Iterable[Obj], namespace: str, *, links: bool) -> dict[str, str]:
    """Return the variables for a pod of a namespace: the API's own Service, and with `links` its namespace's."""
    chosen: dict[str, Obj] = {}
    for service in services:
        meta = service["metadata"]
        if (meta["namespace"], meta["name"]) == MASTER:
            chosen.setdefault(meta["name"], service)
        elif links and meta["namespace"] == namespace:
            chosen[meta["name"]] = service
    env: dict[str, str] = {}
    for name in sorted(chosen):
        env.update(_variables(name, chosen[name].get("spec") or {}))
    return env


def _variables(name: str, spec: Obj) -> dict[str, str]:
    address, ports = spec.get("clusterIP") or "", spec.get("ports") or ()
    if address in ("", "None") or not ports:
        return {}
    prefix = name.upper().replace("-", "_")
    env = {f"{prefix}_SERVICE_HOST": str(address), f"{prefix}_SERVICE_PORT": str(ports[0]["port"])}
    for port in ports:
        if port.get("name"):
            env[f"{prefix}_SERVICE_PORT_{port['name'].upper().replace('-', '_')}"] = str(port["port"])
    shown = f"[{address}]" if ":" in address else address
    for place, port in enumerate(ports):
        protocol, number = str(port.get("protocol") or "TCP"), str(port["port"])
        url = f"{protocol.lower()}://{shown}:{number}"
        if place == 0:
            env[f"{prefix}_PORT"] = url
        key = f"{prefix}_PORT_{number}_{protocol.upper()}"
        env |= {key: url, f"{key}_PROTO": protocol.lower(), f"{key}_PORT": number, f"{key}_ADDR": str(address)}
    return env
