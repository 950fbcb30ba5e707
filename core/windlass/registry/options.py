"""What a request says beside its object: who asks, and with which options."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from windlass.plugin.interfaces.authn import UserInfo


@dataclass(slots=True)
class RequestContext:
    """Who writes, and how. `warnings` collects texts for Warning headers.

    `field_validation`: Strict, Warn or Ignore. `fence`: `lease-namespace/lease-name/holder/transitions` of the leader
    on whose behalf the write is made, '' for none. `manager`: who owns the fields that the write sets. `force`: an
    apply takes fields from their owners. `authorize_create` raises when the caller may not create what it applies.
    """

    user: UserInfo
    dry_run: bool = False
    field_validation: str = "Warn"
    fence: str = ""
    warnings: list[str] = field(default_factory=list)
    manager: str = "unknown"
    force: bool = False
    authorize_create: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True)
class Body:
    """A parsed request body. `duplicates` are the paths of keys that stood twice in one object."""

    value: Any
    duplicates: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ListOptions:
    """How to list. `continue_` and `resource_version` are as the client sent them."""

    label_selector: str = ""
    field_selector: str = ""
    limit: int = 0
    continue_: str = ""
    resource_version: str = ""
    resource_version_match: str = ""


@dataclass(frozen=True, slots=True)
class Patch:
    """A patch: its media type without parameters, and its parsed body."""

    media_type: str
    body: Body


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """How to delete. None: the kind's own default."""

    grace_period_seconds: int | None = None
    propagation_policy: str = ""
    uid: str = ""
    resource_version: str = ""


@dataclass(frozen=True, slots=True)
class Written:
    """Outcome of a write: the object as stored. `created`: it was not there before; `gone`: it is no more."""

    obj: Mapping[str, Any]
    created: bool = False
    gone: bool = False
