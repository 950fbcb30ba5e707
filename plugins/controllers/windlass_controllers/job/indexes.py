"""Completion indexes: sets of them as text, and which pod has which. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

ANNOTATION = "batch.kubernetes.io/job-completion-index"
FAILURES = "batch.kubernetes.io/job-index-failure-count"
IGNORED = "batch.kubernetes.io/job-index-ignored-failure-count"


def parse_indexes(text: str | None, completions: int) -> set[int]:
    """Read `1,3-5`; what is beyond the completions, or no number, is left out."""
    found: set[int] = set()
    for part in (text or "").split(","):
        first, _, last = part.partition("-")
        if first.isdecimal() and (not last or last.isdecimal()):
            found.update(range(int(first), min(int(last or first), completions - 1) + 1))
    return found


def format_indexes(indexes: Iterable[int]) -> str:
    """Write a set as ranges; two in a row are still written apart, as Kubernetes does it."""
    parts: list[str] = []
    run: list[int] = []
    for index in [*sorted(indexes), None]:
        if index is not None and run and index == run[-1] + 1:
            run.append(index)
            continue
        if len(run) > 2:
            parts.append(f"{run[0]}-{run[-1]}")
        else:
            parts += [str(one) for one in run]
        run = [] if index is None else [index]
    return ",".join(parts)


def index_of(pod: Mapping[str, Any]) -> int | None:
    """Return a pod's index; None when it has none."""
    text = str((pod["metadata"].get("annotations") or {}).get(ANNOTATION) or "")
    return int(text) if text.isdecimal() else None


def failures_of(pod: Mapping[str, Any]) -> int:
    """Return how often the pod's index had failed before it."""
    text = str((pod["metadata"].get("annotations") or {}).get(FAILURES) or "")
    return int(text) if text.isdecimal() else 0
