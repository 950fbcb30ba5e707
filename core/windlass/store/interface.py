"""What a store is: the contract that memory, SQLite and ZooKeeper keep, and `tests/conformance` holds them to.

A store maps keys to bytes and numbers every commit. Keys are `group/plural/namespace/name` (see
`KindDefinition.key`); values are JSON objects without `metadata.resourceVersion`: the revision is the store's to say.

**Revision.** One number for the whole store, strictly growing with every commit, below 2**63. With ZooKeeper it is
the zxid. A change's revision is the revision of its object after the change; a deletion has one of its own.

**One commit, one object.** `create`, `update` and `delete` each change a single key atomically, and optionally check
a *guard*: another key that must still be at a given revision (how a leader's writes are fenced).

**Unknown outcomes.** An implementation that loses the answer to a commit settles it by looking for its own change,
never by a blind retry; when it cannot within its deadline it raises UnknownOutcomeError.

**Watch.** `watch(since)` yields every change with a revision above `since`, in order, without gap or duplicate, or
raises CompactedError when history no longer reaches back that far. `barrier()` returns a revision; once a watch has
yielded up to it, everything committed before the call is visible.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol

MAX_VALUE_BYTES = (1 << 20) - (64 << 10)
"""Largest value: under ZooKeeper's 1 MiB with room for the change entry that each commit carries."""


class ChangeType(StrEnum):
    """What happened to a key."""

    PUT = "PUT"
    DELETE = "DELETE"


class Stored(NamedTuple):
    """A value and where it stands. `create_revision` tells a recreated key from an updated one."""

    key: str
    value: bytes
    revision: int
    create_revision: int


class Change(NamedTuple):
    """One committed change. For DELETE, `value` is the last value (for selectors and the DELETED event)."""

    type: ChangeType
    key: str
    value: bytes
    revision: int
    create_revision: int


@dataclass(frozen=True, slots=True)
class Progress:
    """In a watch: no change is missing up to this revision. Emitted at least after each barrier catches up."""

    revision: int


@dataclass(frozen=True, slots=True)
class Guard:
    """A commit with this guard fails with GuardError unless `key` is at `revision`."""

    key: str
    revision: int


class Page(NamedTuple):
    """Part of a listing. `revision`: all items are at least as new; `more`: items follow after the last key."""

    items: Sequence[Stored]
    revision: int
    more: bool


class Store(Protocol):
    """A replicated map with history.

    All methods may be called concurrently from one event loop. Each has a deadline of its own and raises
    StoreUnavailableError (nothing written) or UnknownOutcomeError (perhaps written) when it passes.
    """

    @property
    def known_revision(self) -> int | None:
        """What `barrier` would return, where this process knows it without asking; None where others may commit."""
        ...

    async def start(self) -> None:
        """Connect and prepare. Idempotent."""
        ...

    async def close(self) -> None:
        """Stop all watches and disconnect. Idempotent."""
        ...

    async def create(self, key: str, value: bytes, *, guard: Guard | None = None) -> int:
        """Commit a new key and return its revision. Raises KeyExistsError, GuardError."""
        ...

    async def update(self, key: str, value: bytes, *, revision: int, guard: Guard | None = None) -> int:
        """Replace a value if the key is at `revision`. Raises RevisionMismatchError (also when absent), GuardError."""
        ...

    async def delete(self, key: str, *, revision: int, guard: Guard | None = None) -> int:
        """Delete a key if it is at `revision`; return the deletion's revision. Raises as `update`."""
        ...

    async def get(self, key: str) -> Stored | None:
        """Read one key, linearizably with this store's own commits; None when absent."""
        ...

    async def list(self, prefix: str, *, limit: int = 0, after: str = "") -> Page:
        """Read keys with a prefix in key order, strictly after `after`; 0 means no limit."""
        ...

    def watch(self, since: int) -> AsyncIterator[Change | Progress]:
        """Follow all changes after `since`, for every key. Raises CompactedError."""
        ...

    async def barrier(self) -> int:
        """Return a revision that covers every commit finished, by any process, before this call."""
        ...

    async def compact(self, keep: int) -> None:
        """Drop history beyond the newest `keep` changes. Safe to call from any process at any time."""
        ...

    async def advance(self, revision: int) -> None:
        """Let every later commit have a revision above `revision`, and forget the history up to there.

        For a restore, while nobody else has the store open. Nothing happens to a store that is beyond it already.
        """
        ...

    async def ping(self) -> None:
        """Prove a round trip, for /readyz. Raises StoreUnavailableError."""
        ...
