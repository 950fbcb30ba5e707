"""JSON Patch and merge patch: right, bounded, atomic (A35)."""

import copy
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.apimachinery.patch import MAX_OPERATIONS, apply_json_patch, apply_merge_patch
from windlass.errors import BadRequestError, InvalidError, TooLargeError

OBJECT = {"metadata": {"name": "a", "labels": {"x": "1"}}, "spec": {"list": [1, 2, 3]}}


def test_all_operations():
    patched = apply_json_patch(
        OBJECT,
        [
            {"op": "test", "path": "/metadata/name", "value": "a"},
            {"op": "add", "path": "/metadata/labels/y", "value": "2"},
            {"op": "replace", "path": "/metadata/labels/x", "value": "9"},
            {"op": "remove", "path": "/spec/list/0"},
            {"op": "add", "path": "/spec/list/-", "value": {"k": 1}},
            {"op": "copy", "from": "/metadata/labels", "path": "/spec/labels"},
            {"op": "move", "from": "/metadata/name", "path": "/spec/name"},
            {"op": "add", "path": "/metadata/labels/a~1b", "value": "slash"},
        ],
    )
    assert patched == {
        "metadata": {"labels": {"x": "9", "y": "2", "a/b": "slash"}},
        "spec": {"list": [2, 3, {"k": 1}], "labels": {"x": "9", "y": "2"}, "name": "a"},
    }
    assert OBJECT == {"metadata": {"name": "a", "labels": {"x": "1"}}, "spec": {"list": [1, 2, 3]}}


@pytest.mark.parametrize(
    ("operations", "error"),
    [
        ([{"op": "test", "path": "/metadata/name", "value": "b"}], InvalidError),
        ([{"op": "test", "path": "/nowhere", "value": 1}], InvalidError),
        ([{"op": "remove", "path": "/nowhere"}], InvalidError),
        ([{"op": "replace", "path": "/nowhere/deep", "value": 1}], InvalidError),
        ([{"op": "add", "path": "/spec/list/9", "value": 1}], InvalidError),
        ([{"op": "add", "path": "/spec/list/1e6", "value": 1}], InvalidError),
        ([{"op": "copy", "from": "/nowhere", "path": "/a"}], InvalidError),
        ([{"op": "fly", "path": "/a"}], BadRequestError),
        ([{"op": "add", "path": "/a"}], BadRequestError),
        ([{"path": "/a"}], BadRequestError),
        (["add"], BadRequestError),
        ({"op": "add"}, BadRequestError),
        ("x", BadRequestError),
        ([{"op": "add", "path": "/a", "value": 1}] * (MAX_OPERATIONS + 1), TooLargeError),
    ],
)
def test_refusals(operations, error):
    with pytest.raises(error):
        apply_json_patch(OBJECT, operations)


def test_patch_is_atomic_and_reusable():
    """A35: neither the object nor the patch changes, so a conflict may be retried with the same patch."""
    original, operations = (
        copy.deepcopy(OBJECT),
        [
            {"op": "add", "path": "/new", "value": {"inner": {}}},
            {"op": "add", "path": "/new/inner/x", "value": 1},
        ],
    )
    before = copy.deepcopy(operations)
    assert apply_json_patch(original, operations) == apply_json_patch(original, operations)
    assert (original, operations) == (OBJECT, before)
    with pytest.raises(InvalidError):
        apply_json_patch(original, [*operations, {"op": "remove", "path": "/nowhere"}])
    assert original == OBJECT


@pytest.mark.parametrize(
    "operations",
    [
        [{"op": "copy", "from": "/spec", "path": f"/spec/c{index}"} for index in range(60)],
        [{"op": "copy", "from": "", "path": "/spec/self"} for _ in range(300)],
        [
            {"op": "add", "path": "/big", "value": "x" * 1_000_000},
            *[{"op": "copy", "from": "/big", "path": "/again"}] * 9_000,
        ],
    ],
)
def test_copies_are_bounded(count_steps, operations):
    """A35: doubling and copying in circles end in 413 after few operations, before the copy that is too much is made."""

    def refused():
        with pytest.raises(TooLargeError):
            apply_json_patch(OBJECT, operations)

    assert count_steps(refused) < 20_000
    tracemalloc.start()
    try:
        refused()
        assert tracemalloc.get_traced_memory()[1] < 64 * 1024 * 1024
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "add", "path": "/list/-", "value": {"k": [1]}},
        {"op": "add", "path": "/list/0", "value": 1},
        {"op": "replace", "path": "/list", "value": []},
        {"op": "copy", "from": "/name", "path": "/other"},
        {"op": "test", "path": "/name", "value": "a"},
    ],
)
def test_an_operation_costs_the_same_however_many_there_are(count_steps, operation):
    """A35: the largest allowed patch costs its length, not its square."""
    document = {"list": [], "name": "a"}
    few = count_steps(apply_json_patch, document, [operation] * 100)
    many = count_steps(apply_json_patch, document, [operation] * 2_000)
    assert many < 25 * few
    apply_json_patch(document, [operation] * MAX_OPERATIONS)


def test_too_many_operations_are_refused_unread(count_steps):
    """A35: of 100,000 operations none is looked at."""

    def refused():
        with pytest.raises(TooLargeError, match="10000, got 100000"):
            apply_json_patch({"list": []}, [{"op": "add", "path": "/list/-", "value": 1}] * 100_000)

    assert count_steps(refused) < 5_000


@pytest.mark.parametrize(
    ("operation", "error"),
    [
        ({"op": "replace", "path": "/list/3", "value": 1}, InvalidError),
        ({"op": "replace", "path": "/list/-", "value": 1}, InvalidError),
        ({"op": "replace", "path": "/none", "value": 1}, InvalidError),
        ({"op": "add", "path": "/list/4", "value": 1}, InvalidError),
        ({"op": "add", "path": "/list/-1", "value": 1}, InvalidError),
        ({"op": "add", "path": "/list/01", "value": 1}, InvalidError),
        ({"op": "add", "path": "/name/x", "value": 1}, InvalidError),
        ({"op": "add", "path": "list", "value": 1}, InvalidError),
        ({"op": "add", "path": "/list/-"}, BadRequestError),
        ({"op": "replace", "path": 7, "value": 1}, BadRequestError),
    ],
)
def test_values_go_only_where_there_is_a_place(operation, error):
    """A35: RFC 6902, sections 4.1 and 4.3."""
    with pytest.raises(error):
        apply_json_patch({"list": [1, 2, 3], "name": "a"}, [operation])


@pytest.mark.parametrize(
    ("original", "patch", "expected"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patch_by_the_rfc(original, patch, expected):
    """RFC 7386, appendix A."""
    assert apply_merge_patch(original, patch) == expected


def test_merge_patch_depth_is_bounded():
    """A35: a depth bomb is 413, not a crash."""
    bomb = {}
    for _ in range(5_000):
        bomb = {"a": bomb}
    with pytest.raises(TooLargeError):
        apply_merge_patch({}, bomb)


values = st.recursive(
    st.one_of(st.integers(-5, 5), st.text("ab", max_size=2), st.booleans()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abc"), inner, max_size=3)),
    max_leaves=8,
)
objects = st.dictionaries(st.sampled_from("abcd"), values, max_size=4)


def merge_diff(old, new):
    """Compute the merge patch from one object to another."""
    patch = {key: None for key in old if key not in new}
    for key, value in new.items():
        if isinstance(value, dict) and isinstance(old.get(key), dict):
            patch[key] = merge_diff(old[key], value)
        elif key not in old or old[key] != value or type(old[key]) is not type(value):
            patch[key] = value
    return patch


@given(objects, objects)
def test_a_diff_leads_from_one_object_to_the_other(old, new):
    before = copy.deepcopy(old)
    assert apply_merge_patch(old, merge_diff(old, new)) == new
    assert old == before


@given(objects, objects)
def test_merge_patch_is_idempotent(original, patch):
    once = apply_merge_patch(original, patch)
    assert apply_merge_patch(once, patch) == once
