"""Checks of metadata and of label selectors, the same for every kind."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from windlass.apimachinery import checks, names
from windlass.apimachinery.field_errors import (
    forbidden,
    immutable,
    invalid,
    invalid_each,
    not_supported,
    required,
)
from windlass.errors import FieldError

NameCheck = Callable[[str], Sequence[str]]
"""Checks a name and returns what is wrong with it, in words."""

STANDARD_FINALIZERS = frozenset({"kubernetes", "orphan", "foregroundDeletion"})


def validate_object_meta(
    meta: Mapping[str, Any], namespaced: bool, name_check: NameCheck = names.is_dns1123_subdomain,  # noqa: FBT001
    path: str = "metadata",
) -> list[FieldError]:
    """Check the metadata of an object of any kind.

    `namespaced` says whether the kind lives in namespaces; `name_check` holds the kind's own rule for names.
    """
    return [
        *_validate_names(meta, name_check, path),
        *_validate_namespace(meta.get("namespace") or "", namespaced=namespaced, path=f"{path}.namespace"),
        *validate_labels(meta.get("labels") or {}, f"{path}.labels"),
        *validate_annotations(meta.get("annotations") or {}, f"{path}.annotations"),
        *validate_owner_references(meta.get("ownerReferences") or [], f"{path}.ownerReferences"),
        *validate_finalizers(meta.get("finalizers") or [], f"{path}.finalizers"),
    ]


def validate_object_meta_update(new: Mapping[str, Any], old: Mapping[str, Any],
                                path: str = "metadata") -> list[FieldError]:
    """Check that an update leaves the object's identity alone."""
    found = []
    for field in ("name", "namespace", "uid", "creationTimestamp"):
        if new.get(field) is not None:
            found += immutable(f"{path}.{field}", new.get(field), old.get(field))
    if old.get("deletionTimestamp"):
        added = sorted(set(new.get("finalizers") or []) - set(old.get("finalizers") or []))
        if added:
            found.append(forbidden(f"{path}.finalizers",
                                   "no new finalizers can be added if the object is being deleted, "
                                   f"found new finalizers {added}"))
    return found


def _validate_names(meta: Mapping[str, Any], name_check: NameCheck, path: str) -> list[FieldError]:
    name, prefix = meta.get("name") or "", meta.get("generateName") or ""
    found = invalid_each(f"{path}.generateName", prefix, name_check(_as_complete_name(prefix))) if prefix else []
    if name:
        found += invalid_each(f"{path}.name", name, name_check(name))
    elif not prefix:
        found.append(required(f"{path}.name", "name or generateName is required"))
    return found


def _as_complete_name(prefix: str) -> str:
    # A prefix may end in a dash, because random characters follow it.
    return f"{prefix[:-1]}a" if len(prefix) > 1 and prefix.endswith("-") else prefix


def _validate_namespace(namespace: str, *, namespaced: bool, path: str) -> list[FieldError]:
    if not namespaced:
        return [forbidden(path, "not allowed on this type")] if namespace else []
    if not namespace:
        return [required(path)]
    return invalid_each(path, namespace, names.is_dns1123_label(namespace))


def validate_labels(labels: Mapping[str, Any], path: str) -> list[FieldError]:
    """Check the keys and values of labels, or of a nodeSelector."""
    return list(checks.labels(labels, path))


def validate_annotations(annotations: Mapping[str, Any], path: str) -> list[FieldError]:
    """Check the keys of annotations and their size taken together."""
    return list(checks.annotations(annotations, path))


def validate_owner_references(references: Sequence[Mapping[str, Any]], path: str) -> list[FieldError]:
    """Check that each owner is named in full and that at most one of them is the controller."""
    found = []
    controller = ""
    for index, reference in enumerate(references):
        item = f"{path}[{index}]"
        found += [invalid(f"{item}.{field}", "", f"{word} must not be empty")
                  for field, word in (("apiVersion", "version"), ("kind", "kind"), ("name", "name"), ("uid", "uid"))
                  if not reference.get(field)]
        if reference.get("apiVersion") == "v1" and reference.get("kind") == "Event":
            found.append(invalid(item, "/v1, Kind=Event", "is disallowed from being an owner"))
        if reference.get("controller"):
            if controller:
                found.append(invalid(path, reference.get("name"), "Only one reference can have Controller set to true. "
                                     f"Found \"true\" in references for {controller} and {reference.get('name')}"))
            controller = reference.get("name") or "?"
    return found


def validate_finalizers(finalizers: Sequence[str], path: str) -> list[FieldError]:
    """Check that finalizers are well-known or qualified by a domain, and do not contradict each other."""
    found = []
    for index, finalizer in enumerate(finalizers):
        problems = names.is_qualified_name(finalizer)
        if not problems and "/" not in finalizer and finalizer not in STANDARD_FINALIZERS:
            problems = ["name is neither a standard finalizer name nor is it fully qualified"]
        found += invalid_each(f"{path}[{index}]", finalizer, problems)
    if {"orphan", "foregroundDeletion"} <= set(finalizers):
        found.append(invalid(path, list(finalizers),
                             "finalizer orphan and foregroundDeletion cannot be both set"))
    return found


def validate_label_selector(selector: Mapping[str, Any] | None, path: str) -> list[FieldError]:
    """Check a LabelSelector object; None is well formed."""
    found: list[FieldError] = []
    if selector is None:
        return found
    found += validate_labels(selector.get("matchLabels") or {}, f"{path}.matchLabels")
    for index, expression in enumerate(selector.get("matchExpressions") or []):
        found += _validate_expression(expression, f"{path}.matchExpressions[{index}]")
    return found


def _validate_expression(expression: Mapping[str, Any], path: str) -> list[FieldError]:
    operator, values = expression.get("operator"), expression.get("values") or []
    found = invalid_each(f"{path}.key", expression.get("key"), names.is_qualified_name(expression.get("key") or ""))
    if operator in ("In", "NotIn"):
        if not values:
            found.append(required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
        for index, value in enumerate(values):
            found += invalid_each(f"{path}.values[{index}]", value, names.is_label_value(value))
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            found.append(forbidden(f"{path}.values",
                                   "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"))
    else:
        found.append(not_supported(f"{path}.operator", operator, ("In", "NotIn", "Exists", "DoesNotExist")))
    return found
