"""What all schemas of storage.k8s.io/v1 share."""

from windlass.apimachinery.schema import ObjectSchema

GROUP = "storage.k8s.io"


class StorageSchema(ObjectSchema):
    """A part of a storage.k8s.io/v1 object."""

    openapi_prefix = "io.k8s.api.storage.v1"
