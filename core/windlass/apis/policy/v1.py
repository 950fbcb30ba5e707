"""The request by which a pod is asked to go."""

from windlass.apimachinery.schema import Nested
from windlass.apimachinery.scheme import KindDefinition
from windlass.apis.meta.v1 import ApiObject, DeleteOptions


class Eviction(ApiObject):
    """Asks that the pod it names be deleted, if nothing forbids it."""

    openapi_prefix = "io.k8s.api.policy.v1"

    delete_options = Nested("How the pod is to be deleted.", DeleteOptions)


KINDS: tuple[KindDefinition, ...] = ()
"""No stored kinds: evictions are posted to `pods/NAME/eviction`."""
