"""Who controls what: claiming objects by controller reference and selector, as every workload controller does."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from windlass.apimachinery.meta import get_controller_of, is_being_deleted, new_controller_ref
from windlass.apimachinery.scheme import Resource
from windlass.apimachinery.selectors import from_label_selector
from windlass.client.client import Client
from windlass.errors import NotFoundError

Obj = dict[str, Any]
CONTROLLER_INDEX = "controller"


def controller_index(obj: Mapping[str, Any]) -> list[str]:
    """Index objects by their controller's uid; those without one by `orphan/<namespace>`."""
    reference = get_controller_of(obj)
    return [reference["uid"]] if reference else [orphans_of(str(obj["metadata"].get("namespace") or ""))]


def orphans_of(namespace: str) -> str:
    """Return the index value under which a namespace's objects without a controller are found."""
    return f"orphan/{namespace}"


@dataclass(slots=True)
class Claim:
    """What a controller has, what it should take, and what it should let go."""

    owned: list[Obj] = field(default_factory=list)
    adopt: list[Obj] = field(default_factory=list)
    release: list[Obj] = field(default_factory=list)


def plan_claim(owner: Mapping[str, Any], candidates: Iterable[Obj]) -> Claim:
    """Sort candidates by whose they are and whether the owner's `spec.selector` matches. Pure."""
    selector = from_label_selector(owner["spec"].get("selector"))
    deleting = is_being_deleted(owner)
    claim = Claim()
    for obj in candidates:
        reference = get_controller_of(obj)
        matches = selector.matches(obj["metadata"].get("labels") or {})
        if reference is not None and reference.get("uid") == owner["metadata"]["uid"]:
            if matches:
                claim.owned.append(obj)
            elif not deleting:
                claim.release.append(obj)
        elif reference is None and matches and not deleting and not is_being_deleted(obj):
            claim.adopt.append(obj)
    return claim


async def settle_claim(
    client: Client, owner_resource: Resource, resource: Resource, owner: Mapping[str, Any], claim: Claim
) -> Sequence[Obj]:
    """Adopt and release; return everything that is the owner's now. Raises ApiError; repeating it is safe."""
    for obj in claim.release:
        kept = [r for r in obj["metadata"]["ownerReferences"] if r.get("uid") != owner["metadata"]["uid"]]
        await _set_owners(client, resource, obj, kept)
    owned = list(claim.owned)
    if claim.adopt and await _still_lives(client, owner_resource, owner):
        reference = new_controller_ref(owner)
        for obj in claim.adopt:
            others = [r for r in obj["metadata"].get("ownerReferences") or () if r.get("uid") != reference["uid"]]
            adopted = await _set_owners(client, resource, obj, [*others, reference])
            if adopted is not None:
                owned.append(adopted)
    return owned


async def _still_lives(client: Client, resource: Resource, owner: Mapping[str, Any]) -> bool:
    """Ask the API server, not the cache: an owner that is being deleted must not take anything any more."""
    metadata = owner["metadata"]
    try:
        live = await client.get(resource, metadata["name"], metadata.get("namespace", ""))
    except NotFoundError:
        return False
    return bool(live["metadata"]["uid"] == metadata["uid"]) and not is_being_deleted(live)


async def _set_owners(client: Client, resource: Resource, obj: Obj, references: Sequence[Any]) -> Obj | None:
    metadata = obj["metadata"]
    patch = {
        "metadata": {
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
            "ownerReferences": list(references) or None,
        }
    }
    try:
        return await client.patch(resource, metadata["name"], patch, metadata.get("namespace", ""))
    except NotFoundError:
        return None


def keys_of_owner(kind: str, owners_of_orphan: Callable[[Obj], Iterable[str]]) -> Callable[[Obj], Iterable[str]]:
    """Return what to reconcile when a dependent changes: its controller, or whoever might adopt it."""

    def keys(obj: Obj) -> Iterable[str]:
        reference = get_controller_of(obj)
        if reference is None:
            return owners_of_orphan(obj)
        return [f"{obj['metadata'].get('namespace', '')}/{reference['name']}"] if reference["kind"] == kind else []

    return keys


def matching_owners(owners: Iterable[Obj], obj: Mapping[str, Any]) -> list[str]:
    """Return the keys of the owners whose selector matches an object."""
    labels = obj["metadata"].get("labels") or {}
    return [
        f"{owner['metadata'].get('namespace', '')}/{owner['metadata']['name']}"
        for owner in owners
        if from_label_selector(owner["spec"].get("selector")).matches(labels)
    ]
