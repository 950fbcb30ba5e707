"""autoscaling/v1: the Scale that scalable kinds show as a subresource."""

from windlass.apimachinery.schema import Int, Nested, ObjectSchema, Str
from windlass.apis.meta.v1 import ApiObject

PREFIX = "io.k8s.api.autoscaling.v1"


class ScaleSpec(ObjectSchema):
    """How many are wanted."""

    openapi_prefix = PREFIX

    replicas = Int("How many replicas are wanted.", minimum=0)


class ScaleStatus(ObjectSchema):
    """How many there are."""

    openapi_prefix = PREFIX

    replicas = Int("How many replicas there are.", required=True)
    selector = Str("Label selector of the pods, as text.")


class Scale(ApiObject):
    """How many replicas an object wants and has."""

    openapi_prefix = PREFIX

    spec = Nested("How many are wanted.", ScaleSpec)
    status = Nested("How many there are.", ScaleStatus)


