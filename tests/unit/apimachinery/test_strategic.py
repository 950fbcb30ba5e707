"""Strategic merge patch: merge keys and directives, as kubectl apply uses them."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.apimachinery.strategic import apply_strategic_patch
from windlass.errors import BadRequestError


@pytest.fixture
def patch_spec(gadget):
    def apply(original, patch):
        before = copy.deepcopy((original, patch))
        result = apply_strategic_patch(gadget, {"spec": original}, {"spec": patch})
        assert (original, patch) == before
        return result["spec"]

    return apply


def test_lists_merge_by_key(patch_spec):
    merged = patch_spec(
        {"ports": [{"port": 80, "name": "a"}, {"port": 81, "name": "b"}]},
        {"ports": [{"port": 81, "name": "c"}, {"port": 82}], "paused": True},
    )
    assert merged == {"ports": [{"port": 80, "name": "a"}, {"port": 81, "name": "c"}, {"port": 82}], "paused": True}


def test_atomic_lists_are_replaced(patch_spec):
    assert patch_spec({"arguments": ["a", "b"]}, {"arguments": ["c"]}) == {"arguments": ["c"]}


def test_null_deletes(patch_spec):
    assert patch_spec({"mode": "a", "paused": True}, {"mode": None, "ports": [{"port": 1, "name": None}]}) == {
        "paused": True,
        "ports": [{"port": 1}],
    }


def test_delete_directive(patch_spec):
    assert patch_spec({"ports": [{"port": 80}, {"port": 81}]}, {"ports": [{"port": 80, "$patch": "delete"}]}) == {
        "ports": [{"port": 81}],
    }
    assert patch_spec({"ports": [{"port": 80}]}, {"ports": [{"port": 9, "$patch": "delete"}]}) == {
        "ports": [{"port": 80}]
    }
    assert patch_spec({"strategy": {"name": "a"}}, {"strategy": {"$patch": "delete"}}) == {"strategy": {}}


def test_replace_directive(patch_spec):
    assert patch_spec({"strategy": {"name": "a"}}, {"strategy": {"$patch": "replace", "labels": {"x": "1"}}}) == {
        "strategy": {"labels": {"x": "1"}},
    }
    assert patch_spec({"ports": [{"port": 1}]}, {"ports": [{"port": 2}, {"$patch": "replace"}]}) == {
        "ports": [{"port": 2}]
    }
    replaced = patch_spec({"ports": [{"port": 1, "name": "a"}]}, {"ports": [{"port": 1, "$patch": "replace"}]})
    assert replaced == {"ports": [{"port": 1}]}


def test_retain_keys(patch_spec):
    kept = patch_spec(
        {"strategy": {"name": "a", "labels": {"x": "1"}}}, {"strategy": {"$retainKeys": ["name"], "name": "b"}}
    )
    assert kept == {"strategy": {"name": "b"}}


def test_element_order(patch_spec):
    """A set order moves the listed items; an item only the server has stays before the one that followed it."""
    original = {"ports": [{"port": 1}, {"port": 2}, {"port": 3}]}
    order = [{"port": 3}, {"port": 4}, {"port": 1}]
    merged = patch_spec(original, {"$setElementOrder/ports": order, "ports": [{"port": 4}]})
    assert [item["port"] for item in merged["ports"]] == [2, 3, 4, 1]
    moved = patch_spec(original, {"$setElementOrder/ports": [{"port": 2}, {"port": 1}]})
    assert [item["port"] for item in moved["ports"]] == [2, 1, 3]


def test_primitive_lists(gadget):
    original = {"metadata": {"finalizers": ["a", "b"]}}
    merged = apply_strategic_patch(gadget, original, {"metadata": {"finalizers": ["c", "a", "c"]}})
    assert merged["metadata"]["finalizers"] == ["a", "b", "c"]
    removed = apply_strategic_patch(gadget, original, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}})
    assert removed["metadata"]["finalizers"] == ["b"]
    ordered = apply_strategic_patch(gadget, original, {"metadata": {"$setElementOrder/finalizers": ["b", "a"]}})
    assert ordered["metadata"]["finalizers"] == ["b", "a"]


@pytest.mark.parametrize(
    "patch",
    [
        {"ports": [{"name": "x"}]},
        {"ports": ["x"]},
        {"$patch": "explode"},
        {"$retainKeys": "mode"},
        {"$deleteFromPrimitiveList/arguments": "x"},
    ],
)
def test_bad_directives(patch_spec, patch):
    with pytest.raises(BadRequestError):
        patch_spec({"ports": [{"port": 1}], "arguments": ["x"]}, patch)


def test_unknown_fields_merge_as_plain_json(gadget):
    assert apply_strategic_patch(gadget, {"x": {"a": 1, "l": [1]}}, {"x": {"b": 2, "l": [2]}}) == {
        "x": {"a": 1, "b": 2, "l": [2]}
    }
    assert apply_strategic_patch(None, {"a": 1}, {"a": None, "b": {"c": None, "d": 1}}) == {"b": {"d": 1}}


def test_long_lists_cost_their_length(count_steps, patch_spec):
    """A35: merging two lists of thousands costs their length, not its square."""

    def merge(length):
        many = [{"port": index} for index in range(length)]
        patch = {"$setElementOrder/ports": many[::-1], "ports": many[: length // 2]}
        assert patch_spec({"ports": many}, patch)["ports"] == many[::-1]

    assert count_steps(merge, 5_000) < 15 * count_steps(merge, 500)
    merge(20_000)


ports = st.lists(
    st.builds(lambda port, name: {"port": port, "name": name}, st.integers(1, 6), st.sampled_from("abc")),
    max_size=5,
    unique_by=lambda item: item["port"],
)


@given(ports, ports)
def test_patch_from_one_list_to_another(old, new):
    """What kubectl computes (changes, deletions, order) makes the live list the wanted one; unknown items survive."""
    from windlass.apimachinery.schema import Int, ListOf, ObjectSchema, Str

    item = ObjectSchema.from_dict({"port": Int("Number."), "name": Str("Name.")})
    schema = ObjectSchema.from_dict(
        {
            "ports": ListOf("Ports.", item, patch_strategy="merge", patch_merge_key="port"),
        }
    )
    wanted = {entry["port"] for entry in new}
    patch = {
        "$setElementOrder/ports": [{"port": entry["port"]} for entry in new],
        "ports": [*new, *({"port": entry["port"], "$patch": "delete"} for entry in old if entry["port"] not in wanted)],
    }
    assert apply_strategic_patch(schema, {"ports": old}, patch)["ports"] == new
    foreign = {"port": 99, "name": "z"}
    kept = apply_strategic_patch(schema, {"ports": [*old, foreign]}, patch)["ports"]
    assert foreign in kept
    assert [entry for entry in kept if entry != foreign] == new
