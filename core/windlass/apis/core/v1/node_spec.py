"""What is wanted of a node."""

from windlass.apimachinery.schema import Bool, ListOf, Nested, Str
from windlass.apis.core.v1.node_status import NodeConfigSource
from windlass.apis.core.v1.placement import Taint
from windlass.apis.core.v1.schema import CoreSchema


class NodeSpec(CoreSchema):
    """What is wanted of a node."""

    config_source = Nested("No longer used.", NodeConfigSource)
    external_id = Str("No longer used.", data_key="externalID")
    pod_cidr = Str("Range from which the node's pods get addresses.", data_key="podCIDR")
    pod_cid_rs = ListOf("Ranges from which the node's pods get addresses, one per address family.", Str("One of them."),
                        data_key="podCIDRs", list_type="set", patch_strategy="merge")
    provider_id = Str("Id of the machine with its provider.", data_key="providerID")
    taints = ListOf("Keep pods off the node.", Taint)
    unschedulable = Bool("Whether new pods are kept off the node.")
