"""ReplicationControllers: what ReplicaSets came from, with a plain map of labels for a selector."""

from collections.abc import Mapping

from windlass.apimachinery.field_errors import forbidden, invalid, not_supported, required
from windlass.apimachinery.schema import Int, ListOf, MapOf, Nested, Str, Time
from windlass.apimachinery.scheme import KindDefinition, Obj, ScalePaths, Strategy
from windlass.apimachinery.selectors import from_labels
from windlass.apis.apps.v1.replicaset import ReplicaSetStrategy
from windlass.apis.apps.v1.workload import default_template, workload_warnings
from windlass.apis.core.v1.pod_template import PodTemplateSpec
from windlass.apis.core.v1.pod_validation import validate_pod_template
from windlass.apis.core.v1.schema import CoreObject, CoreSchema
from windlass.errors import FieldError


class ReplicationControllerSpec(CoreSchema):
    """What is asked of a ReplicationController."""

    min_ready_seconds = Int("How long a new pod must be ready before it counts as available.", minimum=0)
    replicas = Int("How many pods are wanted.", default=1, minimum=0)
    selector = MapOf("Labels that the pods must all have; the template's when there are none.", Str("Value wanted."),
                     map_type="atomic")  # fmt: skip
    template = Nested("Pattern of the pods.", PodTemplateSpec)


class ReplicationControllerCondition(CoreSchema):
    """One observed aspect of a ReplicationController."""

    last_transition_time = Time("When the status last changed.")
    message = Str("Details, for people.")
    reason = Str("Why, in one word.")
    status = Str("True, False or Unknown.", required=True)
    type = Str("Which aspect.", required=True)


class ReplicationControllerStatus(CoreSchema):
    """What is observed of a ReplicationController."""

    available_replicas = Int("Pods that have been ready long enough.")
    conditions = ListOf(
        "Observed aspects.",
        ReplicationControllerCondition,
        patch_strategy="merge",
        patch_merge_key="type",
        list_type="map",
        list_map_keys=("type",),
    )
    fully_labeled_replicas = Int("Pods that carry all the template's labels.")
    observed_generation = Int("Generation that the controller has acted on.", bits=64)
    ready_replicas = Int("Pods that are ready.")
    replicas = Int("Pods that there are.", required=True)


class ReplicationController(CoreObject):
    """Keeps a number of equal pods running."""

    spec = Nested("What is asked of the ReplicationController.", ReplicationControllerSpec)
    status = Nested("What is observed of the ReplicationController.", ReplicationControllerStatus)


def _template_labels(spec: Obj) -> dict[str, str]:
    labels: dict[str, str] = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    return labels


class ReplicationControllerStrategy(Strategy):
    """Behaviour of ReplicationControllers."""

    has_generation = True
    scale = ScalePaths()
    columns = ReplicaSetStrategy.columns

    def default(self, obj: Obj) -> None:
        """Take selector and labels from the template where none are given."""
        spec = obj.get("spec") or {}
        labels = _template_labels(spec)
        if labels:
            if not spec.get("selector"):
                spec["selector"] = dict(labels)
            if not obj["metadata"].get("labels"):
                obj["metadata"]["labels"] = dict(labels)
        default_template(obj)

    def prepare_for_create(self, obj: Obj) -> None:
        """Begin with no pods."""
        obj["status"] = {"replicas": 0}

    def validate(self, obj: Obj) -> list[FieldError]:
        """Check that selector and template fit."""
        spec = obj.get("spec") or {}
        template = spec.get("template")
        found = [] if spec.get("selector") else [required("spec.selector")]
        if template is None:
            return [*found, required("spec.template")]
        labels = _template_labels(spec)
        if spec.get("selector") and not from_labels(spec["selector"]).matches(labels):
            found.append(invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`"))
        pod_spec = template.get("spec") or {}
        if pod_spec.get("restartPolicy", "Always") != "Always":
            found.append(not_supported("spec.template.spec.restartPolicy", pod_spec["restartPolicy"], ("Always",)))
        if pod_spec.get("activeDeadlineSeconds") is not None:
            path = "spec.template.spec.activeDeadlineSeconds"
            found.append(forbidden(path, "activeDeadlineSeconds in ReplicationController is not Supported"))
        return found + validate_pod_template(template, "spec.template")

    def warnings(self, obj: Obj) -> list[str]:
        """Return the warnings of the template."""
        return workload_warnings(obj)

    def selectable_fields(self, obj: Obj) -> Mapping[str, str]:
        """Select by number of pods."""
        return {"status.replicas": str((obj.get("status") or {}).get("replicas") or 0)}


KINDS = (
    KindDefinition(
        group="",
        version="v1",
        kind="ReplicationController",
        plural="replicationcontrollers",
        singular="replicationcontroller",
        namespaced=True,
        schema=ReplicationController,
        strategy=ReplicationControllerStrategy(),
        short_names=("rc",),
        categories=("all",),
        subresources=("status", "scale"),
    ),
)
