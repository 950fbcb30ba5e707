"""Why a pod found no node, in kube-scheduler's words."""

from collections import Counter
from dataclasses import dataclass, field

NO_NODES = "no nodes available to schedule pods"


@dataclass(slots=True)
class Diagnosis:
    """What each filter said. A node counts for the first filter that refuses it, for each of that filter's reasons.

    `candidates` are rows refused for reasons that removing pods could resolve; `rejecters` the plugins that refused.
    `helpless_priority` is the highest for which `post_filter` is known not to help.
    """

    total: int
    reasons: Counter[str] = field(default_factory=Counter)
    pre_filter_message: str = ""
    post_filter_message: str = ""
    rejecters: list[str] = field(default_factory=list)
    candidates: list[int] = field(default_factory=list)
    helpless_priority: int | None = None

    @property
    def message(self) -> str:
        """The sentence for the condition and the event."""
        if not self.total:
            return NO_NODES
        text = f"0/{self.total} nodes are available"
        if self.pre_filter_message:
            text += f": {self.pre_filter_message}."
        elif self.reasons:
            text += ": " + ", ".join(sorted(f"{count} {reason}" for reason, count in self.reasons.items())) + "."
        return f"{text} {self.post_filter_message}" if self.post_filter_message else text
