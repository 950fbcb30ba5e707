"""Roots of the types in core/v1."""

from windlass.apimachinery.schema import ObjectSchema
from windlass.apis.meta.v1 import ApiObject


class CoreSchema(ObjectSchema):
    """Root of the types in core/v1 that are parts of objects."""

    openapi_prefix = "io.k8s.api.core.v1"


class CoreObject(ApiObject):
    """Root of the kinds in core/v1."""

    openapi_prefix = "io.k8s.api.core.v1"
