"""References to other objects and to parts of them."""

from windlass.apimachinery.schema import Bool, Quantity, Str
from windlass.apis.core.v1.schema import CoreSchema


class LocalObjectReference(CoreSchema):
    """Names an object in the same namespace."""

    openapi_map_type = "atomic"

    name = Str("Name of the object.")


class ObjectReference(CoreSchema):
    """Names any object, or a part of it."""

    openapi_map_type = "atomic"

    api_version = Str("Group and version of the object.")
    field_path = Str("Part of the object that is meant, such as `spec.containers{web}`.")
    kind = Str("Kind of the object.")
    name = Str("Name of the object.")
    namespace = Str("Namespace of the object.")
    resource_version = Str("Revision of the object that is meant.")
    uid = Str("Unique id of the object.")


class TypedLocalObjectReference(CoreSchema):
    """Names an object of a given kind in the same namespace."""

    openapi_map_type = "atomic"

    api_group = Str("Group of the object's kind; empty for the core group.")
    kind = Str("Kind of the object.", required=True)
    name = Str("Name of the object.", required=True)


class TypedObjectReference(CoreSchema):
    """Names an object of a given kind, possibly in another namespace."""

    api_group = Str("Group of the object's kind; empty for the core group.")
    kind = Str("Kind of the object.", required=True)
    name = Str("Name of the object.", required=True)
    namespace = Str("Namespace of the object; empty for the referring object's own.")


class ObjectFieldSelector(CoreSchema):
    """Picks one field of the pod."""

    openapi_map_type = "atomic"

    api_version = Str("Version that the path is written for.", default="v1")
    field_path = Str("Path of the field, such as `metadata.name` or `status.podIP`.", required=True)


class ResourceFieldSelector(CoreSchema):
    """Picks a resource limit or request of a container."""

    openapi_map_type = "atomic"

    container_name = Str("Container that is meant; needed in volumes, optional in a container's env.")
    divisor = Quantity("Unit in which the value is given; 1 when absent.")
    resource = Str("Resource that is meant, such as `limits.cpu`.", required=True)


class ConfigMapKeySelector(CoreSchema):
    """Picks one key of a ConfigMap."""

    openapi_map_type = "atomic"

    key = Str("Key in the ConfigMap's data.", required=True)
    name = Str("Name of the ConfigMap.")
    optional = Bool("Whether the ConfigMap or its key may be missing.")


class SecretKeySelector(CoreSchema):
    """Picks one key of a Secret."""

    openapi_map_type = "atomic"

    key = Str("Key in the Secret's data.", required=True)
    name = Str("Name of the Secret.")
    optional = Bool("Whether the Secret or its key may be missing.")
