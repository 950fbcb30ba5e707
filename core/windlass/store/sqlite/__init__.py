"""The embedded store: SQLite in WAL mode, one table of objects, one of changes.

Why this design: a commit costs an fdatasync, so concurrent commits share one transaction (group commit by one writer
thread). Revisions are the change table's AUTOINCREMENT key: given out inside the write transaction, hence in commit
order, without gaps, and never twice, whichever process commits. Rejected: one connection per request (no grouping) and
triggers (opaque).
"""

from windlass.store.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
