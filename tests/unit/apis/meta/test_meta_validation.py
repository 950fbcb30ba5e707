import pytest

from windlass.apimachinery import names
from windlass.apimachinery.decode import decode
from windlass.apis.meta.v1 import LabelSelector, ObjectMeta
from windlass.apis.meta.validation import (
    validate_label_selector,
    validate_object_meta,
    validate_object_meta_update,
)

OWNER = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "1"}


def fields(errors):
    return [(error.field, error.reason) for error in errors]


def check(namespaced=True, name_check=names.is_dns1123_subdomain, **meta):
    base = {"name": "web", "namespace": "default"} if namespaced else {"name": "web"}
    return validate_object_meta({**base, **meta}, namespaced, name_check, "metadata")


def test_good_metadata():
    assert (
        check(
            labels={"app": "web", "example.com/x": ""},
            annotations={"note": "any text"},
            ownerReferences=[OWNER],
            finalizers=["orphan", "example.com/x"],
        )
        == []
    )
    assert check(namespaced=False) == []


@pytest.mark.parametrize(
    ("meta", "expected"),
    [
        ({"name": ""}, ("metadata.name", "FieldValueRequired")),
        ({"name": "A"}, ("metadata.name", "FieldValueInvalid")),
        ({"name": "a" * 254}, ("metadata.name", "FieldValueInvalid")),
        ({"name": "../x"}, ("metadata.name", "FieldValueInvalid")),
        ({"namespace": ""}, ("metadata.namespace", "FieldValueRequired")),
        ({"namespace": "a.b"}, ("metadata.namespace", "FieldValueInvalid")),
        ({"labels": {"a": "b c"}}, ("metadata.labels", "FieldValueInvalid")),
        ({"labels": {"a/b/c": ""}}, ("metadata.labels", "FieldValueInvalid")),
        ({"annotations": {" ": ""}}, ("metadata.annotations", "FieldValueInvalid")),
        ({"annotations": {"a": "x" * 262144}}, ("metadata.annotations", "FieldValueTooLong")),
        ({"ownerReferences": [{**OWNER, "uid": ""}]}, ("metadata.ownerReferences[0].uid", "FieldValueInvalid")),
        (
            {"ownerReferences": [{**OWNER, "controller": True}, {**OWNER, "uid": "2", "controller": True}]},
            ("metadata.ownerReferences", "FieldValueInvalid"),
        ),
        (
            {"ownerReferences": [{**OWNER, "apiVersion": "v1", "kind": "Event"}]},
            ("metadata.ownerReferences[0]", "FieldValueInvalid"),
        ),
        ({"finalizers": ["unqualified"]}, ("metadata.finalizers[0]", "FieldValueInvalid")),
        ({"finalizers": ["orphan", "foregroundDeletion"]}, ("metadata.finalizers", "FieldValueInvalid")),
    ],
)
def test_rules(meta, expected):
    """A39: names that could lead elsewhere are refused before anything is stored."""
    assert expected in fields(check(**meta))


def test_cluster_scoped_objects_have_no_namespace():
    assert fields(check(namespaced=False, namespace="x")) == [("metadata.namespace", "FieldValueForbidden")]


@pytest.mark.parametrize(("prefix", "good"), [("web-", True), ("web", True), ("-", False), ("Web-", False)])
def test_a_prefix_may_end_in_a_dash(prefix, good):
    found = validate_object_meta(
        {"generateName": prefix, "namespace": "a"}, True, names.is_dns1123_subdomain, "metadata"
    )
    assert (found == []) is good


def test_a_kind_has_its_own_rule_for_names():
    assert check(name="1web") == []
    assert fields(check(name="1web", name_check=names.is_dns1035_label)) == [("metadata.name", "FieldValueInvalid")]


def test_identity_does_not_change():
    old = {"name": "a", "namespace": "n", "uid": "1", "creationTimestamp": "2026-01-01T00:00:00Z"}
    assert validate_object_meta_update(dict(old), old) == []
    assert fields(validate_object_meta_update({**old, "uid": "2"}, old)) == [("metadata.uid", "FieldValueInvalid")]


def test_a_dying_object_gets_no_new_finalizers():
    old = {"name": "a", "deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["x.y/a"]}
    assert validate_object_meta_update({**old, "finalizers": []}, old) == []
    added = validate_object_meta_update({**old, "finalizers": ["x.y/a", "x.y/b"]}, old)
    assert fields(added) == [("metadata.finalizers", "FieldValueForbidden")]


def expression(operator, values=(), key="app"):
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        (None, []),
        ({}, []),
        (expression("In", ["a"]), []),
        (expression("Exists"), []),
        (expression("In"), [("s.matchExpressions[0].values", "FieldValueRequired")]),
        (expression("Exists", ["a"]), [("s.matchExpressions[0].values", "FieldValueForbidden")]),
        (expression("Near"), [("s.matchExpressions[0].operator", "FieldValueNotSupported")]),
        (expression("Exists", key=""), [("s.matchExpressions[0].key", "FieldValueInvalid")] * 2),
        ({"matchLabels": {"a": "b c"}}, [("s.matchLabels", "FieldValueInvalid")]),
    ],
)
def test_label_selectors(selector, expected):
    found = fields(validate_label_selector(selector, "s"))
    assert set(found) == set(expected)


def test_the_schemas_carry_these_rules():
    assert fields(decode(ObjectMeta, {"labels": {"a": "b c"}}).errors) == [("labels", "FieldValueInvalid")]
    assert fields(decode(LabelSelector, {"matchLabels": {"a": "b c"}}).errors) == [
        (".matchLabels", "FieldValueInvalid")
    ]
    assert fields(decode(ObjectMeta, {"finalizers": ["x"]}).errors) == [("finalizers[0]", "FieldValueInvalid")]
