"""Label and field selectors (A43, C091)."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.apimachinery import selectors
from windlass.errors import BadRequestError

LABELS = {"app": "web", "tier": "front", "replicas": "5", "empty": ""}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True),
        ("app=web", True),
        ("app==web", True),
        ("app=db", False),
        ("app!=db", True),
        ("app!=web", False),
        ("absent!=x", True),
        ("absent notin (x)", True),
        ("app in (web,db)", True),
        ("app in (db)", False),
        ("app notin (db, cache)", True),
        ("app", True),
        ("absent", False),
        ("!absent", True),
        ("! absent", True),
        ("!app", False),
        ("replicas>4", True),
        ("replicas>5", False),
        ("replicas<6", True),
        ("app<6", False),
        ("absent>1", False),
        ("empty=", True),
        ("empty=,app=web", True),
        ("app=web,tier=back", False),
        (" app = web , tier in ( front ) ", True),
        ("in=x", False),
        ("example.com/x in (a)", False),
    ],
)
def test_matches(text, matches):
    assert selectors.parse_label_selector(text).matches(LABELS) is matches


@pytest.mark.parametrize(
    "text",
    [
        "app=web,",
        ",app",
        "app===web",
        "app in web",
        "app in (web",
        "app in",
        "(app)",
        "a b",
        "-app=x",
        "app=-x",
        "app>x",
        "!",
        "app in (a b)",
        "x" * 64 + "=y",
        "a=" + "y" * 64,
        "app=w%b",
        "a" * 20_000,
        ",".join(f"k{index}" for index in range(600)),
        "app\x00=web",
        "äpp=web",
    ],
)
def test_refused(text):
    """A43: bad and oversized selectors are 400."""
    with pytest.raises(BadRequestError):
        selectors.parse_label_selector(text)


def test_printing_is_canonical():
    parsed = selectors.parse_label_selector("z notin (b,a), !y,x in (q),w,a!=b,n>3")
    assert str(parsed) == "a!=b,n>3,w,x=q,!y,z notin (a,b)"


names = st.from_regex(r"[a-z]([a-z0-9.-]{0,10}[a-z0-9])?", fullmatch=True).filter(
    lambda name: name not in ("in", "notin")
)
requirements = st.one_of(
    st.builds(lambda key, value: f"{key}={value}", names, names),
    st.builds(lambda key, value: f"{key}!={value}", names, names),
    st.builds(lambda key, values: f"{key} in ({','.join(values)})", names, st.lists(names, min_size=1, max_size=4)),
    st.builds(lambda key, values: f"{key} notin ({','.join(values)})", names, st.lists(names, min_size=1, max_size=4)),
    names,
    names.map(lambda key: f"!{key}"),
    st.builds(lambda key, bound: f"{key}>{bound}", names, st.integers(0, 99)),
)


@given(st.lists(requirements, max_size=5), st.dictionaries(names, names, max_size=5))
def test_printed_selector_means_the_same(parts, labels):
    parsed = selectors.parse_label_selector(",".join(parts))
    again = selectors.parse_label_selector(str(parsed))
    assert str(again) == str(parsed)
    assert again.matches(labels) == parsed.matches(labels)


@given(st.text(max_size=40))
def test_any_text_is_parsed_or_refused(text):
    for parse in (selectors.parse_label_selector, selectors.parse_field_selector):
        with contextlib.suppress(BadRequestError):
            str(parse(text))


@pytest.mark.parametrize("shape", ["(", "a", "!", "a=b,", "\\", "a in (b,c),", "\t\t\t="])
@pytest.mark.parametrize("parse", [selectors.parse_label_selector, selectors.parse_field_selector])
def test_hostile_selectors_cost_their_length(count_steps, parse, shape):
    """A43: no selector costs more than its length."""

    def try_to_parse(length):
        with contextlib.suppress(BadRequestError):
            parse(shape * (length // len(shape)))

    try_to_parse(100)  # what a first call compiles is not the selector's cost
    assert count_steps(try_to_parse, 16_000) < 30 * count_steps(try_to_parse, 1_000) + 1_000


def test_label_selector_objects():
    nothing, everything = selectors.from_label_selector(None), selectors.from_label_selector({})
    assert not nothing.matches({"a": "b"})
    assert everything.matches({})
    both = selectors.from_label_selector(
        {
            "matchLabels": {"app": "web"},
            "matchExpressions": [
                {"key": "tier", "operator": "NotIn", "values": ["back"]},
                {"key": "x", "operator": "DoesNotExist"},
                {"key": "app", "operator": "Exists"},
                {"key": "replicas", "operator": "In", "values": ["5"]},
            ],
        }
    )
    assert both.matches(LABELS)
    assert not both.matches({**LABELS, "x": "1"})
    assert selectors.format_label_selector({"matchLabels": {"b": "2", "a": "1"}}) == "a=1,b=2"
    assert selectors.format_label_selector({"app": "web"}) == "app=web"
    assert selectors.format_label_selector(None) == ""
    assert selectors.from_labels({"app": "web"}).matches(LABELS)


@pytest.mark.parametrize(
    "expression",
    [
        {"key": "a", "operator": "Near"},
        {"key": "a", "operator": "In"},
        {"key": "a", "operator": "Exists", "values": ["x"]},
        {},
    ],
)
def test_bad_expressions(expression):
    with pytest.raises(BadRequestError):
        selectors.from_label_selector({"matchExpressions": [expression]})


def test_field_selectors():
    parsed = selectors.parse_field_selector("metadata.name=a,status.phase!=Running,spec.nodeName==")
    assert list(parsed.requirements) == [
        ("metadata.name", "=", "a"),
        ("status.phase", "!=", "Running"),
        ("spec.nodeName", "=", ""),
    ]
    assert parsed.matches({"metadata.name": "a", "status.phase": "Pending"})
    assert not parsed.matches({"metadata.name": "a", "status.phase": "Running"})


@given(st.text(alphabet="ab\\,=", max_size=8))
def test_field_selector_escapes(value):
    text = str(selectors.FieldSelector((("metadata.name", "=", value),)))
    assert selectors.parse_field_selector(text).requirements == (("metadata.name", "=", value),)


@pytest.mark.parametrize("text", ["metadata.name", "=x", "a=b=c", "a=b\\", "a=\\x", "a" * 20_000])
def test_bad_field_selectors(text):
    with pytest.raises(BadRequestError):
        selectors.parse_field_selector(text)
