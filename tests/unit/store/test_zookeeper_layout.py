"""Names and contents of znodes: whatever goes in comes out, whatever is foreign is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.store.interface import ChangeType
from windlass.store.zookeeper.layout import (
    SHARDS,
    EntryNode,
    MalformedZnodeError,
    ObjectNode,
    Paths,
    decode_entry,
    decode_name,
    decode_object,
    encode_entry,
    encode_name,
    encode_object,
    shard_of,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)


@given(TEXT)
def test_names_are_one_safe_component(key):
    """A39: nothing reaches outside the tree, and every key has one name."""
    name = encode_name(key)
    assert decode_name(name) == key
    assert name not in {".", ".."}
    assert name.isascii()
    assert not set(name) & {"/", "\x00", "\n"}
    assert Paths("/root").object(key).count("/") == 4
    assert shard_of(key) in SHARDS


@pytest.mark.parametrize("name", ["a b", "a/b", "%2f", "%zz", "ü"])
def test_names_that_we_do_not_make(name):
    with pytest.raises(MalformedZnodeError):
        decode_name(name)


@given(st.binary(), st.integers(0, 2**62))
def test_objects(value, created):
    assert decode_object(encode_object(ObjectNode(value, created))) == ObjectNode(value, created)
    assert decode_object(encode_object(ObjectNode(value, created, "blob"))) == ObjectNode(b"", created, "blob")


def test_tombstone():
    assert decode_object(encode_object(ObjectNode(deleted=True))).deleted


@given(st.binary(), TEXT, st.integers(0, 2**62), st.integers(0, 2**31 - 1), st.sampled_from(ChangeType))
def test_entries(value, key, created, version, change_type):
    entry = EntryNode(change_type, key, created, version, "id", value, "", "old")
    assert decode_entry(encode_entry(entry)) == entry


@given(st.binary(max_size=80))
def test_garbage_is_malformed_or_read(data):
    """R19: no other exception comes out."""
    for decode in (decode_object, decode_entry):
        try:
            decode(data)
        except MalformedZnodeError:
            continue
