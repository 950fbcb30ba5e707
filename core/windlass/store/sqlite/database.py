"""The database file: schema, and every statement that the store runs. Synchronous; called from the store's threads."""

import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from windlass.errors import GuardError, KeyExistsError, RevisionMismatchError
from windlass.store.interface import Change, ChangeType, Guard, Stored

SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    key TEXT PRIMARY KEY, value BLOB NOT NULL, revision INTEGER NOT NULL, create_revision INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS changes (
    revision INTEGER PRIMARY KEY AUTOINCREMENT, type TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,
    create_revision INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS compaction (id INTEGER PRIMARY KEY CHECK (id = 1), revision INTEGER NOT NULL);
INSERT OR IGNORE INTO compaction VALUES (1, 0);
"""
BUSY_TIMEOUT_MS = 5000
LAST = "\U0010ffff"


def connect(path: Path) -> sqlite3.Connection:
    """Open the file, made owner-only, with full durability."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=64)
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


class Writer:
    """Runs inside a write transaction that the caller opens and commits; each method checks before it writes."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def create(self, key: str, value: bytes, guard: Guard | None) -> Change:
        """Insert a key."""
        self._check(guard)
        if self._stored(key) is not None:
            raise KeyExistsError(key)
        return self._put(key, value, 0)

    def update(self, key: str, value: bytes, revision: int, guard: Guard | None) -> Change:
        """Replace a key's value."""
        self._check(guard)
        return self._put(key, value, self._expect(key, revision)[1])

    def delete(self, key: str, revision: int, guard: Guard | None) -> Change:
        """Delete a key; its last value goes into the change."""
        self._check(guard)
        _, create_revision = self._expect(key, revision)
        (value,) = self._connection.execute("SELECT value FROM objects WHERE key = ?", (key,)).fetchone()
        self._connection.execute("DELETE FROM objects WHERE key = ?", (key,))
        return self._record(ChangeType.DELETE, key, value, create_revision)

    def compact(self, keep: int) -> None:
        """Drop all but the newest `keep` changes."""
        bound = last_revision(self._connection) - keep
        if bound > 0:
            self._connection.execute("DELETE FROM changes WHERE revision <= ?", (bound,))
            self._connection.execute("UPDATE compaction SET revision = max(revision, ?)", (bound,))

    def _stored(self, key: str) -> tuple[int, int] | None:
        row: tuple[int, int] | None = self._connection.execute(
            "SELECT revision, create_revision FROM objects WHERE key = ?", (key,)
        ).fetchone()
        return row

    def _expect(self, key: str, revision: int) -> tuple[int, int]:
        found = self._stored(key)
        if found is None or found[0] != revision:
            raise RevisionMismatchError(f"{key} is at revision {found[0] if found else None}, not {revision}")
        return found

    def _check(self, guard: Guard | None) -> None:
        if guard is not None:
            held = self._stored(guard.key)
            if held is None or held[0] != guard.revision:
                raise GuardError(f"{guard.key} is no longer at revision {guard.revision}")

    def _put(self, key: str, value: bytes, create_revision: int) -> Change:
        change = self._record(ChangeType.PUT, key, value, create_revision)
        self._connection.execute(
            "INSERT INTO objects VALUES (?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value, "
            "revision = excluded.revision",
            (key, value, change.revision, change.create_revision),
        )
        return change

    def _record(self, change_type: ChangeType, key: str, value: bytes, create_revision: int) -> Change:
        """Append a change. `create_revision` 0 stands for the change's own revision, in the table too."""
        cursor = self._connection.execute(
            "INSERT INTO changes (type, key, value, create_revision) VALUES (?, ?, ?, ?)",
            (change_type.value, key, value, create_revision),
        )
        revision = cursor.lastrowid or 0
        return Change(change_type, key, value, revision, create_revision or revision)


def last_revision(connection: sqlite3.Connection) -> int:
    """Return the newest revision, also when its change has been compacted away."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'changes'").fetchone()
    return int(row[0]) if row else 0


def compacted_revision(connection: sqlite3.Connection) -> int:
    """Return the newest revision whose change is gone."""
    return int(connection.execute("SELECT revision FROM compaction").fetchone()[0])


def read_one(connection: sqlite3.Connection, key: str) -> Stored | None:
    """Read a key."""
    row = connection.execute(
        "SELECT key, value, revision, create_revision FROM objects WHERE key = ?", (key,)
    ).fetchone()
    return Stored(*row) if row else None


def read_page(connection: sqlite3.Connection, prefix: str, after: str, limit: int) -> tuple[list[Stored], int, bool]:
    """Read keys with a prefix in order, and the revision that they stand at: one snapshot."""
    connection.execute("BEGIN")
    try:
        start = max(prefix, after)
        rows = connection.execute(
            "SELECT key, value, revision, create_revision FROM objects WHERE key >= ? AND key > ? AND key < ? "
            "ORDER BY key LIMIT ?",
            (prefix, start if after else "", prefix + LAST, limit + 1 if limit else -1),
        ).fetchall()
        revision = last_revision(connection)
    finally:
        connection.execute("COMMIT")
    more = bool(limit) and len(rows) > limit
    return [Stored(*row) for row in (rows[:limit] if more else rows)], revision, more


def read_changes(connection: sqlite3.Connection, since: int, limit: int) -> list[Change]:
    """Read changes after a revision, in order."""
    rows: Iterable[tuple[str, str, bytes, int, int]] = connection.execute(
        "SELECT type, key, value, revision, create_revision FROM changes WHERE revision > ? ORDER BY revision LIMIT ?",
        (since, limit),
    )
    return [
        Change(ChangeType(kind), key, value, revision, created or revision)
        for kind, key, value, revision, created in rows
    ]
