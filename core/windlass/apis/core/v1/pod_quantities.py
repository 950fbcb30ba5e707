"""What a pod asks for and may use, as exact quantities: what quotas and limit ranges count with. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from windlass.apimachinery.quantity import add, compare

Amounts = dict[str, str]
"""Quantities by resource, as they are written in objects."""
ZERO = "0"


def is_zero(text: str) -> bool:
    """Say whether a quantity is nothing."""
    return compare(text, ZERO) == 0


def plus(first: Mapping[str, str], second: Mapping[str, str]) -> Amounts:
    """Add amounts. Nothing added to nothing is nothing; a zero does not say how the sum is written."""
    found = dict(first)
    for name, text in second.items():
        known = found.get(name)
        if known is None or is_zero(known):
            found[name] = text
        elif not is_zero(text):
            found[name] = add(known, text)
    return found


def minus(first: Mapping[str, str], second: Mapping[str, str]) -> Amounts:
    """Subtract amounts, also from what is not there."""
    return plus(first, {name: _negative(text) for name, text in second.items()})


def _negative(text: str) -> str:
    return text[1:] if text.startswith("-") else ZERO if is_zero(text) else f"-{text.removeprefix('+')}"


def total(parts: Iterable[Mapping[str, str]]) -> Amounts:
    """Add all."""
    found: Amounts = {}
    for part in parts:
        found = plus(found, part)
    return found


def nonzero(amounts: Mapping[str, str]) -> Amounts:
    """Leave out what is nothing."""
    return {name: text for name, text in amounts.items() if not is_zero(text)}


def container_amounts(container: Mapping[str, Any], field: str) -> Amounts:
    """Return a container's `requests` or `limits`."""
    return dict((container.get("resources") or {}).get(field) or {})


def pod_amounts(spec: Mapping[str, Any], field: str) -> Amounts:
    """Sum a pod's `requests` or `limits` as the API defines them.

    Containers and sidecars run together; each other init container runs with the sidecars started before it; the pod
    needs the larger. The overhead is requested on top, and limited where anything is.
    """
    running = total(container_amounts(container, field) for container in spec.get("containers") or ())
    sidecars: Amounts = {}
    peak: Amounts = {}
    for container in spec.get("initContainers") or ():
        amounts = container_amounts(container, field)
        if container.get("restartPolicy") == "Always":
            running, sidecars = plus(running, amounts), plus(sidecars, amounts)
            peak = _greater(peak, sidecars)
        else:
            peak = _greater(peak, plus(amounts, sidecars))
    found = _greater(running, peak)
    overhead = dict(spec.get("overhead") or {})
    if field == "limits":
        overhead = {name: text for name, text in overhead.items() if name in found and not is_zero(found[name])}
    return plus(found, overhead)


def _greater(first: Mapping[str, str], second: Mapping[str, str]) -> Amounts:
    found = dict(first)
    for name, text in second.items():
        if name not in found or compare(text, found[name]) > 0:
            found[name] = text
    return found
