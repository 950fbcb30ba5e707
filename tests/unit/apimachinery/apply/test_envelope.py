"""Managed fields at the end of stored objects: taken off without being parsed, whatever else the object says."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.apimachinery.apply import envelope
from windlass.apimachinery.apply.managers import Writer

ENTRY = Writer("kubectl", "Update", "v1", "status").entry({"f:data": {'k:{"a":"b"}': {}}}, "2026-01-01T00:00:00Z")
MANAGED = orjson.dumps([ENTRY])
PLANTED = ',"managedFields":[{"manager":'
VALUES = st.recursive(
    st.sampled_from([PLANTED, "}}", 1, None]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["metadata", "managedFields", "manager", "x"]), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(["spec", "data"]), VALUES), st.dictionaries(st.sampled_from(["name", "x"]), VALUES), st.booleans())
def test_what_is_joined_comes_apart(rest, metadata, has_managed):
    metadata = {"name": "n", **metadata}
    obj = {**rest, "metadata": metadata}
    managed = MANAGED if has_managed else b""
    assert envelope.parse(envelope.join(orjson.dumps(obj), managed)) == (obj, managed)


@given(st.dictionaries(st.sampled_from(["spec", "data"]), VALUES))
def test_objects_that_were_stored_otherwise_are_read_all_the_same(rest):
    stored = orjson.dumps({"metadata": {"managedFields": [ENTRY], "name": "n"}, **rest})
    obj, managed = envelope.parse(stored)
    assert obj == {"metadata": {"name": "n"}, **rest}
    assert orjson.loads(managed) == [ENTRY]


@pytest.mark.parametrize("value", [b"null", b"[]", b'{"metadata":1}', b'"text"', b"{}"])
def test_what_is_no_object(value):
    assert envelope.parse(value) == (orjson.loads(value), b"")


def test_what_is_no_json():
    with pytest.raises(ValueError, match="unexpected"):
        envelope.parse(b"{,}")


def test_entries_of_one_make_share_their_fields_and_have_their_own_times():
    later = {**ENTRY, "time": "2026-02-02T00:00:00Z"}
    one, other = envelope.entries_of(MANAGED)[0], envelope.entries_of(orjson.dumps([later]))[0]
    assert (one, other) == (ENTRY, later)
    assert one["fieldsV1"] is other["fieldsV1"]


@pytest.mark.parametrize("time", [None, "2026-01-01T00:00:00.123456Z", ""])
def test_other_times(time):
    entry = {**ENTRY, "time": time} if time is not None else {key: value for key, value in ENTRY.items() if key != "time"}
    assert envelope.entries_of(orjson.dumps([entry, ENTRY])) == [entry, ENTRY]


def test_metadata_goes_last():
    obj = {"metadata": {"name": "n"}, "spec": {}}
    assert list(envelope.last(obj)) == ["spec", "metadata"]
    assert envelope.shown(obj, b"") is obj
    assert orjson.loads(orjson.dumps(envelope.shown(obj, MANAGED)))["metadata"]["managedFields"] == [ENTRY]
