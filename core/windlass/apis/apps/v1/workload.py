"""What the workload kinds have in common: a selector, a template, and how they must fit."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from windlass.apimachinery.field_errors import forbidden, immutable, invalid, not_supported, required
from windlass.apimachinery.schema import ObjectSchema
from windlass.apimachinery.scheme import Column, Obj
from windlass.apimachinery.selectors import describe_label_selector, from_label_selector
from windlass.apis.core.v1.pod_template import template_containers, template_images
from windlass.apis.core.v1.pod_validation import default_pod_spec, pod_spec_warnings, validate_pod_template
from windlass.apis.meta.v1 import ApiObject
from windlass.apis.meta.validation import validate_label_selector
from windlass.errors import FieldError

PREFIX = "io.k8s.api.apps.v1"
NONE = "<none>"


class AppsSchema(ObjectSchema):
    """Root of the types in apps/v1 that are parts of objects."""

    openapi_prefix = PREFIX


class AppsObject(ApiObject):
    """Root of the kinds in apps/v1."""

    openapi_prefix = PREFIX


def default_template(obj: Obj) -> None:
    """Fill the defaults of `spec.template`."""
    pod_spec = ((obj.get("spec") or {}).get("template") or {}).get("spec")
    if pod_spec is not None:
        default_pod_spec(pod_spec)


def validate_workload(obj: Obj) -> list[FieldError]:
    """Check selector and template, and that they fit: what a controller makes must be what it selects."""
    spec = obj.get("spec") or {}
    selector, template = spec.get("selector"), spec.get("template") or {}
    found = _validate_selector(selector, (template.get("metadata") or {}).get("labels") or {})
    pod_spec = template.get("spec") or {}
    if pod_spec.get("restartPolicy", "Always") != "Always":
        found.append(not_supported("spec.template.spec.restartPolicy", pod_spec["restartPolicy"], ("Always",)))
    if pod_spec.get("activeDeadlineSeconds") is not None:
        path = "spec.template.spec.activeDeadlineSeconds"
        found.append(forbidden(path, "activeDeadlineSeconds in ReplicaSet is not Supported"))
    return found + validate_pod_template(template, "spec.template")


def _validate_selector(selector: Obj | None, labels: Mapping[str, str]) -> list[FieldError]:
    if selector is None:
        return [required("spec.selector")]
    found = validate_label_selector(selector, "spec.selector")
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        return [invalid("spec.selector", selector, "empty selector is invalid for deployment")]
    if not found and not from_label_selector(selector).matches(labels):
        return [invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`")]
    return found


def validate_selector_update(new: Obj, old: Obj) -> list[FieldError]:
    """Keep the selector: pods would be left behind."""
    return immutable("spec.selector", (new.get("spec") or {}).get("selector"), (old.get("spec") or {}).get("selector"))


def workload_warnings(obj: Obj) -> list[str]:
    """Return the warnings of the template."""
    pod_spec = ((obj.get("spec") or {}).get("template") or {}).get("spec") or {}
    return pod_spec_warnings(pod_spec, "spec.template.spec")


def status_count(name: str) -> Any:
    """Return a column function for a number in status."""
    return lambda obj, _now: (obj.get("status") or {}).get(name) or 0


def _template(obj: Mapping[str, Any]) -> Obj:
    template: Obj = (obj.get("spec") or {}).get("template") or {}
    return template


def _selector(obj: Obj, _now: datetime) -> str:
    return describe_label_selector((obj.get("spec") or {}).get("selector"))


TEMPLATE_COLUMNS = (
    Column("Containers", lambda obj, now: template_containers(_template(obj), now), priority=1,
           description="Names of the containers."),
    Column("Images", lambda obj, now: template_images(_template(obj), now), priority=1,
           description="Images of the containers."),
    Column("Selector", _selector, priority=1, description="Labels of the pods."),
)  # fmt: skip
