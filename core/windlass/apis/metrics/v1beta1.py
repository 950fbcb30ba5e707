"""What nodes and pods use right now (`kubectl top`). Shown, never stored: the host agents measure it."""

from datetime import datetime
from typing import Any

from windlass.apimachinery.quantity import cpu_millis, int_value
from windlass.apimachinery.schema import ListOf, MapOf, ObjectSchema, Quantity, Str, Time
from windlass.apimachinery.scheme import Column, KindDefinition, Obj, Strategy
from windlass.apis.meta.v1 import ApiObject

PREFIX = "io.k8s.metrics.pkg.apis.metrics.v1beta1"
MEBIBYTE = 1 << 20


class ContainerMetrics(ObjectSchema):
    """What one container uses."""

    openapi_prefix = PREFIX

    name = Str("Name of the container.", required=True)
    usage = MapOf("What it uses: cpu over the window, memory at its end.", Quantity("Amount of the resource."),
                  required=True)  # fmt: skip


class NodeMetrics(ApiObject):
    """What one node uses."""

    openapi_prefix = PREFIX

    timestamp = Time("End of the window.", required=True)
    usage = MapOf("What it uses: cpu over the window, memory at its end.", Quantity("Amount of the resource."),
                  required=True)  # fmt: skip
    window = Str("Length of time over which cpu was measured.", required=True)


class PodMetrics(ApiObject):
    """What the containers of one pod use."""

    openapi_prefix = PREFIX

    containers = ListOf("What each container uses.", ContainerMetrics, required=True)
    timestamp = Time("End of the window.", required=True)
    window = Str("Length of time over which cpu was measured.", required=True)


def _usages(obj: Obj) -> list[dict[str, Any]]:
    return [c["usage"] for c in obj["containers"]] if "containers" in obj else [obj["usage"]]


def _cpu(obj: Obj, _now: datetime) -> str:
    return f"{sum(cpu_millis(usage['cpu']) for usage in _usages(obj))}m"


def _memory(obj: Obj, _now: datetime) -> str:
    return f"{sum(int_value(usage['memory']) for usage in _usages(obj)) // MEBIBYTE}Mi"


class UsageStrategy(Strategy):
    """Only shown, never written."""

    columns = (
        Column("Cpu", _cpu, description="Cores used."),
        Column("Memory", _memory, description="Memory used that cannot be taken back."),
        Column("Window", lambda obj, _now: obj["window"], description="Time over which cpu was measured."),
    )


KINDS = (
    KindDefinition("metrics.k8s.io", "v1beta1", "NodeMetrics", "nodes", "", namespaced=False, schema=NodeMetrics,
                   strategy=UsageStrategy()),
    KindDefinition("metrics.k8s.io", "v1beta1", "PodMetrics", "pods", "", namespaced=True, schema=PodMetrics,
                   strategy=UsageStrategy()),
)  # fmt: skip
NODE_METRICS, POD_METRICS = KINDS
