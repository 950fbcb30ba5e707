"""networking.k8s.io/v1."""

from windlass.apis.networking.v1 import ingress, ingress_class, network_policy

KINDS = (*ingress.KINDS, *ingress_class.KINDS, *network_policy.KINDS)
