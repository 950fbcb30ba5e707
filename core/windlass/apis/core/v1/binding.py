"""The request by which a scheduler puts a pod on a node."""

from windlass.apimachinery.schema import Nested
from windlass.apimachinery.scheme import KindDefinition
from windlass.apis.core.v1.references import ObjectReference
from windlass.apis.core.v1.schema import CoreObject


class Binding(CoreObject):
    """Puts the pod that it names on the node that is its target."""

    target = Nested("Node to put the pod on.", ObjectReference, required=True)


KINDS: tuple[KindDefinition, ...] = ()
"""No stored kinds: bindings are posted to `pods/NAME/binding`."""
