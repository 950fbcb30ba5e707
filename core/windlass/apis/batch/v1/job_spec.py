"""What is asked of a Job."""

from windlass.apimachinery.schema import Bool, Int, ListOf, Nested, Str
from windlass.apis.batch.v1.schema import BatchSchema
from windlass.apis.core.v1.pod_template import PodTemplateSpec
from windlass.apis.meta.v1 import LabelSelector, ObjectMeta

ACTIONS = ("FailJob", "FailIndex", "Ignore", "Count")


class PodFailurePolicyOnExitCodesRequirement(BatchSchema):
    """Exit codes that a rule is about."""

    container_name = Str("Container whose exit code counts; none means any.")
    operator = Str("Whether the code must be among the values, or must not.", required=True, enum=("In", "NotIn"))
    values = ListOf("The codes.", Int("One of them."), required=True, list_type="set")


class PodFailurePolicyOnPodConditionsPattern(BatchSchema):
    """A condition of the failed pod that a rule is about."""

    status = Str("Its status.", required=True)
    type = Str("Its type.", required=True)


class PodFailurePolicyRule(BatchSchema):
    """What a failure of some sort means."""

    action = Str("What becomes of the Job.", required=True, enum=ACTIONS)
    on_exit_codes = Nested("Exit codes that the rule is about.", PodFailurePolicyOnExitCodesRequirement)
    on_pod_conditions = ListOf("Conditions that the rule is about.", PodFailurePolicyOnPodConditionsPattern,
                               list_type="atomic")  # fmt: skip


class PodFailurePolicy(BatchSchema):
    """What failures mean; the first rule that matches decides."""

    rules = ListOf("The rules.", PodFailurePolicyRule, required=True, list_type="atomic")


class SuccessPolicyRule(BatchSchema):
    """Successes that are enough."""

    succeeded_count = Int("How many indexes must have succeeded.")
    succeeded_indexes = Str("Which indexes must have succeeded, such as `1,3-5`.")


class SuccessPolicy(BatchSchema):
    """When an indexed Job counts as done before all its indexes have succeeded."""

    rules = ListOf("The rules; one that is met is enough.", SuccessPolicyRule, required=True, list_type="atomic")


class JobSpec(BatchSchema):
    """What is asked of a Job."""

    active_deadline_seconds = Int("How long it may run in all.", bits=64, minimum=0)
    backoff_limit = Int("How many failures are forgiven.", minimum=0)
    backoff_limit_per_index = Int("How many failures of each index are forgiven.", minimum=0)
    completion_mode = Str("Whether completions are interchangeable or have an index.", default="NonIndexed",
                          enum=("NonIndexed", "Indexed"))  # fmt: skip
    completions = Int("How many pods must succeed; none means that one success ends it.", minimum=0)
    managed_by = Str("Controller that runs the Job, where it is not the built-in one.")
    manual_selector = Bool("Whether the selector is the user's own affair.")
    max_failed_indexes = Int("How many indexes may fail before the Job fails.", minimum=0)
    parallelism = Int("How many pods may run at a time.", minimum=0)
    pod_failure_policy = Nested("What failures mean.", PodFailurePolicy)
    pod_replacement_policy = Str("When a pod is replaced: as soon as it ends, or when it has failed.",
                                 enum=("TerminatingOrFailed", "Failed"))  # fmt: skip
    selector = Nested("Labels of the pods; normally made by the server.", LabelSelector)
    success_policy = Nested("When it counts as done early.", SuccessPolicy)
    suspend = Bool("Whether no pods may run.", default=False)
    template = Nested("Pattern of the pods.", PodTemplateSpec, required=True)
    ttl_seconds_after_finished = Int("How long after its end the Job is deleted; none means never.", minimum=0)


class JobTemplateSpec(BatchSchema):
    """Pattern of a Job."""

    metadata = Nested("Labels and annotations of the Job.", ObjectMeta, default={})
    spec = Nested("What is asked of the Job.", JobSpec)
