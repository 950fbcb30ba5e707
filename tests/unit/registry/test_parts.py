"""Continue tokens, fences, names, delete options."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.errors import BadRequestError
from windlass.registry.continuation import MAX_SNAPSHOTS, SNAPSHOT_SECONDS, Snapshots, Token, decode_token
from windlass.registry.fencing import parse_claim
from windlass.registry.objectmeta import generate_name
from windlass.registry.options import DeleteOptions
from windlass.registry.pods import delete_options
from windlass.testing.clock import FakeClock


@given(st.integers(-1, 2**63 - 1), st.text(max_size=300))
def test_tokens_round_trip(revision, start):
    """C082."""
    token = Token(revision, start)
    assert decode_token(token.encode()) == token


@given(st.text(max_size=300) | st.binary(max_size=300).map(lambda raw: raw.hex()))
def test_any_other_text_is_refused(text):
    with pytest.raises(BadRequestError):
        decode_token(text)


def test_snapshots_are_bounded_in_number_and_time():
    clock = FakeClock()
    snapshots = Snapshots(clock)
    keys = [("core/pods/", "", "", "", number) for number in range(MAX_SNAPSHOTS + 1)]
    for key in keys:
        snapshots.keep(key, [])
    assert snapshots.find(keys[0]) is None
    assert snapshots.find(keys[-1]) is not None
    clock.move(SNAPSHOT_SECONDS)
    assert snapshots.find(keys[-1]) is None


def test_claims():
    assert parse_claim("ns/lease/holder/with/slashes/7") == ("coordination.k8s.io/leases/ns/lease", "holder/with/slashes", 7)


@pytest.mark.parametrize("header", ["", "a", "a/b", "a/b/c", "a/b/c/x", "/b/c/1", "a//c/1", "a/b//1", "a/b/c/-1", "a/b/c/٣"])
def test_bad_claims(header):
    with pytest.raises(BadRequestError):
        parse_claim(header)


def test_generated_names_fit_a_label():
    name = generate_name("x" * 100)
    assert len(name) == 63
    assert not set(name[-5:]) & set("aeiou01")


@pytest.mark.parametrize(("raw", "options"), [
    ({}, DeleteOptions()),
    ({"gracePeriodSeconds": 0}, DeleteOptions(0)),
    ({"propagationPolicy": "Foreground"}, DeleteOptions(None, "Foreground")),
    ({"orphanDependents": True}, DeleteOptions(None, "Orphan")),
    ({"orphanDependents": False}, DeleteOptions(None, "Background")),
    ({"preconditions": {"uid": "u", "resourceVersion": "3"}}, DeleteOptions(None, "", "u", "3")),
])
def test_delete_options(raw, options):
    assert delete_options(raw) == options


@pytest.mark.parametrize("raw", [[], "x", {"gracePeriodSeconds": True}, {"gracePeriodSeconds": 2**70}, {"propagationPolicy": []},
                                 {"preconditions": []}, {"preconditions": {"uid": 3}}, {"preconditions": {"resourceVersion": 3}}])
def test_bad_delete_options(raw):
    with pytest.raises(BadRequestError):
        delete_options(raw)
