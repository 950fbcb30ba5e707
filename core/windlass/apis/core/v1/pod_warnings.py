"""Warnings about pod specs: what is accepted but not obeyed, deprecated, or likely a mistake."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from windlass.apis.core.v1.unobeyed import UNOBEYED

STEP = re.compile(r"(?P<name>\w+)(?P<each>\[\*\])?")


@dataclass(slots=True)
class _Branch:
    """What the table says below one field: the places of its lines that end here, and the fields that go on."""

    lines: list[int] = field(default_factory=list)
    fields: dict[str, "_Branch"] = field(default_factory=dict)
    lists: dict[str, "_Branch"] = field(default_factory=dict)


def _grow() -> _Branch:
    root = _Branch()
    for place, entry in enumerate(UNOBEYED):
        branch = root
        for name, each in STEP.findall(entry.path):
            branch = (branch.lists if each else branch.fields).setdefault(name, _Branch())
        branch.lines.append(place)
    return root


_TREE = _grow()
"""The table as a tree: a pod is walked once, not once for every line."""
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
        *(text for _, text in sorted(_unobeyed(spec, _TREE, path), key=itemgetter(0))),
        *_deprecated(spec, path),
        *_hidden(spec, path),
    ]


def _unobeyed(value: Any, branch: _Branch, path: str) -> Iterator[tuple[int, str]]:
    """Yield a warning, with its line's place in the table, for everything set below a branch."""
    if value in ([], {}):
        return
    for line in branch.lines:
        if value not in UNOBEYED[line].harmless:
            yield line, f"{path}: accepted but not obeyed by this version of the {UNOBEYED[line].part}"
    for name, below in branch.fields.items():
        inner = value.get(name)
        if inner is not None:
            yield from _unobeyed(inner, below, f"{path}.{name}")
    for name, below in branch.lists.items():
        for index, item in enumerate(value.get(name) or ()):
            yield from _unobeyed(item, below, f"{path}.{name}[{index}]")


def _deprecated(spec: Mapping[str, Any], path: str) -> Iterator[str]:
    for key in spec.get("nodeSelector") or {}:
        if key in RENAMED_NODE_LABELS:
            yield f"{path}.nodeSelector[{key}]: {RENAMED_NODE_LABELS[key]}"
    for index, volume in enumerate(spec.get("volumes") or []):
        if volume.get("gitRepo") is not None:
            yield f"{path}.volumes[{index}].gitRepo: deprecated in v1.11"


def _hidden(spec: Mapping[str, Any], path: str) -> Iterator[str]:
    for group in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(group) or []):
            seen: set[str] = set()
            for place, variable in enumerate(container.get("env") or []):
                name = variable.get("name") or ""
                if name in seen:
                    yield (f'{path}.{group}[{index}].env[{place}]: hides previous definition of "{name}", '
                           "which may be dropped when using apply")
                seen.add(name)
