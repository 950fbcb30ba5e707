"""Checks of where pods may run: node selectors, affinity, taints, tolerations, spreading."""

from collections.abc import Mapping, Sequence
from typing import Any

from windlass.apimachinery import names
from windlass.apimachinery.field_errors import duplicate, forbidden, invalid, invalid_each, required
from windlass.apis.meta.validation import validate_labels
from windlass.errors import FieldError

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
WEIGHT_RANGE = "must be in the range 1-100"
NODE_FIELDS = ("metadata.name",)


def validate_placement(spec: Mapping[str, Any], path: str) -> list[FieldError]:
    """Check everything in a pod spec that says where the pod may run; `path` is the spec's."""
    return [
        *validate_labels(spec.get("nodeSelector") or {}, f"{path}.nodeSelector"),
        *validate_affinity(spec.get("affinity") or {}, f"{path}.affinity"),
        *validate_tolerations(spec.get("tolerations") or [], f"{path}.tolerations"),
        *validate_spread(spec.get("topologySpreadConstraints") or [], f"{path}.topologySpreadConstraints"),
    ]


def validate_affinity(affinity: Mapping[str, Any], path: str) -> list[FieldError]:
    """Check an Affinity object."""
    found = _validate_node_affinity(affinity.get("nodeAffinity") or {}, f"{path}.nodeAffinity")
    for field in ("podAffinity", "podAntiAffinity"):
        rules, item = affinity.get(field) or {}, f"{path}.{field}"
        for index, term in enumerate(rules.get(REQUIRED) or []):
            found += _validate_pod_term(term, f"{item}.{REQUIRED}[{index}]")
        for index, weighted in enumerate(rules.get(PREFERRED) or []):
            place = f"{item}.{PREFERRED}[{index}]"
            found += _validate_weight(weighted, place)
            found += _validate_pod_term(weighted.get("podAffinityTerm") or {}, f"{place}.podAffinityTerm")
    return found


def _validate_weight(weighted: Mapping[str, Any], path: str) -> list[FieldError]:
    weight = weighted.get("weight") or 0
    return [] if 1 <= weight <= 100 else [invalid(f"{path}.weight", weight, WEIGHT_RANGE)]


def _validate_node_affinity(rules: Mapping[str, Any], path: str) -> list[FieldError]:
    found = []
    if rules.get(REQUIRED) is not None:
        found += validate_node_selector(rules[REQUIRED], f"{path}.{REQUIRED}")
    for index, weighted in enumerate(rules.get(PREFERRED) or []):
        place = f"{path}.{PREFERRED}[{index}]"
        found += _validate_weight(weighted, place)
        found += _validate_node_term(weighted.get("preference") or {}, f"{place}.preference")
    return found


def validate_node_selector(selector: Mapping[str, Any], path: str) -> list[FieldError]:
    """Check a NodeSelector object."""
    terms = selector.get("nodeSelectorTerms") or []
    if not terms:
        return [required(f"{path}.nodeSelectorTerms", "must have at least one node selector term")]
    return [error for index, term in enumerate(terms)
            for error in _validate_node_term(term, f"{path}.nodeSelectorTerms[{index}]")]


def _validate_node_term(term: Mapping[str, Any], path: str) -> list[FieldError]:
    found = []
    for index, requirement in enumerate(term.get("matchExpressions") or []):
        item, key = f"{path}.matchExpressions[{index}]", requirement.get("key") or ""
        found += invalid_each(f"{item}.key", key, names.is_qualified_name(key)) + _validate_values(requirement, item)
    for index, requirement in enumerate(term.get("matchFields") or []):
        found += _validate_field_requirement(requirement, f"{path}.matchFields[{index}]")
    return found


def _validate_values(requirement: Mapping[str, Any], path: str) -> list[FieldError]:
    operator, values = requirement.get("operator"), requirement.get("values") or []
    if operator in ("In", "NotIn"):
        return [] if values else [
            required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'")]
    if operator in ("Exists", "DoesNotExist"):
        return [forbidden(f"{path}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
                ] if values else []
    if len(values) != 1:
        return [required(f"{path}.values", "must be specified single value when `operator` is 'Lt' or 'Gt'")]
    return []


def _validate_field_requirement(requirement: Mapping[str, Any], path: str) -> list[FieldError]:
    found = []
    key, values = requirement.get("key") or "", requirement.get("values") or []
    if requirement.get("operator") not in ("In", "NotIn"):
        found.append(invalid(f"{path}.operator", requirement.get("operator"), "not a valid selector operator"))
    elif len(values) != 1:
        found.append(required(f"{path}.values", "must be only one value when `operator` is 'In' or 'NotIn' for node "
                              "field selector"))
    if key not in NODE_FIELDS:
        return [*found, invalid(f"{path}.key", key, "not a valid field selector key")]
    for index, value in enumerate(values):
        found += invalid_each(f"{path}.values[{index}]", value, names.is_dns1123_subdomain(value))
    return found


def _validate_pod_term(term: Mapping[str, Any], path: str) -> list[FieldError]:
    found = []
    for index, namespace in enumerate(term.get("namespaces") or []):
        found += invalid_each(f"{path}.namespaces[{index}]", namespace, names.is_dns1123_label(namespace))
    found += validate_topology_key(term.get("topologyKey") or "", f"{path}.topologyKey")
    for field in ("matchLabelKeys", "mismatchLabelKeys"):
        keys = term.get(field) or []
        found += _validate_label_keys(keys, f"{path}.{field}")
        if keys and term.get("labelSelector") is None:
            found.append(forbidden(f"{path}.{field}", "must not be specified when labelSelector is not set"))
    for index, key in enumerate(term.get("matchLabelKeys") or []):
        if key in (term.get("mismatchLabelKeys") or []):
            found.append(invalid(f"{path}.matchLabelKeys[{index}]", key, "exists in both matchLabelKeys and "
                                 "mismatchLabelKeys"))
    return found


def validate_topology_key(key: str, path: str) -> list[FieldError]:
    """Check the node label that delimits an area."""
    return invalid_each(path, key, names.is_qualified_name(key)) if key else [required(path, "can not be empty")]


def _validate_label_keys(keys: Sequence[str], path: str) -> list[FieldError]:
    return [error for index, key in enumerate(keys)
            for error in invalid_each(f"{path}[{index}]", key, names.is_qualified_name(key))]


def validate_tolerations(tolerations: Sequence[Mapping[str, Any]], path: str) -> list[FieldError]:
    """Check tolerations."""
    found = []
    for index, toleration in enumerate(tolerations):
        item = f"{path}[{index}]"
        key, operator = toleration.get("key") or "", toleration.get("operator") or "Equal"
        value, effect = toleration.get("value") or "", toleration.get("effect") or ""
        if key:
            found += invalid_each(f"{item}.key", key, names.is_qualified_name(key))
        elif operator != "Exists":
            found.append(invalid(f"{item}.operator", toleration.get("operator") or "",
                                 'operator must be Exists when `key` is empty, which means "match all values and all '
                                 'keys"'))
        if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
            found.append(invalid(f"{item}.effect", effect,
                                 "effect must be 'NoExecute' when `tolerationSeconds` is set"))
        if operator == "Equal":
            found += invalid_each(f"{item}.operator", value, names.is_label_value(value))
        elif value:
            found.append(invalid(f"{item}.operator", dict(toleration),
                                 "value must be empty when `operator` is 'Exists'"))
    return found


def validate_taints(taints: Sequence[Mapping[str, Any]], path: str) -> list[FieldError]:
    """Check taints; a key may stand once per effect."""
    found = []
    seen = set()
    for index, taint in enumerate(taints):
        item, key, value = f"{path}[{index}]", taint.get("key") or "", taint.get("value") or ""
        effect = taint.get("effect") or ""
        found += invalid_each(f"{item}.key", key, names.is_qualified_name(key))
        found += invalid_each(f"{item}.value", value, names.is_label_value(value))
        if not effect:
            found.append(required(f"{item}.effect"))
        if (key, effect) in seen:
            found.append(duplicate(item, {"key": key, "effect": effect}))
        seen.add((key, effect))
    return found


def validate_spread(constraints: Sequence[Mapping[str, Any]], path: str) -> list[FieldError]:
    """Check topology spread constraints; each pair of key and consequence may stand once."""
    found = []
    seen = set()
    for index, constraint in enumerate(constraints):
        item = f"{path}[{index}]"
        found += _validate_spread_constraint(constraint, item)
        pair = (constraint.get("topologyKey"), constraint.get("whenUnsatisfiable"))
        if pair in seen:
            found.append(duplicate(f"{item}.{{topologyKey, whenUnsatisfiable}}",
                                   "{" + ", ".join(str(part) for part in pair) + "}"))
        seen.add(pair)
    return found


def _validate_spread_constraint(constraint: Mapping[str, Any], path: str) -> list[FieldError]:
    found = []
    skew, domains = constraint.get("maxSkew") or 0, constraint.get("minDomains")
    if skew <= 0:
        found.append(invalid(f"{path}.maxSkew", skew, "must be greater than zero"))
    found += validate_topology_key(constraint.get("topologyKey") or "", f"{path}.topologyKey")
    if domains is not None and domains <= 0:
        found.append(invalid(f"{path}.minDomains", domains, "must be greater than zero"))
    if domains is not None and constraint.get("whenUnsatisfiable") != "DoNotSchedule":
        found.append(invalid(f"{path}.minDomains", domains, "can only use minDomains if "
                             f"whenUnsatisfiable=DoNotSchedule, not {constraint.get('whenUnsatisfiable')}"))
    keys = constraint.get("matchLabelKeys") or []
    found += _validate_label_keys(keys, f"{path}.matchLabelKeys")
    if keys and constraint.get("labelSelector") is None:
        found.append(forbidden(f"{path}.matchLabelKeys", "must not be specified when labelSelector is not set"))
    return found
