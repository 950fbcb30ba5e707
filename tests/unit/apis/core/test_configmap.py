import base64

import pytest

LIMIT = 1024 * 1024
IMMUTABLE = "Forbidden: field is immutable when `immutable` is set"


@pytest.fixture
def configmaps(served):
    return served("v1", "ConfigMap")


@pytest.mark.parametrize("key", ["a", "A.b-c_d", ".hidden", "x" * 253])
def test_keys_that_may_become_file_names(configmaps, key):
    assert configmaps.problems(data={key: "v"}) == []


@pytest.mark.parametrize("key", ["", ".", "..", "..a", "a/b", "a b", "x" * 254])
@pytest.mark.parametrize("field", ["data", "binaryData"])
def test_keys_that_may_not(configmaps, key, field):
    (problem, *_) = configmaps.problems(**{field: {key: "dg=="}})
    assert problem.startswith(f"{field}[{key}]" if key else field)


def test_a_key_stands_in_one_place(configmaps):
    assert configmaps.problems(data={"a": "1", "b": "2"}, binaryData={"a": "MQ=="}) == [
        'data[a]: Invalid value: "a": duplicate of key present in binaryData',
        'binaryData[a]: Invalid value: "a": duplicate of key present in data',
    ]


def test_text_counts_in_utf8_and_binary_values_decoded(configmaps):
    assert configmaps.problems(data={"a": "x" * LIMIT}) == []
    assert configmaps.problems(data={"a": "é" * (LIMIT // 2) + "x"}) == [": Too long: may not be more than 1048576 bytes"]
    whole = base64.b64encode(b"x" * LIMIT).decode()
    assert configmaps.problems(binaryData={"a": whole}) == []
    assert configmaps.problems(binaryData={"a": whole}, data={"b": "x"}) != []


def test_an_immutable_map_keeps_its_data_and_stays_immutable(configmaps):
    """C332."""
    old = configmaps.create(data={"a": "1"}, immutable=True)
    assert configmaps.update_problems(old, data={"a": "2"}, immutable=True) == [f"data: {IMMUTABLE}"]
    assert configmaps.update_problems(old, data={"a": "1"}, immutable=False) == [f"immutable: {IMMUTABLE}"]
    assert configmaps.update_problems(old, data={"a": "1"}) == [f"immutable: {IMMUTABLE}"]
    assert configmaps.update_problems(old, binaryData={"b": "MQ=="}, data={"a": "1"}, immutable=True) == [
        f"binaryData: {IMMUTABLE}"
    ]
    relabelled = {"metadata": {"labels": {"a": "b"}}, "data": {"a": "1"}, "immutable": True}
    assert configmaps.update_problems(old, **relabelled) == []


def test_a_mutable_map_changes_and_may_become_immutable(configmaps):
    old = configmaps.create(data={"a": "1"})
    assert configmaps.update_problems(old, data={"a": "2"}, immutable=True) == []


def test_columns(configmaps):
    made = configmaps.create(data={"a": "1", "b": "2"}, binaryData={"c": "MQ=="})
    assert configmaps.row(made) == {"Name": "x", "Data": 3, "Age": "60m"}
    assert configmaps.kind.short_names == ("cm",)
