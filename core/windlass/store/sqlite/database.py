"""The database file: schema, and every statement that the store runs. Synchronous; called from the store's threads."""

import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from windlass.store.interface import Change, ChangeType, Stored

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
_PAGE = "SELECT key, value, revision, create_revision FROM objects WHERE key {} ? AND key < ? ORDER BY key LIMIT ?"
PAGE_FROM, PAGE_AFTER = _PAGE.format(">="), _PAGE.format(">")


def connect(path: Path) -> sqlite3.Connection:
    """Open the file, made owner-only, with full durability."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=64)
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


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
        # One lower bound: given two, SQLite seeks to the first and walks to the second, which makes paging quadratic.
        beyond = PAGE_AFTER if after >= prefix else PAGE_FROM
        rows = connection.execute(beyond, (max(prefix, after), prefix + LAST, limit + 1 if limit else -1)).fetchall()
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
