"""Patterns from which controllers make pods."""

from datetime import datetime

from windlass.apimachinery.schema import Nested
from windlass.apimachinery.scheme import Column, KindDefinition, Obj, Strategy
from windlass.apis.core.v1.pod_printer import NONE
from windlass.apis.core.v1.pod_spec import PodSpec
from windlass.apis.core.v1.pod_validation import default_pod_spec, pod_spec_warnings, validate_pod_template
from windlass.apis.core.v1.schema import CoreObject, CoreSchema
from windlass.apis.meta.v1 import ObjectMeta
from windlass.errors import FieldError


class PodTemplateSpec(CoreSchema):
    """What a pod made from the template is to be."""

    metadata = Nested("Labels and annotations of the pods.", ObjectMeta, default={})
    spec = Nested("What is asked of the pods.", PodSpec)


class PodTemplate(CoreObject):
    """A stored pattern for pods."""

    template = Nested("The pattern.", PodTemplateSpec, default={})


def template_containers(template: Obj, _now: datetime) -> str:
    """Return the names of a template's containers, joined by commas, for a printer column."""
    return ",".join(container.get("name") or "" for container in (template.get("spec") or {}).get("containers") or [])


def template_images(template: Obj, _now: datetime) -> str:
    """Return the images of a template's containers, joined by commas, for a printer column."""
    return ",".join(container.get("image") or "" for container in (template.get("spec") or {}).get("containers") or [])


def _labels(obj: Obj, _now: datetime) -> str:
    labels = ((obj.get("template") or {}).get("metadata") or {}).get("labels") or {}
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items())) or NONE


class PodTemplateStrategy(Strategy):
    """Behaviour of stored templates."""

    columns = (
        Column("Containers", lambda obj, now: template_containers(obj.get("template") or {}, now),
               description="Names of the containers."),
        Column("Images", lambda obj, now: template_images(obj.get("template") or {}, now),
               description="Images of the containers."),
        Column("Pod Labels", _labels, description="Labels of the pods."),
    )

    def default(self, obj: Obj) -> None:
        """Fill the template's spec."""
        spec = (obj.get("template") or {}).get("spec")
        if spec is not None:
            default_pod_spec(spec)

    def validate(self, obj: Obj) -> list[FieldError]:
        """Check the template."""
        return validate_pod_template(obj.get("template"), "template")

    def warnings(self, obj: Obj) -> list[str]:
        """Warn of what pods made from the template would be warned of."""
        return pod_spec_warnings((obj.get("template") or {}).get("spec") or {}, "template.spec")


KINDS = (
    KindDefinition(
        group="", version="v1", kind="PodTemplate", plural="podtemplates", singular="podtemplate", namespaced=True,
        schema=PodTemplate, strategy=PodTemplateStrategy(),
    ),
)
