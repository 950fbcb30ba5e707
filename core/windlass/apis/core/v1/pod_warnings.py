"""Warnings about pod specs: what is accepted but not obeyed, deprecated, or likely a mistake."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from windlass.apis.core.v1.unobeyed import UNOBEYED, Unobeyed

STEP = re.compile(r"(?P<name>\w+)(?P<each>\[\*\])?")
Steps = Sequence[tuple[str, str]]
"""A path taken apart: name of each field, and `[*]` where it is a list to walk."""

_PATHS: tuple[tuple[Unobeyed, Steps], ...] = tuple((entry, STEP.findall(entry.path)) for entry in UNOBEYED)
RENAMED_NODE_LABELS = {
    "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
    "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
    "beta.kubernetes.io/instance-type": 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
    "failure-domain.beta.kubernetes.io/region": 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
    "failure-domain.beta.kubernetes.io/zone": 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
}


def pod_spec_warnings(spec: Mapping[str, Any], path: str) -> list[str]:
    """Return the texts for Warning headers about a PodSpec; `path` is the spec's own."""
    return [
        *(text for entry, steps in _PATHS for text in _unobeyed(spec, entry, steps, path)),
        *_deprecated(spec, path),
        *_hidden(spec, path),
    ]


def _unobeyed(spec: Mapping[str, Any], entry: Unobeyed, steps: Steps, path: str) -> Iterator[str]:
    if spec.get(steps[0][0]) is None:
        return
    for place, value in _walk(spec, steps, path):
        if value not in entry.harmless:
            yield f"{place}: accepted but not obeyed by this version of the {entry.part}"


def _walk(value: Any, steps: Steps, path: str) -> Iterator[tuple[str, Any]]:
    """Yield path and value of everything that the steps lead to and that is not empty."""
    if value is None or value in ([], {}):
        return
    if not steps:
        yield path, value
        return
    (name, each), *rest = steps
    inner = value.get(name)
    if not each:
        yield from _walk(inner, rest, f"{path}.{name}")
        return
    for index, item in enumerate(inner or []):
        yield from _walk(item, rest, f"{path}.{name}[{index}]")


def _deprecated(spec: Mapping[str, Any], path: str) -> Iterator[str]:
    for key in spec.get("nodeSelector") or {}:
        if key in RENAMED_NODE_LABELS:
            yield f"{path}.nodeSelector[{key}]: {RENAMED_NODE_LABELS[key]}"
    for index, volume in enumerate(spec.get("volumes") or []):
        if volume.get("gitRepo") is not None:
            yield f"{path}.volumes[{index}].gitRepo: deprecated in v1.11"


def _hidden(spec: Mapping[str, Any], path: str) -> Iterator[str]:
    for field in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(field) or []):
            seen: set[str] = set()
            for place, variable in enumerate(container.get("env") or []):
                name = variable.get("name") or ""
                if name in seen:
                    yield (f'{path}.{field}[{index}].env[{place}]: hides previous definition of "{name}", '
                           "which may be dropped when using apply")
                seen.add(name)
