import base64

import pytest

IMMUTABLE = "Forbidden: field is immutable when `immutable` is set"


def encoded(text):
    return base64.b64encode(text.encode()).decode()


@pytest.fixture
def secrets(served):
    return served("v1", "Secret")


def test_text_is_folded_into_data_and_wins(secrets):
    made = secrets.create(data={"a": encoded("old"), "b": encoded("kept")}, stringData={"a": "néw"})
    assert made["data"] == {"a": encoded("néw"), "b": encoded("kept")}
    assert "stringData" not in made
    assert made["type"] == "Opaque"


@pytest.mark.parametrize("field", ["data", "stringData"])
def test_an_empty_key_is_refused(secrets, field):
    """C290."""
    (problem, *_) = secrets.problems(**{field: {"": "dg=="}})
    assert "a valid config key must consist of" in problem


@pytest.mark.parametrize(
    ("sort", "data", "missing"),
    [
        ("kubernetes.io/tls", {"tls.crt": "YQ=="}, ["data[tls.key]"]),
        ("kubernetes.io/tls", {"tls.crt": "YQ==", "tls.key": "YQ=="}, []),
        ("kubernetes.io/ssh-auth", {}, ["data[ssh-privatekey]"]),
        ("kubernetes.io/basic-auth", {}, ["data[username]", "data[password]"]),
        ("kubernetes.io/basic-auth", {"username": "YQ=="}, []),
        ("kubernetes.io/dockerconfigjson", {}, ["data[.dockerconfigjson]"]),
        ("kubernetes.io/dockercfg", {}, ["data[.dockercfg]"]),
        ("example.com/anything", {}, []),
    ],
)
def test_a_type_demands_its_keys(secrets, sort, data, missing):
    assert secrets.problems(type=sort, data=data) == [f"{path}: Required value" for path in missing]


def test_a_registry_login_is_json_and_its_content_stays_out_of_messages(secrets):
    kind = "kubernetes.io/dockerconfigjson"
    assert secrets.problems(type=kind, stringData={".dockerconfigjson": "hunter2"}) == [
        'data[.dockerconfigjson]: Invalid value: "<secret contents redacted>": not valid JSON'
    ]
    assert secrets.problems(type=kind, stringData={".dockerconfigjson": "{}"}) == []


def test_a_token_names_its_account(secrets):
    kind = "kubernetes.io/service-account-token"
    assert secrets.problems(type=kind) == ["metadata.annotations[kubernetes.io/service-account.name]: Required value"]
    annotations = {"kubernetes.io/service-account.name": "default"}
    assert secrets.problems(type=kind, metadata={"annotations": annotations}) == []


def test_values_count_decoded(secrets):
    assert secrets.problems(data={"a": encoded("x" * 1024 * 1024)}) == []
    assert secrets.problems(data={"a": encoded("x" * (1024 * 1024 + 1))}) == [
        "data: Too long: may not be more than 1048576 bytes"
    ]


def test_the_type_stays(secrets):
    old = secrets.create(type="a/b")
    assert secrets.update_problems(old, type="a/c") == ['type: Invalid value: "a/c": field is immutable']


def test_an_immutable_secret_stays_as_it_is(secrets):
    """C400."""
    old = secrets.create(stringData={"a": "1"}, immutable=True)
    assert secrets.update_problems(old, stringData={"a": "2"}, immutable=True) == [f"data: {IMMUTABLE}"]
    assert secrets.update_problems(old, stringData={"a": "1"}, immutable=False) == [f"immutable: {IMMUTABLE}"]
    labels = {"a": "b"}
    assert secrets.update_problems(old, stringData={"a": "1"}, immutable=True, metadata={"labels": labels}) == []


def test_columns_and_selection(secrets):
    made = secrets.create(stringData={"a": "1", "b": "2"})
    assert secrets.row(made) == {"Name": "x", "Type": "Opaque", "Data": 2, "Age": "60m"}
    assert secrets.strategy.selectable_fields(made) == {"type": "Opaque"}
