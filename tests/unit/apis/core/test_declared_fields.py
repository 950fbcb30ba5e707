"""Holds the declared fields against the schema set of Kubernetes 1.32 that `kubernetes-validate` ships."""

import json
from pathlib import Path

import kubernetes_validate
import pytest

from windlass.apimachinery.schema import ApiField, Int, ListOf, MapOf, Nested, ObjectSchema, Quantity, Str
from windlass.apis.autoscaling import v1 as autoscaling
from windlass.apis.core.v1 import binding
from windlass.apis.meta import v1 as meta
from windlass.apis.policy import v1 as policy
from windlass.apis.scheme import builtin_scheme

FOLDER = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema" / "v1.32.0-local"
DEFINITIONS = json.loads((FOLDER / "_definitions.json").read_text())["$defs"]
ROOTS = (
    *(kind.schema for kind in builtin_scheme()),
    autoscaling.Scale,
    binding.Binding,
    policy.Eviction,
    meta.Status,
    meta.Condition,
    meta.ListMeta,
    meta.DeleteOptions,
    meta.ObjectMeta,
)


def nested_of(field: ApiField):
    if isinstance(field, Nested):
        return field.nested_schema
    inner = field.item if isinstance(field, ListOf) else field.value if isinstance(field, MapOf) else None
    return inner if isinstance(inner, type) else None


def full_name(schema) -> str:
    return f"{schema.openapi_prefix}.{schema.__name__}"


def reachable() -> list[type[ObjectSchema]]:
    found, queue = [], list(ROOTS)
    while queue:
        schema = queue.pop()
        if schema not in found:
            found.append(schema)
            queue += [inner for field in schema.wire_fields().values() if (inner := nested_of(field)) is not None]
    return sorted(found, key=full_name)


SCHEMAS = reachable()
every_schema = pytest.mark.parametrize("schema", SCHEMAS, ids=full_name)


def published(schema):
    return DEFINITIONS[full_name(schema)]


@every_schema
def test_a_type_has_exactly_the_fields_of_kubernetes(schema):
    assert set(schema.wire_fields()) == set(published(schema)["properties"])


@every_schema
def test_required_fields_are_those_of_kubernetes(schema):
    """Those that Kubernetes' own decoder fills with a zero value are published as required and default to it."""
    required = {name for name, field in schema.wire_fields().items() if field.published_required}
    assert required == set(published(schema).get("required") or [])


@every_schema
def test_merging_and_ownership_are_those_of_kubernetes(schema):
    assert schema.openapi_map_type == published(schema).get("x-kubernetes-map-type", "")
    for name, declared in published(schema)["properties"].items():
        field = schema.wire_fields()[name]
        if isinstance(field, Nested):
            assert field.patch_strategy == declared.get("x-kubernetes-patch-strategy", ""), name
        if isinstance(field, ListOf):
            ours = (field.patch_strategy, field.patch_merge_key, field.list_type, list(field.list_map_keys))
            theirs = (
                declared.get("x-kubernetes-patch-strategy", ""),
                declared.get("x-kubernetes-patch-merge-key", ""),
                declared.get("x-kubernetes-list-type", "atomic"),
                declared.get("x-kubernetes-list-map-keys", []),
            )
            assert ours == theirs, name
        if isinstance(field, MapOf):
            assert field.map_type == declared.get("x-kubernetes-map-type", ""), name


@every_schema
def test_json_types_are_those_of_kubernetes(schema):
    for name, declared in published(schema)["properties"].items():
        field = schema.wire_fields()[name]
        if "$ref" in declared:
            target = declared["$ref"].rsplit(".", 1)[-1]
            if isinstance(field, Nested):
                assert field.nested_schema.__name__ == target, name
            assert isinstance(field, Quantity) == (target == "Quantity"), name
            continue
        kind = declared["type"][0] if isinstance(declared["type"], list) else declared["type"]
        assert field.openapi_type == {"object": "object"}.get(kind, kind), name
        if isinstance(field, Int):
            assert field.bits == (64 if declared.get("format") == "int64" else 32), name


@every_schema
def test_every_type_and_field_is_described_in_a_sentence_of_our_own(schema):
    assert schema.__doc__
    theirs = published(schema)
    assert schema.__doc__.strip() != theirs.get("description")
    for name, field in schema.wire_fields().items():
        assert field.description.endswith("."), name
        assert field.description != theirs["properties"][name].get("description"), name


@every_schema
def test_a_default_fits_its_enum(schema):
    for name, field in schema.wire_fields().items():
        if isinstance(field, Str) and field.enum and field.default_value is not None:
            assert field.default_value in field.enum, name


def test_no_served_kind_is_left_out():
    assert {full_name(kind.schema) for kind in builtin_scheme()} <= {full_name(schema) for schema in SCHEMAS}
    assert all(full_name(kind.schema).endswith(f".{kind.version}.{kind.kind}") for kind in builtin_scheme())
