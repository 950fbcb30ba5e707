"""Areas of the cluster that a storage class may make volumes in."""

from windlass.apimachinery.schema import ListOf, Str
from windlass.apis.core.v1.schema import CoreSchema


class TopologySelectorLabelRequirement(CoreSchema):
    """One label and the values that it may have."""

    key = Str("Label of the node.", required=True)
    values = ListOf("Values that are allowed.", Str("One of them."), required=True)


class TopologySelectorTerm(CoreSchema):
    """Labels that must all have one of their allowed values."""

    openapi_map_type = "atomic"

    match_label_expressions = ListOf("Labels and their allowed values.", TopologySelectorLabelRequirement)
