"""Quantities: the reference table of A45, and laws that hold for all of them."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.apimachinery import quantity

CANONICAL = {
    "0": "0",
    "-0": "0",
    "0m": "0",
    "0Ki": "0",
    "1": "1",
    "+1": "1",
    "1.": "1",
    ".5": "500m",
    "0.5": "500m",
    "1000m": "1",
    "1500m": "1500m",
    "0.1": "100m",
    "100m": "100m",
    "2000": "2k",
    "1024": "1024",
    "1024Mi": "1Gi",
    "1.5Gi": "1536Mi",
    "0.5Ki": "512",
    "1000Ki": "1000Ki",
    "1e3": "1e3",
    "1E3": "1e3",
    "1e-3": "1e-3",
    "12e1": "120",
    "1E": "1E",
    "1k": "1k",
    "1000k": "1M",
    "-1500m": "-1500m",
    "1n": "1n",
    "0.1n": "1n",
    "1e-12": "1e-9",
    "100E": "9223372036854775807",
    "1e400": "9223372036854775807",
    "-100E": "-9223372036854775807",
    "1e9223372036854775807": "9223372036854775807",
    "7Ei": "7Ei",
    "8Ei": "9223372036854775807",
}
REFUSED = [
    "",
    " ",
    "1Ki1",
    "0x10",
    "١",
    "٣Gi",
    "1i",
    "1e",
    "1.1.1",
    "1mi",
    "+",
    "-",
    ".",
    "1 Gi",
    "1e1.5",
    "NaN",
    "Infinity",
    "1KI",
    "1e99999999999999999999",
    "0b1",
    "1_000",
    "--1",
    "1" * 300,
]


@pytest.mark.parametrize(("text", "expected"), CANONICAL.items())
def test_canonical_form(text, expected):
    """A45: quantities print as Kubernetes prints them."""
    assert quantity.canonical(text) == expected


@pytest.mark.parametrize("text", REFUSED)
def test_refused(text):
    """A45: what is no quantity is refused with Kubernetes' words."""
    with pytest.raises(ValueError, match="quantit"):
        quantity.parse_quantity(text)


@pytest.mark.parametrize(
    ("text", "millis", "whole"),
    [
        ("100m", 100, 1),
        ("1", 1000, 1),
        ("1.0005", 1001, 2),
        ("-1500m", -1500, -2),
        ("1Gi", 1073741824000, 1073741824),
        ("0", 0, 0),
        ("1n", 1, 1),
    ],
)
def test_units(text, millis, whole):
    assert quantity.cpu_millis(text) == millis
    assert quantity.int_value(text) == whole


def test_parse_is_exact():
    assert quantity.parse_quantity("0.123456789") == Decimal("0.123456789")
    assert quantity.parse_quantity("9223372036854775807") == Decimal(2**63 - 1)


@pytest.mark.parametrize(("value", "text"), [(0, "0"), (1000, "1000"), (1024, "1Ki"), (10 << 20, "10Mi"), (3 << 29, "1536Mi")])
def test_bytes(value, text):
    assert quantity.from_bytes(value) == text
    assert quantity.int_value(text) == value


def test_arithmetic():
    assert quantity.add("1Gi", "512Mi") == "1536Mi"
    assert quantity.add("250m", "750m") == "1"
    assert quantity.add("1Ki", "1") == "1025"
    assert quantity.add() == "0"
    assert (quantity.compare("1000m", "1"), quantity.compare("1Gi", "1G"), quantity.compare("1", "2")) == (0, 1, -1)
    assert quantity.from_decimal(Decimal("0.5")) == "500m"


quantities = st.builds(
    lambda sign, whole, fraction, suffix: f"{sign}{whole}{fraction}{suffix}",
    st.sampled_from(["", "-", "+"]),
    st.integers(0, 10**12),
    st.one_of(st.just(""), st.integers(0, 10**6).map(lambda value: f".{value}")),
    st.sampled_from(["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei", "e3", "E-2"]),
)


@given(quantities)
def test_canonical_keeps_the_value_and_is_stable(text):
    printed = quantity.canonical(text)
    assert quantity.parse_quantity(printed) == quantity.parse_quantity(text)
    assert quantity.canonical(printed) == printed
    assert "." not in printed


@given(quantities, quantities)
def test_rounding_is_away_from_zero(left, right):
    value, whole = quantity.parse_quantity(left), quantity.int_value(left)
    assert abs(whole) >= abs(value)
    assert abs(whole) < abs(value) + 1
    assert quantity.compare(left, right) == -quantity.compare(right, left)


@given(st.text(max_size=20))
def test_any_text_is_a_quantity_or_a_quantity_error(text):
    try:
        quantity.canonical(text)
    except quantity.QuantityError:
        return
    assert text.isascii()
