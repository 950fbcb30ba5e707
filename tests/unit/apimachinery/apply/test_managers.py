"""Entries of managers: whose they are, how many there may be, what of a client's list counts."""

import pytest

from windlass.apimachinery.apply.applying import Conflict, ConflictsError, apply, conflict_message, created
from windlass.apimachinery.apply.kinds import object_shape
from windlass.apimachinery.apply.managers import (
    ANCIENT_CHANGES,
    MAX_UPDATE_MANAGERS,
    Writer,
    after_update,
    capped,
    is_reset,
    ordered,
    readable,
)
from windlass.apimachinery.apply.shapes import SAME, Comparison, compare
from windlass.apis.core.v1.configmap import ConfigMap

NOW = "2026-01-01T00:00:00Z"
SHAPE = object_shape(ConfigMap, "", has_status=False)


def entry(manager, *keys, operation="Update", version="v1", time=NOW, subresource=""):
    fields = {"f:data": {f"f:{key}": {} for key in keys}}
    return Writer(manager, operation, version, subresource).entry(fields, time)


def changed(*keys):
    return Comparison({"f:data": {f"f:{key}": {} for key in keys}}, None)


def test_an_updater_has_an_entry_for_each_version_and_subresource():
    entries = [entry("m", "a", version="v1beta1"), entry("m", "b", subresource="status"), entry("m", "c", operation="Apply")]
    after = after_update(entries, Writer("m", "Update", "v1"), changed("d"), NOW)
    assert len(after) == 4
    assert {each["apiVersion"] for each in after} == {"v1", "v1beta1"}


def test_an_applier_has_one_entry_in_all_versions():
    live = {"data": {"a": "1"}}
    before = [entry("m", "a", operation="Apply", version="v1beta1")]
    done = apply(SHAPE, live, live, entries=before, writer=Writer("m", "Apply", "v1"), now="later", force=False)
    assert [(each["manager"], each["apiVersion"]) for each in done.entries] == [("m", "v1")]


def test_a_time_moves_only_with_a_change_of_ones_own():
    before = [entry("a", "x"), entry("b", "y")]
    assert after_update(before, Writer("a", "Update", "v1"), SAME, "2026-02-01T00:00:00Z") == before
    after = after_update(before, Writer("a", "Update", "v1"), changed("x"), "2026-02-01T00:00:00Z")
    assert [(each["manager"], each["time"][5:7]) for each in after] == [("b", "01"), ("a", "02")]
    taken = after_update(before, Writer("a", "Update", "v1"), changed("y"), "2026-02-01T00:00:00Z")
    assert [each["manager"] for each in taken] == ["a"]


def test_what_is_gone_is_nobodys():
    after = after_update([entry("a", "x", "y")], Writer("b", "Update", "v1"), Comparison(None, {"f:data": {}}), NOW)
    assert after == []


@pytest.mark.parametrize("versions", [("v1",), ("v1", "v2")])
def test_too_many_updaters(versions):
    entries = [
        entry(f"m{n:02}", f"k{n}", version=versions[n % len(versions)], time=f"2026-01-01T00:00:{n:02}Z") for n in range(14)
    ]
    applier = entry("applier", "z", operation="Apply")
    after = capped([applier, *entries])
    assert applier in after
    assert len(after) == MAX_UPDATE_MANAGERS + 1
    assert [each["apiVersion"] for each in after if each["manager"] == ANCIENT_CHANGES] == list(versions)
    kept = [key for each in after if each is not applier for key in each["fieldsV1"]["f:data"]]
    assert sorted(kept) == sorted(f"f:k{n}" for n in range(14))
    assert entries[-1] in after
    assert capped(after) == after


def test_a_later_cap_grows_the_same_entry():
    entries = [entry(f"m{n:02}", f"k{n}", time=f"2026-01-01T00:00:{n:02}Z") for n in range(30)]
    done = []
    for each in entries:
        done = ordered(capped([*done, each]))
    assert [each["manager"] for each in done].count(ANCIENT_CHANGES) == 1
    assert len(done) == MAX_UPDATE_MANAGERS


@pytest.mark.parametrize(
    "wrong",
    [None, {}, [1], [{}], [{**entry("m", "a"), "operation": "Own"}], [{**entry("m", "a"), "fieldsType": "FieldsV2"}],
     [{**entry("m", "a"), "fieldsV1": {"a": {}}}], [{**entry("m", "a"), "manager": "m" * 129}],
     [{**entry("m", "a"), "manager": "a\n"}], [{**entry("m", "a"), "time": 3}]],
)  # fmt: skip
def test_what_a_client_sends_is_not_believed_blindly(wrong):
    assert readable(wrong) is None


def test_what_can_be_read():
    assert readable([entry("m", "a")]) == [entry("m", "a")]
    assert is_reset([{}])
    assert not is_reset([])


def test_conflicts_in_kubectls_words():
    owners = [entry("a", "x"), entry("b", "x", operation="Apply"), entry("c", "x", subresource="scale")]
    with pytest.raises(ConflictsError) as raised:
        apply(
            SHAPE, {"data": {"x": "1"}}, {"data": {"x": "2"}}, entries=owners, writer=Writer("me", "Apply", "v1"), now=NOW,
            force=False,
        )
    assert [found.text for found in raised.value.conflicts] == ['"a" using v1', '"b"', '"c" with subresource "scale" using v1']
    assert str(raised.value) == (
        'Apply failed with 3 conflicts: conflicts with "a" using v1:\n- .data.x\nconflicts with "b":\n- .data.x\n'
        'conflicts with "c" with subresource "scale" using v1:\n- .data.x'
    )
    assert conflict_message([Conflict('"a"', ".x")]) == 'Apply failed with 1 conflict: conflict with "a": .x'


def test_what_was_there_before_the_first_apply_has_an_owner():
    live = {"data": {"x": "1", "y": "1"}}
    done = apply(SHAPE, live, {"data": {"x": "1"}}, entries=[], writer=Writer("me", "Apply", "v1"), now=NOW, force=False)
    assert {each["manager"]: each["fieldsV1"] for each in done.entries} == {
        "me": {"f:data": {"f:x": {}}}, "before-first-apply": {"f:data": {".": {}, "f:x": {}, "f:y": {}}},
    }  # fmt: skip


def test_who_creates_by_applying():
    assert created(SHAPE, {"metadata": {"name": "n"}}, Writer("me", "Apply", "v1"), NOW) == []


def test_values_that_do_not_fit_count_as_a_whole():
    differs = compare(SHAPE, {"data": {"a": "1"}}, {"data": ["a"]})
    assert differs.changed == {"f:data": {}}
    assert SHAPE.merge({"data": {"a": "1"}}, {"data": ["a"]}) == {"data": ["a"]}
    assert SHAPE.prune({"data": ["a"]}, {"f:data": {"f:a": {}}}) == {"data": ["a"]}
