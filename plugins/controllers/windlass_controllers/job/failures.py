"""What the failure of a pod means to its Job: the first rule of podFailurePolicy that matches decides. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

COUNT = "Count"
IGNORE = "Ignore"
FAIL_INDEX = "FailIndex"
FAIL_JOB = "FailJob"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Count, Ignore, FailIndex or FailJob, and for the last one why."""

    action: str
    message: str = ""


def _ended(pod: Mapping[str, Any]) -> list[tuple[str, int]]:
    status = pod.get("status") or {}
    entries = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    return [
        (entry["name"], int(entry["state"]["terminated"].get("exitCode") or 0))
        for entry in entries
        if (entry.get("state") or {}).get("terminated")
    ]


def verdict(job: Mapping[str, Any], pod: Mapping[str, Any]) -> Verdict:
    """Return what a failed pod means."""
    rules = (job["spec"].get("podFailurePolicy") or {}).get("rules") or ()
    where = f"{pod['metadata'].get('namespace')}/{pod['metadata']['name']}"
    for index, rule in enumerate(rules):
        if rule.get("onExitCodes"):
            matched = _matches_code(rule["onExitCodes"], pod)
            if matched:
                name, code = matched
                text = f"Container {name} for pod {where} failed with exit code {code} matching {rule['action']} rule at index {index}"
                return Verdict(rule["action"], text)
        elif any(_has_condition(pattern, pod) for pattern in rule.get("onPodConditions") or ()):
            kind = next(p["type"] for p in rule["onPodConditions"] if _has_condition(p, pod))
            text = f"Pod {where} has condition {kind} matching {rule['action']} rule at index {index}"
            return Verdict(rule["action"], text)
    return Verdict(COUNT)


def _matches_code(requirement: Mapping[str, Any], pod: Mapping[str, Any]) -> tuple[str, int] | None:
    wanted, values = requirement.get("containerName"), requirement.get("values") or ()
    for name, code in _ended(pod):
        if code == 0 or (wanted and name != wanted):
            continue
        if (code in values) == (requirement["operator"] == "In"):
            return name, code
    return None


def _has_condition(pattern: Mapping[str, Any], pod: Mapping[str, Any]) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(c["type"] == pattern["type"] and c.get("status") == pattern["status"] for c in conditions)
