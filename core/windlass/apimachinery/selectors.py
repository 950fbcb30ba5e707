"""Label and field selectors: parse, print, match."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from windlass.apimachinery import names
from windlass.errors import BadRequestError

MAX_SELECTOR_LENGTH = 16 * 1024
MAX_REQUIREMENTS = 512
_TOKEN = re.compile(r"\s*(==|!=|=|<|>|!|\(|\)|,|[^\s=!<>(),]+)")
_OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on one label. `operator`: in, notin, exists, !, gt, lt (= and != are in and notin of one value)."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Say whether labels meet the condition."""
        value = labels.get(self.key)
        match self.operator:
            case "in":
                return value in self.values
            case "notin":
                return value is None or value not in self.values
            case "exists":
                return value is not None
            case "!":
                return value is None
        return self._compares(value)

    def _compares(self, value: str | None) -> bool:
        if value is None or not re.fullmatch(r"-?[0-9]{1,18}", value):
            return False
        bound = int(next(iter(self.values)))
        return int(value) > bound if self.operator == "gt" else int(value) < bound

    def __str__(self) -> str:
        listed = sorted(self.values)
        match self.operator:
            case "exists":
                return self.key
            case "!":
                return f"!{self.key}"
            case "gt" | "lt":
                return f"{self.key}{'>' if self.operator == 'gt' else '<'}{listed[0]}"
        if len(listed) == 1:
            return f"{self.key}{'=' if self.operator == 'in' else '!='}{listed[0]}"
        return f"{self.key} {self.operator} ({','.join(listed)})"


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """All requirements must hold; none means everything, unless `nothing`."""

    requirements: tuple[Requirement, ...] = ()
    nothing: bool = False

    def matches(self, labels: Mapping[str, str] | None) -> bool:
        """Say whether labels are selected."""
        if self.nothing:
            return False
        found = labels or {}
        return all(requirement.matches(found) for requirement in self.requirements)

    @property
    def empty(self) -> bool:
        """Whether it selects everything."""
        return not self.requirements and not self.nothing

    def __str__(self) -> str:
        return ",".join(str(requirement) for requirement in sorted(self.requirements, key=lambda item: item.key))


def parse_label_selector(text: str) -> LabelSelector:
    """Parse `a=b,c!=d,e in (f,g),h notin (i),j,!k,l>1`. Raises BadRequestError saying where."""
    _bound(text, "label selector")
    return _parse_labels(text)


@lru_cache(maxsize=1024)
def _parse_labels(text: str) -> LabelSelector:
    parser = _Parser(text)
    requirements = []
    while not parser.done:
        requirements.append(parser.requirement())
        if not parser.done:
            parser.expect(",")
            if parser.done:
                parser.fail("a requirement must follow the comma")
    if len(requirements) > MAX_REQUIREMENTS:
        raise BadRequestError(f"unable to parse label selector: more than {MAX_REQUIREMENTS} requirements")
    return LabelSelector(tuple(requirements))


class _Parser:
    """Recursive descent over the tokens of a label selector."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[str] = []
        position = 0
        while position < len(text.rstrip()):
            match = _TOKEN.match(text, position)
            if match is None:
                self.fail(f"unexpected character at {position}")
            else:
                self.tokens.append(match.group(1))
                position = match.end()
        self.tokens.reverse()

    @property
    def done(self) -> bool:
        return not self.tokens

    def fail(self, reason: str) -> None:
        raise BadRequestError(f"unable to parse requirement: {reason} in label selector {self.text[:200]!r}")

    def next(self) -> str:
        if not self.tokens:
            self.fail("unexpected end")
        return self.tokens.pop()

    def expect(self, token: str) -> None:
        found = self.next()
        if found != token:
            self.fail(f"found {found!r}, expected {token!r}")

    def requirement(self) -> Requirement:
        first = self.next()
        if first == "!":
            return Requirement(self.key(self.next()), "!")
        key = self.key(first)
        if self.done or self.tokens[-1] == ",":
            return Requirement(key, "exists")
        operator = self.next()
        match operator:
            case "=" | "==" | "!=":
                return Requirement(key, "notin" if operator == "!=" else "in", frozenset({self.value()}))
            case "in" | "notin":
                return Requirement(key, operator, self.values())
            case "<" | ">":
                bound = self.value()
                if not re.fullmatch(r"-?[0-9]{1,18}", bound):
                    self.fail(f"for 'Gt', 'Lt' operators, the value must be an integer, found {bound!r}")
                return Requirement(key, "gt" if operator == ">" else "lt", frozenset({bound}))
        self.fail(f"found {operator!r}, expected: in, notin, =, ==, !=, gt, lt")
        raise AssertionError

    def key(self, token: str) -> str:
        messages = names.is_qualified_name(token)
        if messages:
            self.fail(f"Invalid value: {token!r}: {'; '.join(messages)}")
        return token

    def value(self) -> str:
        if self.done or self.tokens[-1] == ",":
            return ""
        token = self.next()
        messages = names.is_label_value(token)
        if messages:
            self.fail(f"Invalid value: {token!r}: {'; '.join(messages)}")
        return token

    def values(self) -> frozenset[str]:
        self.expect("(")
        found = set()
        while True:
            if self.tokens and self.tokens[-1] in (",", ")"):
                found.add("")
            else:
                found.add(self.value())
            after = self.next()
            if after == ")":
                return frozenset(found)
            if after != ",":
                self.fail(f"found {after!r}, expected ',' or ')'")


def from_label_selector(obj: Mapping[str, Any] | None) -> LabelSelector:
    """Convert a `metav1.LabelSelector` object: None selects nothing, {} everything."""
    if obj is None:
        return LabelSelector(nothing=True)
    requirements = [
        Requirement(key, "in", frozenset({value})) for key, value in sorted((obj.get("matchLabels") or {}).items())
    ]
    requirements += [_from_expression(expression) for expression in obj.get("matchExpressions") or ()]
    return LabelSelector(tuple(requirements))


def _from_expression(expression: Mapping[str, Any]) -> Requirement:
    operator = _OPERATORS.get(expression.get("operator", ""))
    values = frozenset(expression.get("values") or ())
    if operator is None:
        raise BadRequestError(f'"{expression.get("operator", "")}" is not a valid label selector operator')
    if (operator in ("in", "notin")) != bool(values):
        raise BadRequestError(f"the values of {operator!r} for {expression.get('key', '')!r} do not fit the operator")
    return Requirement(str(expression.get("key", "")), operator, values)


def from_labels(labels: Mapping[str, str]) -> LabelSelector:
    """Convert a plain map, as Services and ReplicationControllers have it: all labels must be there."""
    return from_label_selector({"matchLabels": labels})


def format_label_selector(obj: Mapping[str, Any] | None) -> str:
    """Print a `metav1.LabelSelector` object, or a plain map of labels, in the query form; None is empty."""
    if obj is None:
        return ""
    return str(from_label_selector(obj) if obj.keys() <= {"matchLabels", "matchExpressions"} else from_labels(obj))


def describe_label_selector(obj: Mapping[str, Any] | None) -> str:
    """Print a selector for a table: `<none>` when empty, `<error>` when it is none, so that the other rows still show."""
    try:
        return format_label_selector(obj) or "<none>"
    except BadRequestError:
        return "<error>"


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """`requirements` are (field, `=` or `!=`, value); all must hold."""

    requirements: tuple[tuple[str, str, str], ...] = ()

    def matches(self, fields: Mapping[str, str]) -> bool:
        """Say whether an object's selectable fields are selected; a field that is not there is ''."""
        return all((fields.get(name, "") == value) == (operator == "=") for name, operator, value in self.requirements)

    def __str__(self) -> str:
        return ",".join(f"{name}{operator}{_escape(value)}" for name, operator, value in self.requirements)


def _escape(value: str) -> str:
    return re.sub(r"([\\,=])", r"\\\1", value)


def parse_field_selector(text: str) -> FieldSelector:
    """Parse `metadata.name=a,status.phase!=Running`; a backslash escapes comma, equals sign and itself.

    Raises BadRequestError.
    """
    _bound(text, "field selector")
    return FieldSelector(tuple(_field_requirement(term, text) for term in _split_terms(text) if term.strip()))


def _split_terms(text: str) -> Sequence[str]:
    if re.search(r"(?<!\\)(?:\\\\)*\\$", text):
        raise BadRequestError(f"invalid field selector {text[:200]!r}: it ends in a lone backslash")
    return re.findall(r"(?:[^\\,]|\\.)+", text)


def _field_requirement(term: str, text: str) -> tuple[str, str, str]:
    match = re.fullmatch(r"\s*([^=!\s]+)\s*(==|!=|=)((?:[^\\=]|\\[\\,=])*)", term)
    if match is None:
        raise BadRequestError(f"invalid field selector {text[:200]!r}: can't understand {term[:200]!r}")
    value = re.sub(r"\\(.)", r"\1", match.group(3).strip())
    return match.group(1), "!=" if match.group(2) == "!=" else "=", value


def _bound(text: str, what: str) -> None:
    if len(text) > MAX_SELECTOR_LENGTH:
        raise BadRequestError(f"the {what} is longer than {MAX_SELECTOR_LENGTH} characters")
