"""Patterns from which controllers make pods."""

from windlass.apimachinery.schema import Nested
from windlass.apis.core.v1.pod_spec import PodSpec
from windlass.apis.core.v1.schema import CoreObject, CoreSchema
from windlass.apis.meta.v1 import ObjectMeta


class PodTemplateSpec(CoreSchema):
    """What a pod made from the template is to be."""

    metadata = Nested("Labels and annotations of the pods.", ObjectMeta, default={})
    spec = Nested("What is asked of the pods.", PodSpec)


class PodTemplate(CoreObject):
    """A stored pattern for pods."""

    template = Nested("The pattern.", PodTemplateSpec, default={})
