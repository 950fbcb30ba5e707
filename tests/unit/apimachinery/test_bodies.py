"""Request bodies: JSON and YAML (A32, A33, C052, C053)."""

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.apimachinery.jsonparse import MAX_DEPTH, parse_object, parse_value
from windlass.apimachinery.yamlparse import MAX_BYTES, parse_yaml
from windlass.errors import BadRequestError, TooLargeError

PLACE = r"line \d+ column \d+"


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 200_000,
        b'{"a":' * 300 + b"1" + b"}" * 300,
        b'{"a":' + b"9" * 5_000 + b"}",
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        b'{"a":1e999}',
        b'{"a":9223372036854775808}',
        b'{"a":-9223372036854775809}',
        b'{"a":"\\ud800"}',
        b'{"a":"\\u0000"}',
        b'{"a":"\\\\\\u0000"}',
        b'{"a":"\x00"}',
        b"\xef\xbb\xbf{}",
        b'{"a":"\xff"}',
        b'{"a":"\xed\xa0\x80"}',
        b"{} {}",
        b"{'a':1}",
        b'{"a":1,}',
        b'{"a":\n\n  01}',
        b'{"a":1 /* c */}',
    ],
)
def test_bad_json_names_its_place(body):
    """A32: every one is a 400 that says where."""
    with pytest.raises(BadRequestError, match=PLACE):
        parse_object(body)


@pytest.mark.parametrize("body", [b"", b"3", b'"x"', b"null", b"true"])
def test_not_an_object(body):
    with pytest.raises(BadRequestError):
        parse_object(body)


def test_place_counts_lines():
    with pytest.raises(BadRequestError, match="line 3 column 2"):
        parse_object(b'{\n "a": 1,\n b}')
    with pytest.raises(BadRequestError, match=r"line 2 column 8 \(byte 9\)"):
        parse_object(b'{\n "big":99999999999999999999}')


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a":9223372036854775807,"b":-9223372036854775808}', {"a": 2**63 - 1, "b": -(2**63)}),
        (b'{"a":"99999999999999999999 1e999 \\\\u0000"}', {"a": "99999999999999999999 1e999 \\u0000"}),
        (b'{"a":1.5e300}', {"a": 1.5e300}),
        (b'[{"op":"test"}]', [{"op": "test"}]),
        (b' {"a":{}} \n', {"a": {}}),
        (b'{"a":"\\ud83d\\ude00"}', {"a": "😀"}),
    ],
)
def test_good_json(body, value):
    assert parse_object(body).value == value


def test_depth_bound_is_exact():
    deep = b'{"a":' * (MAX_DEPTH - 1) + b"[]" + b"}" * (MAX_DEPTH - 1)
    assert parse_object(deep).duplicates == []
    with pytest.raises(BadRequestError, match=str(MAX_DEPTH)):
        parse_object(b'{"a":' + deep + b"}")


@pytest.mark.parametrize(
    ("body", "paths"),
    [
        (b'{"spec":{"replicas":1,"replicas":2}}', ["spec.replicas"]),
        (b'{"a" : 1, "a"\n:2}', ["a"]),
        (b'{"spec":{"containers":[{"name":"x"},{"image":"y","image":"z","image":"q"}]}}', ["spec.containers[1].image"]),
        (b'{"a":1,"\\u0061":2}', ["a"]),
        (b'{"a":{"x":1,"x":2},"a":{"y":1}}', ["a"]),
        (b'{"a":"\\":","b":"\\":"}', []),
    ],
)
def test_duplicates_are_named(body, paths):
    """C053: repeated fields are found, with their paths; the last value wins."""
    parsed = parse_object(body)
    assert parsed.duplicates == paths
    assert parsed.value == json.loads(body)
    assert parse_object(body, find_duplicates=False).duplicates == []


values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**63 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=5), inner, max_size=4
        ),
    ),
    max_leaves=15,
)


@given(st.dictionaries(st.sampled_from(["a", "b:", '"', "\\"]), values))
def test_what_orjson_writes_is_read_back(value):
    parsed = parse_object(orjson.dumps(value))
    assert (parsed.value, parsed.duplicates) == (value, [])


@given(st.binary(max_size=60))
def test_any_bytes_are_json_or_refused(body):
    for parse in (parse_value, parse_object, parse_yaml):
        try:
            parse(body)
        except (BadRequestError, TooLargeError):
            continue


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", False),
        ("Yes", True),
        ("on", True),
        ("y", True),
        ("012", 10),
        ("0o17", 15),
        ("0x1F", 31),
        ("0b11", 3),
        ("1e3", 1000),
        ("1.5", 1.5),
        (".5", 0.5),
        ("08", 8),
        ("1_000", 1000),
        ("1:30", "1:30"),
        ("80:80", "80:80"),
        ("2024-01-01", "2024-01-01"),
        ("~", None),
        ("", None),
        ("null", None),
        ("'no'", "no"),
        ('"1"', "1"),
        ("!!str 1", "1"),
        ("!!int '1'", 1),
        ("1.2.3", "1.2.3"),
        ("-5", -5),
        ("100m", "100m"),
        ("1Gi", "1Gi"),
        ("=", "="),
        ("0", 0),
        ("-0", 0),
        ("+1", 1),
        ("|\n  x\n  y\n", "x\ny\n"),
        ("[a, {b: c}]", ["a", {"b": "c"}]),
        ("12345678901234567890123", 12345678901234567890123.0),
    ],
)
def test_yaml_scalars_mean_what_kubectl_means(text, value):
    """A33: scalars as kubectl's YAML library reads them."""
    parsed = parse_yaml(f"a: {text}".encode()).value
    assert parsed == {"a": value}
    assert type(parsed["a"]) is type(value)


def test_yaml_keys_merges_and_duplicates():
    """C052: a repeated key is found in YAML too."""
    body = b"1: a\ntrue: b\nx: &x {p: 1, q: 2}\ny2: {<<: *x, q: 3}\nx2: {r: 1, r: 2}\n"
    parsed = parse_yaml(body)
    assert parsed.value == {"1": "a", "true": "b", "x": {"p": 1, "q": 2}, "y2": {"p": 1, "q": 3}, "x2": {"r": 2}}
    assert parsed.duplicates == ["x2.r"]


BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{level}: &a{level} [{','.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 10)
)


@pytest.mark.parametrize(
    "body",
    [
        BOMB.encode(),
        b"a: " + b"x" * (MAX_BYTES + 1),
        b"a: [" + b"1," * 300_000 + b"]",
    ],
)
def test_yaml_bombs(count_steps, body):
    """A33: alias bombs and giants are 413, before their nodes are made."""

    def refused():
        with pytest.raises(TooLargeError):
            parse_yaml(body)

    assert count_steps(refused) < 5_000_000


@pytest.mark.parametrize(
    "body",
    [
        b"a: !!python/object/apply:os.system [x]",
        b"!!python/name:os.system {}",
        b"a: !local x",
        b"a: !!binary YQ==",
        b"---\na: 1\n---\nb: 2\n",
        b"---\n" * 1_000,
        b"a: .inf",
        b"a: .NaN",
        b"a: 1e999",
        b"a: &x [*x]",
        b"x: " + b"[" * 5_000,
        b"x: " + b"[" * 300 + b"]" * 300,
        b'a: "\\0"',
        b'a: "\\ud800"',
        b"a: b: c",
        b"\xff\xfe",
        b"3",
        b"",
        b"? [1]\n: 2",
        b"a: *nowhere",
        b"a: {<<: 3}",
        b"a: !!int x",
    ],
)
def test_bad_yaml(body):
    """A33: plain data only, one document."""
    with pytest.raises(BadRequestError):
        parse_yaml(body)


plane0 = st.text(st.characters(min_codepoint=1, max_codepoint=0xD7FF), max_size=8)
yaml_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**63 - 1),
        plane0,
        st.floats(allow_nan=False, allow_infinity=False),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(plane0, inner, max_size=4)),
    max_leaves=15,
)


@given(st.dictionaries(st.text("abcxyz", min_size=2, max_size=4), yaml_values, max_size=4))
def test_json_is_yaml(value):
    """JSON sent as YAML reads the same (YAML knows no escapes of surrogate pairs)."""
    encoded = json.dumps(value, ensure_ascii=True)
    expected = json.loads(encoded)
    assert _same(parse_yaml(encoded.encode()).value, expected)


def _same(left, right):
    if isinstance(left, dict):
        return (
            isinstance(right, dict)
            and left.keys() == right.keys()
            and all(_same(left[key], right[key]) for key in left)
        )
    if isinstance(left, list):
        return isinstance(right, list) and len(left) == len(right) and all(map(_same, left, right))
    return left == right
