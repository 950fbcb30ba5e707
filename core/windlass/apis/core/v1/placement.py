"""Taints, tolerations and even spreading of pods."""

from windlass.apimachinery.schema import Int, ListOf, Nested, Str, Time
from windlass.apis.core.v1.schema import CoreSchema
from windlass.apis.meta.v1 import LabelSelector


class Taint(CoreSchema):
    """Keeps pods that do not tolerate it off a node."""

    effect = Str("What happens to pods that do not tolerate it.", required=True,
                 enum=("NoExecute", "NoSchedule", "PreferNoSchedule"))
    key = Str("Key of the taint.", required=True)
    time_added = Time("When a NoExecute taint was added.")
    value = Str("Value of the taint.")


class Toleration(CoreSchema):
    """Lets a pod run on nodes with matching taints."""

    effect = Str("Effect that is tolerated; every effect when absent.",
                 enum=("NoExecute", "NoSchedule", "PreferNoSchedule"))
    key = Str("Key of the tolerated taint; absent with Exists tolerates every key.")
    operator = Str("Equal compares values, Exists does not; Equal when absent.", enum=("Equal", "Exists"))
    toleration_seconds = Int("Seconds for which a NoExecute taint is tolerated; for ever when absent.", bits=64)
    value = Str("Value of the tolerated taint.")


class TopologySpreadConstraint(CoreSchema):
    """Spreads matching pods evenly over areas of the cluster."""

    label_selector = Nested("Pods that are counted.", LabelSelector)
    match_label_keys = ListOf("Label keys whose values on the new pod the counted pods must share.",
                              Str("One of them."))
    max_skew = Int("Largest allowed difference between the fullest and the emptiest area.", required=True)
    min_domains = Int("Areas that there must be at least, or else the emptiest counts as having none.")
    node_affinity_policy = Str("Whether nodes outside the pod's node rules count.", enum=("Honor", "Ignore"))
    node_taints_policy = Str("Whether nodes with untolerated taints count.", enum=("Honor", "Ignore"))
    topology_key = Str("Node label that delimits an area.", required=True)
    when_unsatisfiable = Str("Whether a pod that cannot be spread waits or runs anyway.", required=True,
                             enum=("DoNotSchedule", "ScheduleAnyway"))
