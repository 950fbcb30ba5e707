"""From what the runtime shows to a PodStatus. Pure: the same input gives the same bytes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from windlass_hostagent.pods import conditions
from windlass_hostagent.pods.container_status import build_statuses
from windlass_hostagent.pods.fate import Fate
from windlass_hostagent.pods.observation import PodObservation, Waiting
from windlass_hostagent.pods.plan import initialized, is_sidecar
from windlass_hostagent.pods.resources import qos_class

Obj = dict[str, Any]


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What a pod's status says about its node. `scheme` prefixes container ids."""

    host_ips: Sequence[str]
    scheme: str


def phase_of(pod: Obj, observed: PodObservation, init: Sequence[Obj], statuses: Sequence[Obj], *, ending: bool) -> str:
    """Return the phase, by kubelet's rules. `ending`: the pod is being deleted, so nothing restarts."""
    policy = "Never" if ending else str(pod["spec"].get("restartPolicy") or "Always")
    if not initialized(pod, observed):
        failed = [s for s in init if (s["state"].get("terminated") or {"exitCode": 0})["exitCode"] != 0]
        stopped = failed and policy == "Never"
        return "Failed" if stopped else "Pending"
    waiting = [s for s in statuses if "waiting" in s["state"] and not s["lastState"].get("terminated")]
    if waiting:
        return "Pending"
    if any("running" in s["state"] for s in statuses):
        return "Running"
    if policy == "Always" or observed.forced:
        return "Running"
    ended = [s["state"].get("terminated") or s["lastState"].get("terminated") for s in statuses]
    if all(e and e["exitCode"] == 0 for e in ended):
        return "Succeeded"
    return "Failed" if policy == "Never" else "Running"


def build_status(pod: Obj, observed: PodObservation, node: NodeFacts, now: str, *, fate: Fate | None = None) -> Obj:
    """Build the whole status of a pod on this node; `fate` is why the pod was ended from outside."""
    spec = pod["spec"]
    before = pod.get("status") or {}
    init = _init_statuses(pod, observed, node)
    default = Waiting("ContainerCreating" if not init or initialized(pod, observed) else "PodInitializing")
    statuses = build_statuses(
        spec.get("containers") or (),
        observed,
        before.get("containerStatuses") or (),
        default=default,
        scheme=node.scheme,
    )
    ending = bool(pod["metadata"].get("deletionTimestamp"))
    phase = "Failed" if fate else phase_of(pod, observed, init, statuses, ending=ending)
    status: Obj = {
        "phase": phase,
        "conditions": conditions.merge(
            [
                *_conditions(pod, observed, {"phase": phase, "init": init, "apps": statuses}),
                *(dict(c) for c in (fate.conditions if fate else ())),
            ],
            before.get("conditions") or (),
            now,
        ),
        "hostIP": node.host_ips[0],
        "hostIPs": [{"ip": ip} for ip in node.host_ips],
        "startTime": before.get("startTime") or now,
        "qosClass": before.get("qosClass") or qos_class(pod),
    }
    if fate:
        status.update(reason=fate.reason, message=fate.message)
    if fate is None or observed.containers or before.get("containerStatuses"):
        status["containerStatuses"] = statuses  # a pod that was refused has none: kubectl shows why instead
        if init:
            status["initContainerStatuses"] = init
    if spec.get("ephemeralContainers"):
        status["ephemeralContainerStatuses"] = _ephemeral_statuses(pod, observed, node)
    ips = list(node.host_ips) if spec.get("hostNetwork") else list(observed.ips)
    if ips:
        status["podIP"] = ips[0]
        status["podIPs"] = [{"ip": ip} for ip in ips]
    return status


def _init_statuses(pod: Obj, observed: PodObservation, node: NodeFacts) -> list[Obj]:
    init = list(pod["spec"].get("initContainers") or ())
    before = (pod.get("status") or {}).get("initContainerStatuses") or ()
    statuses = build_statuses(init, observed, before, default=Waiting("PodInitializing"), scheme=node.scheme)
    for container, made in zip(init, statuses, strict=True):
        if not is_sidecar(container):
            made["ready"] = (made["state"].get("terminated") or {"exitCode": 1})["exitCode"] == 0
    return statuses


def _ephemeral_statuses(pod: Obj, observed: PodObservation, node: NodeFacts) -> list[Obj]:
    """Build the entries of ephemeral containers, which are never ready: nothing waits for them."""
    before = (pod.get("status") or {}).get("ephemeralContainerStatuses") or ()
    ephemeral = pod["spec"]["ephemeralContainers"]
    made = build_statuses(ephemeral, observed, before, default=Waiting("ContainerCreating"), scheme=node.scheme)
    for entry in made:
        entry["ready"] = False
        entry.pop("started")
    return made


def _conditions(pod: Obj, observed: PodObservation, built: Obj) -> list[Obj]:
    """Build the conditions that the agent owns. `built` holds the phase and both lists of statuses."""
    spec = pod["spec"]
    existing = {c["type"]: c for c in (pod.get("status") or {}).get("conditions") or ()}
    sidecars = [s for c, s in zip(spec.get("initContainers") or (), built["init"], strict=True) if is_sidecar(c)]
    ready = conditions.containers_ready_condition(built["phase"], [*sidecars, *built["apps"]])
    gates = [g["conditionType"] for g in spec.get("readinessGates") or ()]
    networked = observed.sandbox is not None and bool(observed.ips or spec.get("hostNetwork"))
    done = initialized(pod, observed)
    return [
        conditions.condition("PodReadyToStartContainers", networked),
        conditions.initialized_condition(built["phase"], built["init"], done=done),
        conditions.ready_condition(ready, gates, existing),
        ready,
        conditions.condition("PodScheduled", True),
    ]


def failed_status(pod: Obj, reason: str, message: str, node: NodeFacts, now: str) -> Obj:
    """Build the status of a pod that this node refuses to run."""
    status = dict(pod.get("status") or {})
    status.update(
        phase="Failed",
        reason=reason,
        message=message,
        startTime=status.get("startTime") or now,
        hostIP=node.host_ips[0],
        hostIPs=[{"ip": ip} for ip in node.host_ips],
    )
    return status
