"""Rules for the nodes that a pod may or should run on."""

from windlass.apimachinery.schema import Int, ListOf, Nested, Str
from windlass.apis.core.v1.schema import CoreSchema
from windlass.apis.meta.v1 import LabelSelector


class NodeSelectorRequirement(CoreSchema):
    """One condition on a node's label or field."""

    key = Str("Label or field that the condition looks at.", required=True)
    operator = Str("How key and values relate.", required=True,
                   enum=("DoesNotExist", "Exists", "Gt", "In", "Lt", "NotIn"))
    values = ListOf("Values to compare with; one integer for Gt and Lt, none for Exists and DoesNotExist.",
                    Str("One of them."))


class NodeSelectorTerm(CoreSchema):
    """Conditions that must all hold for a node; an empty term matches none."""

    openapi_map_type = "atomic"

    match_expressions = ListOf("Conditions on the node's labels.", NodeSelectorRequirement)
    match_fields = ListOf("Conditions on the node's fields.", NodeSelectorRequirement)


class NodeSelector(CoreSchema):
    """Selects nodes that match at least one of the terms."""

    openapi_map_type = "atomic"

    node_selector_terms = ListOf("The terms, of which one must match.", NodeSelectorTerm, required=True)


class PreferredSchedulingTerm(CoreSchema):
    """Nodes that are preferred, and how strongly."""

    preference = Nested("Conditions that a preferred node fulfils.", NodeSelectorTerm, required=True)
    weight = Int("Strength of the preference, from 1 to 100.", required=True)


class NodeAffinity(CoreSchema):
    """Rules on the nodes themselves."""

    preferred_during_scheduling_ignored_during_execution = ListOf("Nodes that are preferred.", PreferredSchedulingTerm)
    required_during_scheduling_ignored_during_execution = Nested("Nodes that are allowed; others are not.",
                                                                 NodeSelector)


class PodAffinityTerm(CoreSchema):
    """A group of pods and the area in which they count as near."""

    label_selector = Nested("Pods that are meant; none when absent.", LabelSelector)
    match_label_keys = ListOf("Label keys whose values on the new pod the meant pods must share.", Str("One of them."))
    mismatch_label_keys = ListOf("Label keys whose values on the new pod the meant pods must not share.",
                                 Str("One of them."))
    namespace_selector = Nested("Namespaces whose pods are meant, by label.", LabelSelector)
    namespaces = ListOf("Namespaces whose pods are meant; the pod's own when no namespace is named or selected.",
                        Str("One of them."))
    topology_key = Str("Node label that delimits an area: nodes with equal values are near.", required=True)


class WeightedPodAffinityTerm(CoreSchema):
    """A preferred or avoided neighbourhood, and how strongly."""

    pod_affinity_term = Nested("The group of pods and the area.", PodAffinityTerm, required=True)
    weight = Int("Strength of the preference, from 1 to 100.", required=True)


class PodAffinity(CoreSchema):
    """Pods to be near to."""

    preferred_during_scheduling_ignored_during_execution = ListOf("Neighbourhoods that are preferred.",
                                                                  WeightedPodAffinityTerm)
    required_during_scheduling_ignored_during_execution = ListOf("Neighbourhoods that are required; all must hold.",
                                                                 PodAffinityTerm)


class PodAntiAffinity(CoreSchema):
    """Pods to keep away from."""

    preferred_during_scheduling_ignored_during_execution = ListOf("Neighbourhoods that are avoided if possible.",
                                                                  WeightedPodAffinityTerm)
    required_during_scheduling_ignored_during_execution = ListOf("Neighbourhoods that are forbidden.", PodAffinityTerm)


class Affinity(CoreSchema):
    """All rules on where a pod may and should run."""

    node_affinity = Nested("Rules on the nodes themselves.", NodeAffinity)
    pod_affinity = Nested("Pods to be near to.", PodAffinity)
    pod_anti_affinity = Nested("Pods to keep away from.", PodAntiAffinity)
