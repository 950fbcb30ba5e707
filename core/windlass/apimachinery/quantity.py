"""Resource quantities: `100m`, `1.5Gi`, `2e3`.

Follows Kubernetes' `resource.Quantity`: decimal suffixes `n u m k M G T P E`, binary suffixes `Ki` to `Ei`, decimal
exponents; nothing finer than a nano (rounded away from zero) and nothing beyond 2**63-1 (capped). All arithmetic is on
integers of nano units, so no precision is lost and no exponent can make a number explode.
"""

import re
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

NANO = 10**9
MAX_VALUE = 2**63 - 1
MAX_LENGTH = 256
"""Longest accepted text; Kubernetes has no bound, but no honest quantity comes near it."""

_FORMAT_WRONG = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
_SUFFIX_WRONG = "unable to parse quantity's suffix"
_NUMBER_WRONG = "unable to parse numeric part of quantity"

_PATTERN = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*)([-+]?[0-9]*)")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_DECIMAL_NAMES = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_BINARY_NAMES = ("", *_BINARY)


class QuantityError(ValueError):
    """A text is no quantity; the message is Kubernetes'."""


class _Parsed(NamedTuple):
    nanos: int
    format: str  # "decimal", "exponent" or "binary": how the canonical form is written


def _scale(text: str, exponent_text: str) -> tuple[str, int]:
    if text in _BINARY and not exponent_text:
        return "binary", _BINARY[text]
    if text in _DECIMAL and not exponent_text:
        return "decimal", _DECIMAL[text]
    if text in ("e", "E") and exponent_text.lstrip("+-"):
        exponent = int(exponent_text)
        if abs(exponent) >= 2**63:
            raise QuantityError(_SUFFIX_WRONG)
        # Beyond these, the value is capped or rounds to a nano anyhow: keep the integers small.
        return "exponent", max(-2 * MAX_LENGTH, min(exponent, 2 * MAX_LENGTH))
    raise QuantityError(_SUFFIX_WRONG)


@lru_cache(maxsize=16384)
def _parse(text: str) -> _Parsed:
    match = _PATTERN.fullmatch(text)
    if match is None or not text:
        raise QuantityError(_FORMAT_WRONG)
    sign, whole, fraction, suffix, exponent_text = match.groups()
    fraction = fraction or ""
    if not whole and not fraction:
        raise QuantityError(_FORMAT_WRONG)
    if len(text) > MAX_LENGTH:
        raise QuantityError(_NUMBER_WRONG)
    number_format, exponent = _scale(suffix, exponent_text)
    digits = int(whole + fraction)
    power = 9 - len(fraction)
    if number_format == "binary":
        digits <<= exponent
    else:
        power += exponent
    nanos = digits * 10**power if power >= 0 else -(-digits // 10**-power)
    nanos = min(nanos, MAX_VALUE * NANO)
    return _Parsed(-nanos if sign == "-" else nanos, number_format)


@lru_cache(maxsize=16384)
def parse_quantity(text: str) -> Decimal:
    """Return the value of a quantity, exact to a nano. Raises QuantityError (a ValueError)."""
    return Decimal(_parse(text).nanos).scaleb(-9)


def _decimal_form(nanos: int, number_format: str) -> str:
    if nanos == 0:
        return "0"
    exponent = -9
    while nanos % 1000 == 0 and (exponent < 18 or number_format == "exponent"):
        nanos //= 1000
        exponent += 3
    if number_format == "exponent":
        return f"{nanos}e{exponent}" if exponent else str(nanos)
    return f"{nanos}{_DECIMAL_NAMES[exponent]}"


@lru_cache(maxsize=16384)
def canonical(text: str) -> str:
    """Write a quantity as Kubernetes prints it: `1000m` as `1`, `0.5` as `500m`, `1024Mi` as `1Gi`.

    No fraction digits, the largest possible suffix, the family of suffixes of the input. Raises QuantityError.
    """
    nanos, number_format = _parse(text)
    value, rest = divmod(nanos, NANO)
    if number_format != "binary" or rest or abs(value) < 1024:
        return _decimal_form(nanos, number_format)
    power = 0
    while value % 1024 == 0 and power < len(_BINARY_NAMES) - 1:
        value //= 1024
        power += 1
    return f"{value}{_BINARY_NAMES[power]}"


def _round_up(nanos: int, unit: int) -> int:
    return -(-nanos // unit) if nanos >= 0 else nanos // unit


def cpu_millis(text: str) -> int:
    """Return a quantity in thousandths, rounded away from zero, as CPU is counted. Raises QuantityError."""
    return _round_up(_parse(text).nanos, NANO // 1000)


def int_value(text: str) -> int:
    """Return a quantity in whole units (bytes, pods), rounded away from zero. Raises QuantityError."""
    return _round_up(_parse(text).nanos, NANO)


def from_decimal(value: Decimal) -> str:
    """Write a number as a canonical quantity with decimal suffixes (`Decimal("0.5")` as `500m`)."""
    nanos = int((value * NANO).to_integral_value())
    return _decimal_form(nanos, "decimal")


def from_bytes(value: int) -> str:
    """Write a number of bytes as a canonical quantity with binary suffixes (10485760 as `10Mi`)."""
    return canonical(f"{value // 1024}Ki") if value % 1024 == 0 else str(value)


def add(*texts: str) -> str:
    """Return the canonical sum, written with the suffix family of the first operand. Raises QuantityError."""
    parsed = [_parse(text) for text in texts] or [_Parsed(0, "decimal")]
    total = sum(part.nanos for part in parsed)
    value, rest = divmod(total, NANO)
    if parsed[0].format == "binary" and not rest:
        return from_bytes(value)
    return _decimal_form(total, parsed[0].format)


def compare(left: str, right: str) -> int:
    """Return -1, 0 or 1 as `left` is below, equal to or above `right`. Raises QuantityError."""
    first, second = _parse(left).nanos, _parse(right).nanos
    return (first > second) - (first < second)
