"""Parse YAML bodies: one document, plain data only, bounded; the result is the JSON that kubectl would have sent.

Scalars are read as kubectl's YAML library reads them, which is neither YAML 1.2 nor PyYAML's 1.1: `no` is false, `012`
is ten, `1e3` is 1000, `1:30` is text, dates are text, and keys become strings. Documents are bounded as a stream of
events before anything is built, and by their size with all aliases written out before any of it is.
"""

import math
import re
from typing import Any

import orjson
import yaml

from windlass.apimachinery.jsonparse import MAX_DEPTH, Parsed, parse_value
from windlass.errors import BadRequestError, TooLargeError

MAX_BYTES = 3 * 1024 * 1024
MAX_NODES = 200_000
"""How many nodes a document may have, once with and once without its aliases written out."""

_PLAIN = "plain"
_TAG = "tag:yaml.org,2002:"
_BOOLEANS = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
}
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INTEGER = re.compile(r"[-+]?(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|[1-9][0-9]*|0)")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Composes nodes; says of a scalar only whether it stands plain."""

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> Any:
        """Return the tag of a node that carries none."""
        if kind is yaml.ScalarNode:
            return _PLAIN if implicit[0] else f"{_TAG}str"
        return super().resolve(kind, value, implicit)


def parse_yaml(body: bytes) -> Parsed:
    """Parse one YAML document that is a mapping or a sequence.

    Raises BadRequestError naming line and column, and TooLargeError.
    """
    if len(body) > MAX_BYTES:
        raise TooLargeError(f"the YAML body is longer than {MAX_BYTES} bytes")
    try:
        _bound(body)
        root = yaml.compose(body, Loader=_Loader)
    except yaml.YAMLError as error:
        raise BadRequestError(f"the body is not valid YAML: {' '.join(str(error).split())}") from None
    except (UnicodeError, ValueError) as error:
        raise BadRequestError(f"the body is not valid YAML: {error}") from None
    if not isinstance(root, yaml.MappingNode | yaml.SequenceNode):
        raise BadRequestError("the YAML body must be one mapping")
    _expanded_size(root, {})
    builder = _Builder()
    value = builder.build(root, "")
    try:
        encoded = orjson.dumps(value)
    except orjson.JSONEncodeError as error:
        raise BadRequestError(f"the YAML body has no JSON form: {error}") from None
    return Parsed(parse_value(encoded), sorted(builder.duplicates))


def _bound(body: bytes) -> None:
    """Count events before anything is built: nodes, depth, documents."""
    depth = documents = 0
    for count, event in enumerate(yaml.parse(body, Loader=_Loader)):
        documents += isinstance(event, yaml.DocumentStartEvent)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise BadRequestError(f"the YAML body nests deeper than {MAX_DEPTH} levels: {_place(event)}")
        if count > MAX_NODES:
            raise TooLargeError(f"the YAML body has more than {MAX_NODES} nodes")
        if documents > 1:
            raise BadRequestError(f"the YAML body holds several documents: {_place(event)}; send one at a time")


def _place(event: Any) -> str:
    mark = event.start_mark
    return f"line {mark.line + 1} column {mark.column + 1}"


def _expanded_size(node: yaml.Node, known: dict[int, int]) -> int:
    """Return how many nodes there are with all aliases written out. Raises TooLargeError; also for endless ones."""
    if isinstance(node, yaml.ScalarNode):
        return 1
    size = known.get(id(node))
    if size is not None:
        if size == 0:
            raise BadRequestError(f"the YAML body holds an alias of what it stands in: {_place(node)}")
        return size
    known[id(node)] = 0
    pairs = isinstance(node, yaml.MappingNode)
    parts = [part for pair in node.value for part in pair] if pairs else node.value
    size = 1 + sum(_expanded_size(part, known) for part in parts)
    if size > MAX_NODES:
        raise TooLargeError(f"with aliases written out, the YAML body has more than {MAX_NODES} nodes: {_place(node)}")
    known[id(node)] = size
    return size


class _Builder:
    """Builds the JSON value of a node, and notes keys that a mapping repeats."""

    def __init__(self) -> None:
        self.duplicates: list[str] = []

    def build(self, node: yaml.Node, path: str) -> Any:
        """Return the value of a node."""
        if isinstance(node, yaml.MappingNode):
            _demand_tag(node, "map")
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            _demand_tag(node, "seq")
            return [self.build(item, f"{path}[{index}]") for index, item in enumerate(node.value)]
        return _scalar(node)

    def _mapping(self, node: yaml.MappingNode, path: str) -> dict[str, Any]:
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _PLAIN and key_node.value == "<<":
                merged = self._merged(value_node, path) | merged
                continue
            key = _key(key_node)
            inner = f"{path}.{key}".removeprefix(".")
            if key in own:
                self.duplicates.append(inner)
            own[key] = self.build(value_node, inner)
        return {**merged, **own}

    def _merged(self, node: yaml.Node, path: str) -> dict[str, Any]:
        nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
        result: dict[str, Any] = {}
        for part in nodes:
            if not isinstance(part, yaml.MappingNode):
                raise BadRequestError(f"the YAML body is not valid: << needs mappings: {_place(part)}")
            result = self._mapping(part, path) | result
        return result


def _demand_tag(node: yaml.Node, wanted: str) -> None:
    if node.tag != _TAG + wanted:
        raise BadRequestError(f"the YAML body uses the tag {node.tag!r}, only plain data is read: {_place(node)}")


def _key(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise BadRequestError(f"a key in the YAML body is not a scalar: {_place(node)}")
    value = _scalar(node)
    if isinstance(value, bool):
        return "true" if value else "false"
    return "null" if value is None else str(value)


def _scalar(node: yaml.Node) -> Any:
    text: str = node.value
    if node.tag == _TAG + "str":
        return text
    value = _plain_value(text)
    if isinstance(value, float) and not math.isfinite(value):
        raise BadRequestError(f"a number in the YAML body is not finite: {_place(node)}")
    if node.tag == _PLAIN:
        return value
    kinds = {"int": int, "float": (int, float), "bool": bool, "null": type(None)}
    wanted = kinds.get(node.tag.removeprefix(_TAG))
    if wanted is None or not isinstance(value, wanted):  # type: ignore[arg-type]
        raise BadRequestError(f"the YAML body uses the tag {node.tag!r} where it cannot be read: {_place(node)}")
    return value


def _plain_value(text: str) -> Any:
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _NOT_FINITE.fullmatch(text):
        return math.inf
    bare = text.replace("_", "") if text[:1] in "+-0123456789" else text
    if _INTEGER.fullmatch(bare) and len(bare) <= 70:
        return _integer(bare)
    if not _FLOAT.fullmatch(bare):
        return text
    number = float(bare)
    return int(number) if number.is_integer() and abs(number) < 2**63 else number  # Go writes 1000.0 as 1000


def _integer(text: str) -> int | float:
    digits = text.lstrip("+-").lower()
    if digits.startswith("0") and len(digits) > 1 and digits[1] not in "xbo":
        digits = f"0o{digits[1:]}"
    value = int(digits, 0) * (-1 if text.startswith("-") else 1)
    return value if -(2**63) <= value < 2**63 else float(value)
