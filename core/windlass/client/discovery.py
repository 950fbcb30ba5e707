"""What an API server serves, read from its discovery documents."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from windlass.apimachinery.scheme import Resource
from windlass.client.client import Client
from windlass.errors import ApiError


@dataclass(frozen=True, slots=True)
class DiscoveredResource:
    """One served collection."""

    resource: Resource
    kind: str
    verbs: frozenset[str]


@dataclass(frozen=True, slots=True)
class Discovery:
    """All collections, in the preferred version of each group; `failures` tells which group versions did not answer."""

    resources: Sequence[DiscoveredResource]
    failures: Mapping[str, str]


async def discover(client: Client) -> Discovery:
    """Ask for all groups. A group version that does not answer is named in `failures`. Raises ApiError if none does."""
    groups = await _get(client, "/apis")
    found: list[DiscoveredResource] = []
    failures: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    for group, version in [("", "v1"), *_versions(groups)]:
        try:
            document = await _get(client, f"/apis/{group}/{version}" if group else f"/api/{version}")
        except ApiError as error:
            if not group:
                raise
            failures[f"{group}/{version}"] = str(error)
            continue
        for item in _collections(document, group, version):
            if (group, item.resource.plural) not in seen:
                seen.add((group, item.resource.plural))
                found.append(item)
    return Discovery(found, failures)


async def _get(client: Client, path: str) -> Mapping[str, Any]:
    document: Mapping[str, Any] = orjson.loads((await client.raw("GET", path)).body)
    return document


def _versions(groups: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return all group versions, the preferred one of each group first."""
    pairs = []
    for group in groups.get("groups") or ():
        preferred = (group.get("preferredVersion") or {}).get("version")
        versions = [entry["version"] for entry in group.get("versions") or ()]
        pairs += [(group["name"], version) for version in sorted(versions, key=lambda v: v != preferred)]
    return pairs


def _collections(document: Mapping[str, Any], group: str, version: str) -> list[DiscoveredResource]:
    return [
        DiscoveredResource(
            Resource(group, version, entry["name"], bool(entry.get("namespaced"))), entry["kind"],
            frozenset(entry.get("verbs") or ()),
        )
        for entry in document.get("resources") or ()
        if "/" not in entry["name"]
    ]
