"""StatefulSets."""

from collections.abc import Sequence
from datetime import datetime

from windlass.apimachinery import names
from windlass.apimachinery.field_errors import duplicate, forbidden, invalid, invalid_each, required
from windlass.apimachinery.schema import Int, IntOrString, ListOf, Nested, Str, Time
from windlass.apimachinery.scheme import Column, KindDefinition, Obj, ScalePaths, Strategy
from windlass.apimachinery.table import AGE
from windlass.apis.apps.v1.deployment import is_zero, validate_bound
from windlass.apis.apps.v1.workload import (
    TEMPLATE_COLUMNS,
    AppsObject,
    AppsSchema,
    default_template,
    validate_workload,
    workload_warnings,
)
from windlass.apis.core.v1.persistent_volume_claim import PersistentVolumeClaim
from windlass.apis.core.v1.pod_template import PodTemplateSpec
from windlass.apis.meta.v1 import LabelSelector
from windlass.errors import FieldError

MUTABLE = (
    "replicas", "ordinals", "template", "updateStrategy", "persistentVolumeClaimRetentionPolicy", "minReadySeconds",
    "revisionHistoryLimit",
)  # fmt: skip
FROZEN = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
    "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)


class RollingUpdateStatefulSetStrategy(AppsSchema):
    """How far a rolling update goes."""

    max_unavailable = IntOrString("How many pods, or what percentage, may be missing.")
    partition = Int("Lowest ordinal that is updated.", minimum=0)


class StatefulSetUpdateStrategy(AppsSchema):
    """How old pods are replaced by new ones."""

    rolling_update = Nested("Details of a rolling update.", RollingUpdateStatefulSetStrategy)
    type = Str("By the controller, or by whoever deletes the old ones.", default="RollingUpdate",
               enum=("RollingUpdate", "OnDelete"))  # fmt: skip


class StatefulSetOrdinals(AppsSchema):
    """How the pods are numbered."""

    start = Int("The first number.", minimum=0)


class StatefulSetPersistentVolumeClaimRetentionPolicy(AppsSchema):
    """What becomes of the pods' claims."""

    when_deleted = Str("When the set is deleted.", default="Retain", enum=("Retain", "Delete"))
    when_scaled = Str("When the set shrinks.", default="Retain", enum=("Retain", "Delete"))


class StatefulSetSpec(AppsSchema):
    """What is asked of a StatefulSet."""

    min_ready_seconds = Int("How long a new pod must be ready before it counts as available.", minimum=0)
    ordinals = Nested("How the pods are numbered.", StatefulSetOrdinals)
    persistent_volume_claim_retention_policy = Nested(
        "What becomes of the pods' claims.", StatefulSetPersistentVolumeClaimRetentionPolicy, default={}
    )
    pod_management_policy = Str("Whether pods come and go one after another.", default="OrderedReady",
                                enum=("OrderedReady", "Parallel"))  # fmt: skip
    replicas = Int("How many pods are wanted.", default=1, minimum=0)
    revision_history_limit = Int("How many old snapshots are kept for going back.", default=10, minimum=0)
    selector = Nested("Labels of the pods; may not change.", LabelSelector, required=True)
    service_name = Str("Headless Service that gives the pods their names.", required=True)
    template = Nested("Pattern of the pods.", PodTemplateSpec, required=True)
    update_strategy = Nested("How old pods are replaced.", StatefulSetUpdateStrategy, default={"type": "RollingUpdate"})
    volume_claim_templates = ListOf("Patterns of the claims that each pod has.", PersistentVolumeClaim,
                                    list_type="atomic")  # fmt: skip


class StatefulSetCondition(AppsSchema):
    """One observed aspect of a StatefulSet."""

    last_transition_time = Time("When the status last changed.")
    message = Str("Details, for people.")
    reason = Str("Why, in one word.")
    status = Str("True, False or Unknown.", required=True)
    type = Str("Which aspect.", required=True)


class StatefulSetStatus(AppsSchema):
    """What is observed of a StatefulSet."""

    available_replicas = Int("Pods that have been ready long enough.")
    collision_count = Int("How often a name for a new snapshot was taken; goes into the next name.")
    conditions = ListOf(
        "Observed aspects.",
        StatefulSetCondition,
        patch_strategy="merge",
        patch_merge_key="type",
        list_type="map",
        list_map_keys=("type",),
    )
    current_replicas = Int("Pods of the former template.")
    current_revision = Str("Snapshot of the former template.")
    observed_generation = Int("Generation that the controller has acted on.", bits=64)
    ready_replicas = Int("Pods that are ready.")
    replicas = Int("Pods that there are.", required=True)
    update_revision = Str("Snapshot of the newest template.")
    updated_replicas = Int("Pods of the newest template.")


class StatefulSet(AppsObject):
    """Keeps pods running that each have a name of their own."""

    spec = Nested("What is asked of the StatefulSet.", StatefulSetSpec)
    status = Nested("What is observed of the StatefulSet.", StatefulSetStatus)


def _ready(obj: Obj, _now: datetime) -> str:
    return f"{(obj.get('status') or {}).get('readyReplicas') or 0}/{(obj.get('spec') or {}).get('replicas') or 0}"


class StatefulSetBehaviour(Strategy):
    """Behaviour of StatefulSets."""

    has_generation = True
    scale = ScalePaths()
    columns = (
        Column("Ready", _ready, description="Ready pods of those wanted."),
        AGE,
        *(column for column in TEMPLATE_COLUMNS if column.name != "Selector"),
    )

    def default(self, obj: Obj) -> None:
        """Fill a rolling update's partition, and the template."""
        strategy = (obj.get("spec") or {}).get("updateStrategy")
        if strategy is not None and strategy.get("type", "RollingUpdate") == "RollingUpdate":
            strategy.setdefault("rollingUpdate", {}).setdefault("partition", 0)
        for template in (obj.get("spec") or {}).get("volumeClaimTemplates") or ():
            template.update({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "status": {"phase": "Pending"}})
        default_template(obj)

    def prepare_for_create(self, obj: Obj) -> None:
        """Begin with no pods."""
        obj["status"] = {"replicas": 0}

    def validate(self, obj: Obj) -> list[FieldError]:
        """Check the update strategy, the claims, and that selector and template fit."""
        spec = obj.get("spec") or {}
        return [
            *validate_workload(_with_claimed_volumes(obj)),
            *_validate_strategy(spec.get("updateStrategy") or {}),
            *_validate_claims(spec.get("volumeClaimTemplates") or []),
        ]

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        """Keep all but a few fields."""
        after, before = new.get("spec") or {}, old.get("spec") or {}
        frozen = (after.keys() | before.keys()) - set(MUTABLE)
        changed = any(after.get(name) != before.get(name) for name in frozen)
        return [forbidden("spec", FROZEN)] if changed else []

    def warnings(self, obj: Obj) -> list[str]:
        """Return the warnings of the template, its claims' volumes among them."""
        return workload_warnings(_with_claimed_volumes(obj))


def _with_claimed_volumes(obj: Obj) -> Obj:
    """Return the set with the volumes that its pods will have: those of the claims take the place of namesakes."""
    spec = obj.get("spec") or {}
    claimed = [(template.get("metadata") or {}).get("name") or "" for template in spec.get("volumeClaimTemplates") or []]
    if not claimed:
        return obj
    template = spec.get("template") or {}
    pod_spec = template.get("spec") or {}
    own = [volume for volume in pod_spec.get("volumes") or [] if volume.get("name") not in claimed]
    made = [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in dict.fromkeys(claimed) if name]
    whole = {**template, "spec": {**pod_spec, "volumes": [*own, *made]}}
    return {**obj, "spec": {**spec, "template": whole}}


def _validate_claims(templates: Sequence[Obj]) -> list[FieldError]:
    """Check names only, as the pods' volumes and the claims are called by them; the claims are checked when made."""
    found: list[FieldError] = []
    seen: set[str] = set()
    for index, template in enumerate(templates):
        path, name = f"spec.volumeClaimTemplates[{index}].metadata.name", (template.get("metadata") or {}).get("name") or ""
        found += invalid_each(path, name, names.is_dns1123_label(name)) if name else [required(path)]
        if name in seen:
            found.append(duplicate(path, name))
        seen.add(name)
    return found


def _validate_strategy(strategy: Obj) -> list[FieldError]:
    path, bounds = "spec.updateStrategy.rollingUpdate", strategy.get("rollingUpdate")
    if strategy.get("type") == "OnDelete":
        detail = "only allowed for updateStrategy 'RollingUpdate'"
        return [invalid(path, bounds, detail)] if bounds is not None else []
    unavailable = (bounds or {}).get("maxUnavailable")
    if unavailable is None:
        return []
    found = validate_bound(unavailable, f"{path}.maxUnavailable")
    if not found and is_zero(unavailable):
        found.append(invalid(f"{path}.maxUnavailable", unavailable, "cannot be 0"))
    return found


KINDS = (
    KindDefinition(
        group="apps",
        version="v1",
        kind="StatefulSet",
        plural="statefulsets",
        singular="statefulset",
        namespaced=True,
        schema=StatefulSet,
        strategy=StatefulSetBehaviour(),
        short_names=("sts",),
        categories=("all",),
        subresources=("status", "scale"),
    ),
)
