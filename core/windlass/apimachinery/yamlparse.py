"""Parse YAML bodies: one document, plain data only, bounded; the result is what the same JSON would be."""

from typing import Any

import orjson
import yaml

from windlass.apimachinery.jsonparse import MAX_DEPTH
from windlass.errors import BadRequestError, TooLargeError

MAX_BYTES = 3 * 1024 * 1024
MAX_NODES = 200_000
MAX_ALIASES = 100


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """A safe loader with no timestamps (dates stay text, as in kubectl) and no merge of what is not a mapping."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in _Loader.yaml_implicit_resolvers.items()
}


def parse_yaml(body: bytes) -> dict[str, Any]:
    """Parse one YAML document that is a mapping. Raises BadRequestError or TooLargeError naming line and column."""
    if len(body) > MAX_BYTES:
        raise TooLargeError(f"the YAML body is longer than {MAX_BYTES} bytes")
    try:
        _bound(body)
        value = yaml.load(body, Loader=_Loader)  # noqa: S506 - _Loader is a safe loader
    except yaml.YAMLError as error:
        raise BadRequestError(f"the body is not valid YAML: {' '.join(str(error).split())}") from None
    except (UnicodeDecodeError, RecursionError, ValueError) as error:
        raise BadRequestError(f"the body is not valid YAML: {error}") from None
    if not isinstance(value, dict):
        raise BadRequestError("the YAML body must be one mapping")
    try:
        return dict(orjson.loads(orjson.dumps(value)))
    except (orjson.JSONEncodeError, orjson.JSONDecodeError) as error:
        raise BadRequestError(f"the YAML body has no JSON form: {error}") from None


def _bound(body: bytes) -> None:
    """Count events before anything is built: nodes, aliases, depth, documents."""
    nodes = aliases = depth = documents = 0
    for event in yaml.parse(body, Loader=_Loader):
        nodes += 1
        aliases += isinstance(event, yaml.AliasEvent)
        documents += isinstance(event, yaml.DocumentStartEvent)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if nodes > MAX_NODES or aliases > MAX_ALIASES or depth > MAX_DEPTH:
            raise BadRequestError(
                f"the YAML body exceeds a bound: {MAX_NODES} nodes, {MAX_ALIASES} aliases, {MAX_DEPTH} levels"
            )
        if documents > 1:
            raise BadRequestError("the YAML body holds several documents; send one at a time")
