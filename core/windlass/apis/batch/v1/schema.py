"""What all schemas of batch/v1 share."""

from windlass.apimachinery.schema import ObjectSchema
from windlass.apis.meta.v1 import ApiObject

PREFIX = "io.k8s.api.batch.v1"


class BatchSchema(ObjectSchema):
    """A part of a batch/v1 object."""

    openapi_prefix = PREFIX


class BatchObject(ApiObject):
    """Root of the kinds in batch/v1."""

    openapi_prefix = PREFIX
