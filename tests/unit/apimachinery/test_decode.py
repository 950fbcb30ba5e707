"""The compiled decoder: checks, defaults, unknown fields, agreement with marshmallow (A44, C053, C055)."""

import copy
import importlib
import sys

import marshmallow
import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.apimachinery.decode import TYPE_INVALID, decode


def errors_of(schema, raw):
    return {error.field: error.message for error in decode(schema, raw).errors}


def test_defaults_only_where_the_object_is(gadget):
    assert decode(gadget, {"kind": "Gadget"}).obj == {"kind": "Gadget"}
    decoded = decode(gadget, {"spec": {"mode": "a", "ports": [{"port": 80}]}})
    assert decoded.errors == []
    assert decoded.obj == {"spec": {"mode": "a", "replicas": 1, "ports": [{"port": 80, "protocol": "TCP"}]}}


def test_null_counts_as_absent(gadget):
    decoded = decode(gadget, {"metadata": None, "spec": {"mode": "a", "replicas": None, "arguments": ["x", None]}})
    assert decoded.obj == {"spec": {"mode": "a", "replicas": 1, "arguments": ["x", ""]}}
    assert decode(gadget, {"metadata": {"labels": {"a": None}}}).obj == {"metadata": {"labels": {"a": ""}}}


def test_unknown_fields_are_named_and_left_out(gadget):
    """C055: unknown keys are reported with their paths, in nested lists and metadata too."""
    decoded = decode(
        gadget,
        {
            "nope": 1,
            "metadata": {"colour": "red"},
            "spec": {"mode": "a", "ports": [{"port": 1, "foo": None}]},
        },
    )
    assert decoded.unknown == ["nope", "metadata.colour", "spec.ports[0].foo"]
    assert decoded.errors == []
    assert decoded.obj["metadata"] == {}


@pytest.mark.parametrize(
    ("spec", "field", "message"),
    [
        ({}, "spec.mode", "Required value"),
        ({"mode": ""}, "spec.mode", "Required value"),
        ({"mode": "a" * 11}, "spec.mode", "Too long: may not be more than 10 bytes"),
        ({"mode": "a", "replicas": -1}, "spec.replicas", "Invalid value: -1: must be greater than or equal to 0"),
        (
            {"mode": "a", "ports": [{"port": 0}]},
            "spec.ports[0].port",
            "Invalid value: 0: must be between 1 and 65535, inclusive",
        ),
        ({"mode": "a", "ports": [{}]}, "spec.ports[0].port", "Required value"),
        (
            {"mode": "a", "ports": [{"port": 1, "protocol": "X"}]},
            "spec.ports[0].protocol",
            'Unsupported value: "X": supported values: "TCP", "UDP"',
        ),
        (
            {"mode": "a", "ports": [{"port": 1, "name": "-"}]},
            "spec.ports[0].name",
            'Invalid value: "-": must not begin or end with a hyphen',
        ),
        ({"mode": "a", "ports": [{"port": 1}] * 6}, "spec.ports", "Too many: 6: must have at most 5 items"),
        ({"mode": "a", "least": 5, "most": 2}, "spec.least", "Invalid value: must not exceed most"),
        (
            {"mode": "a", "children": [{"mode": "b", "children": [{}]}]},
            "spec.children[0].children[0].mode",
            "Required value",
        ),
    ],
)
def test_errors_are_worded_as_kubectl_prints_them(gadget, spec, field, message):
    assert errors_of(gadget, {"spec": spec})[field] == message


@pytest.mark.parametrize(
    ("spec", "field", "message"),
    [
        (
            {"replicas": "3"},
            "spec.replicas",
            "json: cannot unmarshal string into Go struct field Gadget.spec.replicas of type int32",
        ),
        (
            {"replicas": 3.5},
            "spec.replicas",
            "json: cannot unmarshal number 3.5 into Go struct field Gadget.spec.replicas of type int32",
        ),
        (
            {"replicas": 2**31},
            "spec.replicas",
            "json: cannot unmarshal number 2147483648 into Go struct field Gadget.spec.replicas of type int32",
        ),
        (
            {"replicas": True},
            "spec.replicas",
            "json: cannot unmarshal bool into Go struct field Gadget.spec.replicas of type int32",
        ),
        (
            {"ports": {}},
            "spec.ports",
            "json: cannot unmarshal object into Go struct field Gadget.spec.ports of type []v1.Port",
        ),
        (
            {"limits": []},
            "spec.limits",
            "json: cannot unmarshal array into Go struct field Gadget.spec.limits of type map[string]string",
        ),
        (
            {"paused": "true"},
            "spec.paused",
            "json: cannot unmarshal string into Go struct field Gadget.spec.paused of type bool",
        ),
        (
            {"ports": ["x"]},
            "spec.ports[0]",
            "json: cannot unmarshal string into Go struct field Gadget.spec.ports[0] of type v1.Port",
        ),
    ],
)
def test_wrong_types_are_the_decoders_errors(gadget, spec, field, message):
    decoded = decode(gadget, {"spec": {"mode": "a", **spec}})
    wrong = [error for error in decoded.errors if error.reason == TYPE_INVALID]
    assert [(error.field, error.message) for error in wrong] == [(field, message)]
    assert len(decoded.errors) == 1


@pytest.mark.parametrize(
    ("key", "value", "kept"),
    [
        ("memory", "1024Mi", "1Gi"),
        ("memory", 5, "5"),
        ("memory", 0.5, "500m"),
        ("memory", " 1 ", "1"),
        ("payload", "YQ==", "YQ=="),
        ("payload", "YQ=\n=", "YQ=="),
        ("payload", "", ""),
        ("renewed", "2024-01-02T03:04:05Z", "2024-01-02T03:04:05.000000Z"),
        ("renewed", "2024-01-02T03:04:05.123456Z", "2024-01-02T03:04:05.123456Z"),
        ("renewed", "2024-01-02T03:04:05.5+02:00", "2024-01-02T01:04:05.500000Z"),
        ("raw", {"a": [None, 1]}, {"a": [None, 1]}),
        ("ratio", 1, 1),
    ],
)
def test_values_are_normalized(gadget, key, value, kept):
    decoded = decode(gadget, {"spec": {"mode": "a", key: value}})
    assert decoded.errors == []
    assert decoded.obj["spec"][key] == kept


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("memory", "1Ki1"),
        ("memory", []),
        ("payload", "a"),
        ("payload", "YQ"),
        ("payload", "Ä"),
        ("payload", 1),
        ("renewed", "2024-13-01T00:00:00Z"),
        ("renewed", "2024-01-01"),
        ("renewed", "now"),
        ("renewed", 5),
        ("ratio", "1"),
    ],
)
def test_unreadable_values(gadget, key, value):
    errors = decode(gadget, {"spec": {"mode": "a", key: value}}).errors
    assert [(error.field, error.reason) for error in errors] == [(f"spec.{key}", TYPE_INVALID)]


def test_findings_are_bounded(gadget):
    decoded = decode(
        gadget, {**{f"u{index}": 1 for index in range(500)}, "spec": {"mode": "a", "arguments": list(range(500))}}
    )
    assert len(decoded.unknown) == 100
    assert len(decoded.errors) == 100


def test_label_keys_are_checked(gadget):
    assert "name part" in errors_of(gadget, {"metadata": {"labels": {"-a": "b"}}})["metadata.labels"]


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**40), 2**40),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "a", "TCP", "UDP", "80", "1Gi", "YQ==", "2024-01-02T03:04:05Z"]),
    st.text(max_size=5),
)
ports = st.fixed_dictionaries(
    {},
    optional={
        "port": st.one_of(st.integers(0, 70000), scalars),
        "name": scalars,
        "protocol": scalars,
        "targetPort": scalars,
        "unknown": scalars,
    },
)
anything = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["port", "name", "a", "spec"]), inner, max_size=3)
    ),
    max_leaves=5,
)
specs = st.fixed_dictionaries(
    {},
    optional={
        "mode": st.one_of(st.just("a"), scalars),
        "replicas": st.one_of(st.integers(-2, 5), scalars),
        "ports": st.one_of(st.lists(ports, max_size=6), anything),
        "least": st.integers(0, 9),
        "most": st.integers(0, 9),
        "paused": st.one_of(st.booleans(), scalars),
        "memory": scalars,
        "payload": scalars,
        "renewed": scalars,
        "raw": anything,
        "limits": st.one_of(st.dictionaries(st.text(max_size=3), scalars, max_size=3), anything),
        "ratio": scalars,
        "arguments": st.one_of(st.lists(scalars, max_size=3), anything),
        "odd": anything,
    },
)
gadgets = st.fixed_dictionaries(
    {},
    optional={
        "apiVersion": scalars,
        "kind": scalars,
        "metadata": st.one_of(
            anything,
            st.fixed_dictionaries(
                {},
                optional={
                    "name": scalars,
                    "labels": st.dictionaries(st.text(max_size=3), scalars, max_size=3),
                    "finalizers": anything,
                },
            ),
        ),
        "spec": st.one_of(specs, anything),
        "extra": anything,
    },
)


def gadget_schema():
    """Return the schema without a fixture: hypothesis runs many examples per fixture."""
    for name, module in list(sys.modules.items()):
        if name.endswith("unit.apimachinery.conftest"):
            return module.Gadget
    return importlib.import_module("tests.unit.apimachinery.conftest").Gadget


@given(raw=gadgets)
def test_decoding_agrees_with_marshmallow(raw):
    """A44: `Schema().load` and `decode` accept the same objects and make the same of them."""
    schema, before = gadget_schema(), copy.deepcopy(raw)
    decoded = decode(schema, raw)
    assert raw == before
    try:
        loaded = schema().load(raw)
    except marshmallow.ValidationError:
        assert decoded.errors
        return
    assert decoded.errors == []
    assert loaded == decoded.obj


@given(raw=gadgets)
def test_decoding_is_idempotent(raw):
    """A44: what was decoded once decodes to itself, with nothing unknown."""
    schema = gadget_schema()
    first = decode(schema, raw)
    if first.errors:
        return
    second = decode(schema, first.obj)
    assert (second.obj, second.unknown, second.errors) == (first.obj, [], [])
    assert second.obj is not first.obj
