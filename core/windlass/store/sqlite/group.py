"""The writes of one transaction: the database is asked once, everything is decided here, then written in few statements.

Each statement gives the interpreter's lock to the event loop and waits to get it back, which costs more than the
statement. So a group of any size needs a handful of them, not three for every operation.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

from windlass.errors import GuardError, KeyExistsError, RevisionMismatchError, WindlassError
from windlass.store.interface import Change, ChangeType, Guard
from windlass.store.sqlite.database import last_revision

ROWS = 64
"""Most rows of one statement, which is well below SQLite's bound on parameters."""
UPSERT = (
    " ON CONFLICT (key) DO UPDATE SET value = excluded.value, revision = excluded.revision, "
    "create_revision = excluded.create_revision"
)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Operation:
    """One commit to make. `value` None deletes. `revision` is the one that the key must be at; 0 means that it creates."""

    key: str
    value: bytes | None
    revision: int = 0
    guard: Guard | None = None


@dataclass(frozen=True, slots=True)
class Compaction:
    """Drop all but the newest changes."""

    keep: int


@dataclass(frozen=True, slots=True)
class Advance:
    """Let later revisions be above this one."""

    revision: int


Outcome = Change | WindlassError | None
"""What became of an operation: its change, why it was refused, or None for a compaction."""


class Group:
    """Runs inside a write transaction that the caller opens and commits. An operation that is refused writes nothing."""

    def __init__(self, connection: sqlite3.Connection, operations: Sequence[Operation | Compaction | Advance]) -> None:
        self._connection = connection
        self._operations = operations
        self._revision = last_revision(connection)
        self._known = self._read_known()
        self._changes: list[Change] = []
        self._newest: dict[str, Change] = {}

    def apply(self) -> list[Outcome]:
        """Decide and write; return what became of each operation."""
        outcomes: list[Outcome] = []
        for operation in self._operations:
            try:
                outcomes.append(self._decide(operation) if isinstance(operation, Operation) else None)
            except WindlassError as error:
                outcomes.append(error)
        self._write()
        for operation in self._operations:
            if isinstance(operation, Compaction):
                compact(self._connection, operation.keep)
            elif isinstance(operation, Advance):
                advance(self._connection, operation.revision)
        return outcomes

    def _read_known(self) -> dict[str, tuple[int, int]]:
        """Return revision and create revision of every key that an operation or its guard names."""
        writes = [operation for operation in self._operations if isinstance(operation, Operation)]
        keys = {write.key for write in writes} | {write.guard.key for write in writes if write.guard is not None}
        known: dict[str, tuple[int, int]] = {}
        for some in _parts(list(keys)):
            rows = self._connection.execute(
                _statement("SELECT key, revision, create_revision FROM objects WHERE key IN (", len(some), 1, ")"), some
            )
            known.update((key, (revision, created)) for key, revision, created in rows)
        return known

    def _decide(self, operation: Operation) -> Change:
        guard, key = operation.guard, operation.key
        if guard is not None:
            held = self._known.get(guard.key)
            if held is None or held[0] != guard.revision:
                raise GuardError(f"{guard.key} is no longer at revision {guard.revision}")
        found = self._known.get(key)
        if operation.revision == 0 and found is not None:
            raise KeyExistsError(key)
        if operation.revision and (found is None or found[0] != operation.revision):
            raise RevisionMismatchError(f"{key} is at revision {found[0] if found else None}, not {operation.revision}")
        kind, value = ChangeType.PUT, operation.value
        if value is None:
            kind, value = ChangeType.DELETE, self._last_value(key)
        self._revision += 1
        change = Change(kind, key, value, self._revision, found[1] if found else self._revision)
        if kind is ChangeType.DELETE:
            del self._known[key]
        else:
            self._known[key] = (change.revision, change.create_revision)
        self._changes.append(change)
        self._newest[key] = change
        return change

    def _last_value(self, key: str) -> bytes:
        written = self._newest.get(key)
        if written is not None:
            return written.value
        value: bytes = self._connection.execute("SELECT value FROM objects WHERE key = ?", (key,)).fetchone()[0]
        return value

    def _write(self) -> None:
        for some in _parts(self._changes):
            self._connection.execute(
                _statement("INSERT INTO changes (type, key, value, revision, create_revision) VALUES ", len(some), 5),
                [field for change in some for field in (change.type.value, *change[1:])],
            )
        newest = self._newest.values()
        for some in _parts([change for change in newest if change.type is ChangeType.PUT]):
            self._connection.execute(
                _statement("INSERT INTO objects (key, value, revision, create_revision) VALUES ", len(some), 4, UPSERT),
                [field for change in some for field in change[1:]],
            )
        for gone in _parts([change.key for change in newest if change.type is ChangeType.DELETE]):
            self._connection.execute(_statement("DELETE FROM objects WHERE key IN (", len(gone), 1, ")"), gone)


def compact(connection: sqlite3.Connection, keep: int) -> None:
    """Drop all but the newest `keep` changes."""
    bound = last_revision(connection) - keep
    if bound > 0:
        connection.execute("DELETE FROM changes WHERE revision <= ?", (bound,))
        connection.execute("UPDATE compaction SET revision = max(revision, ?)", (bound,))


def advance(connection: sqlite3.Connection, revision: int) -> None:
    """Drop all changes and raise the last revision, unless it is higher already."""
    if revision <= last_revision(connection):
        return
    connection.execute("DELETE FROM changes")
    connection.execute("DELETE FROM sqlite_sequence WHERE name = 'changes'")
    connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('changes', ?)", (revision,))
    connection.execute("UPDATE compaction SET revision = ?", (revision,))


def _parts(rows: list[T]) -> Iterator[list[T]]:
    """Cut rows into parts whose sizes are powers of two, so that few statements have to be prepared."""
    start = 0
    while start < len(rows):
        size = min(ROWS, 1 << ((len(rows) - start).bit_length() - 1))
        yield rows[start : start + size]
        start += size


@lru_cache(maxsize=64)
def _statement(start: str, rows: int, columns: int, end: str = "") -> str:
    row = "?" if columns == 1 else f"({', '.join('?' * columns)})"
    return start + ", ".join([row] * rows) + end
