"""Resource quantities (`500m`, `1Gi`, `2e3`), exactly as Kubernetes reads and prints them.

Source: the API convention for `resource.Quantity`: a signed decimal number with a binary suffix (Ki..Ei), a decimal one
(n, u, m, k..E) or an exponent; at most 2**63-1 in size, kept to nano precision, rounded up.
"""

import math
import re
from decimal import Context, Decimal
from functools import lru_cache

_PATTERN = re.compile(r"([+-]?)([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]|[eE][+-]?[0-9]{1,9})?")
_BINARY = {suffix: Decimal(1024) ** power for power, suffix in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), 1)}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_SUFFIX_OF = {power: suffix for suffix, power in _DECIMAL.items()}
_EXACT = Context(prec=60)
_MAX = Decimal(2**63 - 1)
_NANO = Decimal("1e-9")
MAX_LENGTH = 64
MESSAGE = (
    "quantities must match the regular expression "
    r"'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
)


def parse_quantity(text: str) -> Decimal:
    """Return the exact value, capped at 2**63-1 and rounded up to nanos. Raises ValueError with Kubernetes' message."""
    return _parse(text)[0]


def canonical(text: str) -> str:
    """Return the form that Kubernetes prints: `1000m` is `1`, `0.5` is `500m`, `1024Mi` is `1Gi`."""
    value, sort = _parse(text)
    if sort == "binary" and abs(value) >= 1024 and value == value.to_integral_value():
        return _binary_text(int(value))
    if sort == "exponent":
        return _decimal_text(value, exponent=True)
    return _decimal_text(value, exponent=False)


def cpu_millis(text: str) -> int:
    """Return thousandths, rounded up (millicores). Raises ValueError."""
    return math.ceil(parse_quantity(text) * 1000)


def int_value(text: str) -> int:
    """Return whole units, rounded up (bytes, counts). Raises ValueError."""
    return math.ceil(parse_quantity(text))


def format_millis(millis: int) -> str:
    """Return thousandths as a canonical quantity: 1500 is `1500m`, 2000 is `2`."""
    return str(millis // 1000) if millis % 1000 == 0 else f"{millis}m"


@lru_cache(maxsize=4096)
def _parse(text: str) -> tuple[Decimal, str]:
    match = _PATTERN.fullmatch(text) if len(text) <= MAX_LENGTH else None
    if match is None:
        raise ValueError(MESSAGE)
    sign, digits, suffix = match.groups(default="")
    number = Decimal(digits)
    if suffix in _BINARY:
        value, sort = _EXACT.multiply(number, _BINARY[suffix]), "binary"
    elif suffix in _DECIMAL:
        value, sort = number.scaleb(_DECIMAL[suffix], _EXACT), "decimal"
    else:
        value, sort = _with_exponent(number, int(suffix[1:])), "exponent"
    value = min(value, _MAX)
    if value % _NANO:
        value = (value / _NANO).to_integral_value(rounding="ROUND_CEILING") * _NANO
    return (-value if sign == "-" else value), sort


def _with_exponent(number: Decimal, exponent: int) -> Decimal:
    """Scale by a power of ten without ever building a number that is large beyond use."""
    if not number:
        return Decimal(0)
    if number.adjusted() + exponent > 20:
        return _MAX
    if number.adjusted() + exponent < -30:
        return _NANO
    return number.scaleb(exponent, _EXACT)


def _binary_text(value: int) -> str:
    suffix = ""
    for candidate in _BINARY:
        if value % 1024:
            break
        value, suffix = value // 1024, candidate
    return f"{value}{suffix}"


def _decimal_text(value: Decimal, *, exponent: bool) -> str:
    if not value:
        return "0"
    power = -9
    scaled = int(value.scaleb(9, _EXACT))
    while scaled % 1000 == 0 and power < 18:
        scaled, power = scaled // 1000, power + 3
    if exponent:
        return f"{scaled}e{power}" if power else str(scaled)
    return f"{scaled}{_SUFFIX_OF[power]}"
