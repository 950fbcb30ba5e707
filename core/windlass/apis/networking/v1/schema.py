"""What all schemas of networking.k8s.io/v1 share."""

from windlass.apimachinery.schema import ObjectSchema

GROUP = "networking.k8s.io"


class NetworkingSchema(ObjectSchema):
    """A part of a networking.k8s.io/v1 object."""

    openapi_prefix = "io.k8s.api.networking.v1"
