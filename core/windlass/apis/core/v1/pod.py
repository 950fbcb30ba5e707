"""Pods: containers that live and run together."""

from collections.abc import Mapping

from windlass.apimachinery.field_errors import forbidden
from windlass.apimachinery.schema import Nested
from windlass.apimachinery.scheme import KindDefinition, Obj, Strategy
from windlass.apis.core.v1.ephemeral_containers import keep_all_but_ephemeral, validate_ephemeral_update
from windlass.apis.core.v1.pod_defaults import default_pod_spec, default_running_pod_spec
from windlass.apis.core.v1.pod_printer import POD_COLUMNS, TERMINAL_PHASES, pod_ip
from windlass.apis.core.v1.pod_spec import PodSpec
from windlass.apis.core.v1.pod_status import PodStatus
from windlass.apis.core.v1.pod_update_validation import validate_pod_spec_update
from windlass.apis.core.v1.pod_validation import pod_spec_warnings, validate_pod_spec
from windlass.apis.core.v1.qos import qos_class
from windlass.apis.core.v1.schema import CoreObject
from windlass.errors import FieldError

DEFAULT_GRACE_SECONDS = 30
GATED_CONDITION = {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated",
                   "message": "Scheduling is blocked due to non-empty scheduling gates"}


class Pod(CoreObject):
    """Containers that live and run together on one node."""

    spec = Nested("What is asked of the pod.", PodSpec)
    status = Nested("How the pod fares.", PodStatus)


class PodStrategy(Strategy):
    """Behaviour of pods."""

    columns = POD_COLUMNS
    default_grace_period_seconds = DEFAULT_GRACE_SECONDS

    def prepare_for_create(self, obj: Obj) -> None:
        """Start the pod's status afresh."""
        obj["status"] = {"phase": "Pending"}
        if (obj.get("spec") or {}).get("schedulingGates"):
            obj["status"]["conditions"] = [dict(GATED_CONDITION)]

    def default(self, obj: Obj) -> None:
        """Fill the spec and what of the status follows from it."""
        spec = obj.setdefault("spec", {})
        default_pod_spec(spec)
        default_running_pod_spec(spec)
        status = obj.setdefault("status", {})
        status.setdefault("phase", "Pending")
        status["qosClass"] = qos_class(spec)
        for one, many in (("podIP", "podIPs"), ("hostIP", "hostIPs")):
            if status.get(one) and not status.get(many):
                status[many] = [{"ip": status[one]}]
            elif status.get(many) and not status.get(one):
                status[one] = status[many][0].get("ip")

    def validate(self, obj: Obj) -> list[FieldError]:
        """Check the spec."""
        return validate_pod_spec(obj.get("spec") or {}, "spec") + self._validate_new(obj)

    def validate_status(self, obj: Obj) -> list[FieldError]:  # noqa: ARG002 - the schema has checked the status
        """Find nothing: the spec was checked when it was written, and a status is written many times."""
        return []

    @staticmethod
    def _validate_new(obj: Obj) -> list[FieldError]:
        """Check what only a pod that nobody has bound yet may not have."""
        spec = obj.get("spec") or {}
        if spec.get("schedulingGates") and spec.get("nodeName"):
            return [forbidden("spec.nodeName", "cannot be set until all schedulingGates have been cleared")]
        return []

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        """Refuse changes of the spec, except the few that a running pod can take."""
        after, before = new.get("spec") or {}, old.get("spec") or {}
        return [] if after == before else validate_pod_spec_update(after, before, "spec")

    def warnings(self, obj: Obj) -> list[str]:
        """Name what nothing obeys yet, what is deprecated, and what is likely a mistake."""
        return pod_spec_warnings(obj.get("spec") or {}, "spec")

    def of_subresource(self, name: str) -> Strategy:
        """Return who decides on `pods/ephemeralcontainers`; everything else is the pod's own."""
        return EPHEMERAL_CONTAINERS if name == "ephemeralcontainers" else self

    def selectable_fields(self, obj: Obj) -> Mapping[str, str]:
        """Return the fields by which agents, schedulers and users pick pods."""
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        return {
            "spec.nodeName": spec.get("nodeName") or "",
            "spec.restartPolicy": spec.get("restartPolicy") or "",
            "spec.schedulerName": spec.get("schedulerName") or "",
            "spec.serviceAccountName": spec.get("serviceAccountName") or "",
            "spec.hostNetwork": "true" if spec.get("hostNetwork") else "false",
            "status.phase": status.get("phase") or "",
            "status.podIP": pod_ip(obj),
            "status.nominatedNodeName": status.get("nominatedNodeName") or "",
        }

    def grace_period_seconds(self, obj: Obj, requested: int | None) -> int:
        """Give no grace to a pod that no node has, or that has already ended."""
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        if not spec.get("nodeName") or status.get("phase") in TERMINAL_PHASES:
            return 0
        own = spec.get("terminationGracePeriodSeconds")
        period = requested if requested is not None else DEFAULT_GRACE_SECONDS if own is None else own
        return 1 if period < 0 else int(period)


class EphemeralContainersStrategy(PodStrategy):
    """Behaviour of `pods/ephemeralcontainers`: containers are added to a running pod, and nothing else changes."""

    def prepare_for_update(self, new: Obj, old: Obj) -> None:
        """Keep everything but the ephemeral containers as it was."""
        keep_all_but_ephemeral(new, old)

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        """Refuse changed and removed ones."""
        return validate_ephemeral_update(new, old)


EPHEMERAL_CONTAINERS = EphemeralContainersStrategy()
KINDS = (
    KindDefinition(
        group="", version="v1", kind="Pod", plural="pods", singular="pod", namespaced=True, schema=Pod,
        strategy=PodStrategy(), short_names=("po",), categories=("all",),
        subresources=(
            "status", "binding", "eviction", "log", "exec", "attach", "portforward", "proxy", "ephemeralcontainers",
        ),
    ),
)
