"""Group commit: one writer thread puts all commits that are waiting into one transaction."""

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from windlass.errors import StoreUnavailableError, WindlassError
from windlass.logs import get_logger
from windlass.store.interface import Change
from windlass.store.sqlite.database import connect
from windlass.store.sqlite.group import Advance, Compaction, Group, Operation, Outcome, compact

GROUP = 256
COMPACT_EVERY = 20_000
KEEP_CHANGES = 50_000
log = get_logger(__name__)


@dataclass(slots=True)
class _Commit:
    operation: Operation | Compaction | Advance
    future: "asyncio.Future[Change | None]"


class Committer:
    """Commits operations in groups. `on_commit` is told, on the loop, the changes of each group in order."""

    def __init__(
        self, path: Path, loop: asyncio.AbstractEventLoop, on_commit: Callable[[Sequence[Change]], None]
    ) -> None:
        self._connection = connect(path)
        self._loop = loop
        self._on_commit = on_commit
        self._queue: queue.SimpleQueue[_Commit | None] = queue.SimpleQueue()
        self._since_compaction = 0
        self._thread = threading.Thread(target=self._work, name="sqlite-writer", daemon=True)
        self._thread.start()

    async def commit(self, operation: Operation | Compaction | Advance) -> Change | None:
        """Run an operation in the next group and wait until it is durable."""
        future: asyncio.Future[Change | None] = self._loop.create_future()
        self._queue.put(_Commit(operation, future))
        return await future

    def close(self) -> None:
        """Finish what is queued and end the thread."""
        self._queue.put(None)
        self._thread.join()
        self._connection.close()

    def _work(self) -> None:
        while True:
            group, ended = self._next_group()
            if group:
                outcomes = self._run(group)
                self._loop.call_soon_threadsafe(self._settle, group, outcomes)
            if ended:
                return

    def _next_group(self) -> tuple[list[_Commit], bool]:
        group: list[_Commit] = []
        while len(group) < GROUP:
            try:
                item = self._queue.get(block=not group)
            except queue.Empty:
                break
            if item is None:
                return group, True
            group.append(item)
        return group, False

    def _run(self, group: list[_Commit]) -> Sequence[Outcome]:
        """Run a group in one transaction; returns what became of each."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            outcomes = Group(self._connection, [commit.operation for commit in group]).apply()
            self._since_compaction += len(group)
            if self._since_compaction >= COMPACT_EVERY:
                compact(self._connection, KEEP_CHANGES)
                self._since_compaction = 0
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            log.warning("sqlite_commit_failed", error=str(error), commits=len(group))
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            return [StoreUnavailableError(f"SQLite could not commit: {error}")] * len(group)
        return outcomes

    def _settle(self, group: list[_Commit], outcomes: Sequence[Outcome]) -> None:
        self._on_commit([outcome for outcome in outcomes if isinstance(outcome, Change)])
        for commit, outcome in zip(group, outcomes, strict=True):
            if commit.future.done():
                continue
            if isinstance(outcome, WindlassError):
                commit.future.set_exception(outcome)
            else:
                commit.future.set_result(outcome)
