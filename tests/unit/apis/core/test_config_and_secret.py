import base64

import pytest

MIB = 1024 * 1024
FROZEN = "Forbidden: field is immutable when `immutable` is set"
BAD_KEY = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',"
    "  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, []),
        ({"data": {"a.b-c_D": "x"}, "binaryData": {"z": b64("x")}}, []),
        (
            {"data": {"a": "x"}, "binaryData": {"a": b64("x")}},
            [
                'data[a]: Invalid value: "a": duplicate of key present in binaryData',
                'binaryData[a]: Invalid value: "a": duplicate of key present in data',
            ],
        ),
        ({"data": {"a": "x" * MIB}}, []),
        ({"data": {"a": "x" * MIB, "b": "y"}}, [": Too long: may not be more than 1048576 bytes"]),
        ({"data": {"a": "x" * MIB}, "binaryData": {"b": b64("y")}}, [": Too long: may not be more than 1048576 bytes"]),
        ({"data": {"a": "\u00e9" * (MIB // 2 + 1)}}, [": Too long: may not be more than 1048576 bytes"]),
    ],
)
def test_config_map(problems_of, fields, expected):
    assert problems_of("v1", "ConfigMap", **fields) == expected


@pytest.mark.parametrize(("kind", "field"), [("ConfigMap", "data"), ("ConfigMap", "binaryData"), ("Secret", "data")])
def test_an_empty_key_is_refused(problems_of, kind, field):
    """C290."""
    found = problems_of("v1", kind, **{field: {"": ""}})
    assert f'{field}[]: Invalid value: "": {BAD_KEY}' in found


@pytest.mark.parametrize(("kind", "old", "new"), [("ConfigMap", "a", "b"), ("Secret", "YQ==", "Yg==")])
class TestImmutable:
    """C332 for ConfigMaps, C400 for Secrets."""

    def test_data_may_change_before(self, build, update_problems, kind, old, new):
        obj = build("v1", kind, data={"k": old})
        assert update_problems(obj, lambda o: o["data"].update(k=new)) == []
        assert update_problems(obj, lambda o: o.update(immutable=True)) == []

    def test_data_may_not_change_after(self, build, update_problems, kind, old, new):
        obj = build("v1", kind, data={"k": old}, immutable=True)
        assert update_problems(obj, lambda o: o["data"].update(k=new)) == [f"data: {FROZEN}"]

    def test_it_cannot_be_taken_back(self, build, update_problems, kind, old, new):
        obj = build("v1", kind, data={"k": old}, immutable=True)
        for change in (lambda o: o.update(immutable=False), lambda o: o.pop("immutable")):
            assert update_problems(obj, change) == [f"immutable: {FROZEN}"]

    def test_labels_may_change(self, build, update_problems, kind, old, new):
        obj = build("v1", kind, data={"k": old}, immutable=True)
        assert update_problems(obj, lambda o: o["metadata"].update(labels={"a": new})) == []


@pytest.mark.parametrize(
    ("type_", "data", "expected"),
    [
        ("Opaque", {}, []),
        ("example.com/own", {"x": b64("y")}, []),
        ("kubernetes.io/tls", {"tls.crt": "", "tls.key": ""}, []),
        ("kubernetes.io/tls", {}, ["data[tls.crt]: Required value", "data[tls.key]: Required value"]),
        ("kubernetes.io/tls", {"tls.key": ""}, ["data[tls.crt]: Required value"]),
        ("kubernetes.io/ssh-auth", {}, ["data[ssh-privatekey]: Required value"]),
        ("kubernetes.io/basic-auth", {}, ["data[username]: Required value", "data[password]: Required value"]),
        ("kubernetes.io/basic-auth", {"username": b64("u")}, []),
        ("kubernetes.io/dockerconfigjson", {}, ["data[.dockerconfigjson]: Required value"]),
        ("kubernetes.io/dockerconfigjson", {".dockerconfigjson": b64("{}")}, []),
        (
            "kubernetes.io/dockercfg",
            {".dockercfg": b64("{")},
            ['data[.dockercfg]: Invalid value: "<secret contents redacted>": not valid JSON'],
        ),
        (
            "kubernetes.io/service-account-token",
            {},
            ["metadata.annotations[kubernetes.io/service-account.name]: Required value"],
        ),
        ("Opaque", {"a": b64("x" * (MIB + 1))}, ["data: Too long: may not be more than 1048576 bytes"]),
    ],
)
def test_typed_secrets(problems_of, type_, data, expected):
    assert problems_of("v1", "Secret", type=type_, data=data) == expected


def test_string_data_is_folded_into_data_and_wins(build):
    secret = build("v1", "Secret", data={"a": b64("old"), "b": b64("kept")}, stringData={"a": "new", "c": "\u00e9"})
    assert secret["data"] == {"a": b64("new"), "b": b64("kept"), "c": b64("\u00e9")}
    assert "stringData" not in secret
    assert secret["type"] == "Opaque"


def test_the_type_of_a_secret_stays(build, update_problems):
    found = update_problems(build("v1", "Secret"), lambda o: o.update(type="x/y"))
    assert found == ['type: Invalid value: "x/y": field is immutable']


def test_cells(build, cells, kind_of):
    secret = build("v1", "Secret", stringData={"a": "1", "b": "2"})
    assert cells(secret) == {"NAME": "web", "TYPE": "Opaque", "DATA": 2, "AGE": "5m12s"}
    config = build("v1", "ConfigMap", data={"a": "1"}, binaryData={"b": "YQ=="})
    assert cells(config) == {"NAME": "web", "DATA": 2, "AGE": "5m12s"}
    account = build("v1", "ServiceAccount", secrets=[{"name": "a"}])
    assert cells(account) == {"NAME": "web", "SECRETS": 1, "AGE": "5m12s"}
    assert kind_of("v1", "Secret").strategy.selectable_fields(secret) == {"type": "Opaque"}


class TestNamespace:
    def test_a_new_one_is_active_and_held_by_a_finalizer(self, build, cells, kind_of):
        space = build("v1", "Namespace", status={"phase": "Terminating"})
        assert space["spec"] == {"finalizers": ["kubernetes"]}
        assert space["metadata"]["labels"] == {"kubernetes.io/metadata.name": "web"}
        assert cells(space) == {"NAME": "web", "STATUS": "Active", "AGE": "5m12s"}
        assert kind_of("v1", "Namespace").strategy.selectable_fields(space) == {"status.phase": "Active"}

    def test_an_update_keeps_finalizers_and_status(self, build, kind_of):
        old = build("v1", "Namespace")
        new = {"metadata": {"name": "web"}, "spec": {"finalizers": []}, "status": {"phase": "Terminating"}}
        kind_of("v1", "Namespace").strategy.prepare_for_update(new, old)
        assert (new["spec"], new["status"]) == (old["spec"], old["status"])

    def test_its_name_is_a_dns_label(self, problems_of):
        (found,) = problems_of("v1", "Namespace", metadata={"name": "a.b"})
        assert found.startswith('metadata.name: Invalid value: "a.b": a lowercase RFC 1123 label must consist of')

    def test_a_finalizer_says_whose_it_is(self, problems_of):
        assert problems_of("v1", "Namespace", spec={"finalizers": ["example.com/a"]}) == []
        assert problems_of("v1", "Namespace", spec={"finalizers": ["nobody"]}) != []
