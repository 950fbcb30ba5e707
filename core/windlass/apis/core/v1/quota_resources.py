"""Names of what quotas and limit ranges bound. Pure."""

from collections.abc import Mapping
from typing import Any

from windlass.apimachinery import names
from windlass.apimachinery.field_errors import invalid, invalid_each
from windlass.apimachinery.quantity import parse_quantity
from windlass.errors import FieldError

COMPUTE = frozenset({"cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory"})
STANDARD = COMPUTE | {
    "ephemeral-storage", "requests.ephemeral-storage", "limits.ephemeral-storage", "requests.storage", "pods",
    "resourcequotas", "services", "replicationcontrollers", "secrets", "persistentvolumeclaims", "configmaps",
    "services.nodeports", "services.loadbalancers",
}  # fmt: skip
HUGE_PAGES = ("hugepages-", "requests.hugepages-")
LEGACY_COUNTS = frozenset({"configmaps", "secrets", "replicationcontrollers", "resourcequotas"})
"""Core resources whose objects are also counted under their bare name; pods, services and claims count their own."""

TERMINATING, NOT_TERMINATING = "Terminating", "NotTerminating"
BEST_EFFORT, NOT_BEST_EFFORT = "BestEffort", "NotBestEffort"
PRIORITY_CLASS, CROSS_NAMESPACE = "PriorityClass", "CrossNamespacePodAffinity"
SCOPES = frozenset({TERMINATING, NOT_TERMINATING, BEST_EFFORT, NOT_BEST_EFFORT, PRIORITY_CLASS, CROSS_NAMESPACE})


def is_standard(name: str) -> bool:
    """Say whether a quota may name a resource without a domain."""
    return name in STANDARD or name.startswith(HUGE_PAGES)


def scope_allows(scope: str, name: str) -> bool:
    """Say whether a standard resource makes sense among pods of a scope."""
    return name == "pods" or (name in COMPUTE and scope != BEST_EFFORT)


def count_name(group: str, plural: str) -> str:
    """Return the name under which objects of a resource are counted: `count/deployments.apps`."""
    return f"count/{plural}.{group}" if group else f"count/{plural}"


def validate_quota_name(name: str, path: str) -> list[FieldError]:
    """Check the name of a resource that a quota bounds."""
    problems = list(names.is_qualified_name(name))
    if not problems and "/" not in name and not is_standard(name):
        problems = ["must be a standard resource type or fully qualified", "must be a standard resource for quota"]
    return invalid_each(path, name, problems)


def validate_amounts(amounts: Mapping[str, Any] | None, path: str) -> list[FieldError]:
    """Check names and amounts of a map of bounds."""
    found = []
    for name, value in (amounts or {}).items():
        item = f"{path}[{name}]"
        found += validate_quota_name(name, item)
        amount = parse_quantity(value)
        if amount < 0:
            found.append(invalid(item, value, "must be greater than or equal to 0"))
        elif _is_counted(name) and amount != amount.to_integral_value():
            found.append(invalid(item, value, "must be an integer"))
    return found


def _is_counted(name: str) -> bool:
    return name in {
        "pods", "resourcequotas", "services", "replicationcontrollers", "secrets", "persistentvolumeclaims",
        "configmaps", "services.nodeports", "services.loadbalancers",
    }  # fmt: skip
