"""What a Job may say, and what may change in it. Pure."""

from collections.abc import Mapping
from typing import Any

from windlass.apimachinery.field_errors import forbidden, immutable, invalid, not_supported, required
from windlass.apimachinery.scheme import Obj
from windlass.apimachinery.selectors import from_label_selector
from windlass.apis.core.v1.pod_defaults import default_pod_spec
from windlass.apis.core.v1.pod_validation import validate_pod_template
from windlass.apis.meta.validation import validate_label_selector
from windlass.errors import FieldError

MAX_INT32 = (1 << 31) - 1
MAX_PARALLEL_INDEXES = 100_000
MAX_RULES = 20
FROZEN = ("completionMode", "podFailurePolicy", "successPolicy", "backoffLimitPerIndex", "managedBy")
RESTART_POLICIES = ("OnFailure", "Never")
SCHEDULING = ("nodeSelector", "affinity", "tolerations", "schedulingGates")


def is_indexed(spec: Mapping[str, Any]) -> bool:
    """Say whether completions have an index."""
    return bool(spec.get("completionMode") == "Indexed")


def default_job_spec(spec: Obj) -> None:
    """Fill what depends on other fields."""
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
    if spec.get("parallelism") is None:
        spec["parallelism"] = 1
    if spec.get("backoffLimit") is None:
        spec["backoffLimit"] = 6 if spec.get("backoffLimitPerIndex") is None else MAX_INT32
    spec.setdefault("podReplacementPolicy", "Failed" if spec.get("podFailurePolicy") else "TerminatingOrFailed")
    pod_spec = (spec.get("template") or {}).get("spec")
    if pod_spec is not None:
        default_pod_spec(pod_spec)


def validate_job_spec(spec: Mapping[str, Any], path: str) -> list[FieldError]:
    """Check numbers against each other, policies and the template. The selector is checked by `validate_selector`."""
    template = spec.get("template") or {}
    pod_spec = template.get("spec") or {}
    found = validate_pod_template(template, f"{path}.template")
    policy = pod_spec.get("restartPolicy")
    if policy not in RESTART_POLICIES:
        where = f"{path}.template.spec.restartPolicy"
        found.append(
            not_supported(where, policy, RESTART_POLICIES)
            if policy
            else required(where, 'valid values: "OnFailure", "Never"')
        )
    found += _validate_indexed(spec, path)
    if spec.get("podFailurePolicy") is not None:
        found += _validate_failure_policy(spec, policy or "", path)
    if spec.get("podReplacementPolicy") == "TerminatingOrFailed" and spec.get("podFailurePolicy"):
        where = f"{path}.podReplacementPolicy"
        found.append(not_supported(where, spec["podReplacementPolicy"], ("Failed",)))
    return found


def _validate_indexed(spec: Mapping[str, Any], path: str) -> list[FieldError]:
    found: list[FieldError] = []
    if not is_indexed(spec):
        found += [
            invalid(f"{path}.{name}", spec[name], "requires indexed completion mode")
            for name in ("backoffLimitPerIndex", "successPolicy")
            if spec.get(name) is not None
        ]
    elif spec.get("completions") is None:
        found.append(required(f"{path}.completions", "when completion mode is Indexed"))
    elif (spec.get("parallelism") or 0) > MAX_PARALLEL_INDEXES:
        detail = f"must be less than or equal to {MAX_PARALLEL_INDEXES} when completion mode is Indexed"
        found.append(invalid(f"{path}.parallelism", spec["parallelism"], detail))
    most = spec.get("maxFailedIndexes")
    if most is not None and spec.get("backoffLimitPerIndex") is None:
        found.append(required(f"{path}.backoffLimitPerIndex", "when maxFailedIndexes is specified"))
    elif most is not None and spec.get("completions") is not None and most > spec["completions"]:
        found.append(invalid(f"{path}.maxFailedIndexes", most, "must be less than or equal to completions"))
    return found


def _validate_failure_policy(spec: Mapping[str, Any], restart_policy: str, path: str) -> list[FieldError]:
    found: list[FieldError] = []
    if restart_policy != "Never":
        detail = 'only "Never" is supported when podFailurePolicy is specified'
        found.append(invalid(f"{path}.template.spec.restartPolicy", restart_policy, detail))
    rules = spec["podFailurePolicy"].get("rules") or []
    if len(rules) > MAX_RULES:
        found.append(invalid(f"{path}.podFailurePolicy.rules", len(rules), f"must have at most {MAX_RULES} items"))
    for index, rule in enumerate(rules[:MAX_RULES]):
        where = f"{path}.podFailurePolicy.rules[{index}]"
        codes, conditions = rule.get("onExitCodes"), rule.get("onPodConditions") or []
        if (codes is None) == (not conditions):
            found.append(invalid(where, "", "specifying one of OnExitCodes and OnPodConditions is required"))
        if codes is not None and not codes.get("values"):
            found.append(invalid(f"{where}.onExitCodes.values", [], "at least one value is required"))
        if codes is not None and codes.get("operator") == "In" and 0 in (codes.get("values") or ()):
            found.append(invalid(f"{where}.onExitCodes.values", 0, "must not be 0 for the In operator"))
        if rule.get("action") == "FailIndex" and spec.get("backoffLimitPerIndex") is None:
            found.append(invalid(f"{where}.action", "FailIndex", "requires the use of backoffLimitPerIndex"))
    return found


def validate_selector(spec: Mapping[str, Any], path: str) -> list[FieldError]:
    """Check that selector and template labels fit."""
    selector = spec.get("selector")
    if selector is None:
        return [required(f"{path}.selector")]
    found = validate_label_selector(selector, f"{path}.selector")
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    if not found and not from_label_selector(selector).matches(labels):
        where = f"{path}.template.metadata.labels"
        found.append(invalid(where, labels, "`selector` does not match template `labels`"))
    return found


def validate_job_update(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[FieldError]:
    """Keep what may not change: completions (but for an elastic indexed Job), selector, template, policies."""
    after, before = new.get("spec") or {}, old.get("spec") or {}
    found: list[FieldError] = []
    if after.get("completions") != before.get("completions"):
        if not is_indexed(before):
            found += immutable("spec.completions", after.get("completions"), before.get("completions"))
        elif after.get("completions") != after.get("parallelism"):
            detail = "can only be modified in tandem with parallelism"
            found.append(invalid("spec.completions", after.get("completions"), detail))
    for name in ("selector", *FROZEN):
        found += immutable(f"spec.{name}", after.get(name), before.get(name))
    unstarted = before.get("suspend") and not (old.get("status") or {}).get("startTime")
    if _template(after, loose=bool(unstarted)) != _template(before, loose=bool(unstarted)):
        found += immutable("spec.template", after.get("template"), before.get("template"))
    if (old.get("spec") or {}).get("suspend") is False and after.get("suspend") and _is_finished(old):
        found.append(forbidden("spec.suspend", "a finished Job cannot be suspended"))
    return found


def _is_finished(job: Mapping[str, Any]) -> bool:
    conditions = (job.get("status") or {}).get("conditions") or ()
    return any(c.get("type") in {"Complete", "Failed"} and c.get("status") == "True" for c in conditions)


def _template(spec: Mapping[str, Any], *, loose: bool) -> Obj:
    """Return the template; of a suspended Job that never ran, without what steers its scheduling."""
    template = dict(spec.get("template") or {})
    if loose:
        pod_spec = template.get("spec") or {}
        template["spec"] = {key: value for key, value in pod_spec.items() if key not in SCHEDULING}
        metadata = template.get("metadata") or {}
        template["metadata"] = {k: v for k, v in metadata.items() if k not in {"labels", "annotations"}}
    return template
