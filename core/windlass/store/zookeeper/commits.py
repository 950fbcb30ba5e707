"""Commits: one multi() each, retried only when it certainly did not happen, settled when its answer was lost."""

import asyncio
import itertools
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from kazoo.exceptions import BadVersionError, NodeExistsError, NoNodeError, RolledBackError, RuntimeInconsistency
from kazoo.protocol.serialization import CheckVersion, Create, Delete, SetData, Transaction

from windlass.errors import (
    GuardError,
    KeyExistsError,
    RevisionMismatchError,
    StoreUnavailableError,
    TooLargeError,
    UnknownOutcomeError,
)
from windlass.logs import get_logger
from windlass.store.interface import MAX_VALUE_BYTES, ChangeType, Guard
from windlass.store.zookeeper.changelog import ChangeLog
from windlass.store.zookeeper.connection import AnswerLostError, Connection
from windlass.store.zookeeper.layout import (
    INLINE_BYTES,
    EntryNode,
    ObjectNode,
    Paths,
    encode_entry,
    encode_object,
)
from windlass.store.zookeeper.versions import Known, Versions

SEQUENTIAL = 2
SEAL_AGAIN = 64
log = get_logger(__name__)


@dataclass(slots=True)
class _Plan:
    """A commit ready to send: the object's operation and its entry. `retry` forgets what made it fail."""

    operation: Any
    entry: EntryNode
    retry: Callable[[], Awaitable[None]]


@dataclass(slots=True)
class _Doubt:
    """Whether a multi() is under way whose outcome is not known."""

    in_doubt: bool = False


class Committer:
    """Writes. `on_roll` is told when a segment was filled and sealed, `on_commit` of each entry and where it stands."""

    def __init__(  # noqa: PLR0913 - the parts of the store that a commit touches
        self,
        connection: Connection,
        change_log: ChangeLog,
        versions: Versions,
        paths: Paths,
        *,
        timeout_seconds: float,
        segment_entries: int,
        on_roll: Callable[[], None],
        on_commit: Callable[[int, int, EntryNode, int], None],
    ) -> None:
        self._connection = connection
        self._log = change_log
        self._versions = versions
        self._paths = paths
        self._timeout_seconds = timeout_seconds
        self._segment_entries = segment_entries
        self._on_roll = on_roll
        self._on_commit = on_commit
        self._prefix = os.urandom(6).hex()
        self._numbers = itertools.count()

    async def create(self, key: str, value: bytes, guard: Guard | None) -> int:
        """See `Store.create`."""
        _check_size(value)
        over: Known | None = None

        async def look() -> None:
            nonlocal over
            over = await self._versions.read(key)
            if over is not None and not over.deleted:
                raise KeyExistsError(key)

        def plan(commit_id: str, blob: str) -> _Plan:
            data = encode_object(ObjectNode(value, 0, blob))
            path, version = self._paths.object(key), 0
            operation: Any = Create(path, data, self._connection.acl, 0)
            if over is not None:
                operation, version = SetData(path, data, over.version), over.version + 1
            entry = EntryNode(ChangeType.PUT, key, 0, version, commit_id, value, blob)
            return _Plan(operation, entry, look)

        return await self._commit(plan, guard, value)

    async def update(self, key: str, value: bytes, revision: int, guard: Guard | None) -> int:
        """See `Store.update`."""
        _check_size(value)
        known = await self._expect(key, revision, self._versions.recall(key, revision))

        async def look() -> None:
            nonlocal known
            known = await self._expect(key, revision, None)

        def plan(commit_id: str, blob: str) -> _Plan:
            created = known.create_revision
            data = encode_object(ObjectNode(value, created, blob))
            operation = SetData(self._paths.object(key), data, known.version)
            entry = EntryNode(
                ChangeType.PUT, key, created, known.version + 1, commit_id, value, blob, previous=known.blob
            )
            return _Plan(operation, entry, look)

        return await self._commit(plan, guard, value)

    async def delete(self, key: str, revision: int, guard: Guard | None) -> int:
        """See `Store.delete`. The last value goes into the entry; a tombstone stays until the entry is trimmed."""
        known = await self._expect(key, revision, None)

        async def look() -> None:
            nonlocal known
            known = await self._expect(key, revision, None)

        def plan(commit_id: str, _blob: str) -> _Plan:
            operation = SetData(self._paths.object(key), encode_object(ObjectNode(deleted=True)), known.version)
            entry = EntryNode(
                ChangeType.DELETE, key, known.create_revision, known.version + 1, commit_id, known.value, known.blob
            )
            return _Plan(operation, entry, look)

        return await self._commit(plan, guard, b"")

    async def _expect(self, key: str, revision: int, recalled: Known | None) -> Known:
        known = recalled or await self._versions.read(key)
        if known is None or known.deleted or known.revision != revision:
            at = None if known is None or known.deleted else known.revision
            raise RevisionMismatchError(f"{key} is at revision {at}, not {revision}")
        return known

    async def _commit(self, plan: Callable[[str, str], _Plan], guard: Guard | None, value: bytes) -> int:
        state = _Doubt()
        try:
            async with asyncio.timeout(self._timeout_seconds):
                revision = None
                while revision is None:
                    revision = await self._try(plan, guard, value, state)
                return revision
        except TimeoutError:
            problem = f"ZooKeeper did not answer within {self._timeout_seconds:g} s"
            if state.in_doubt:
                raise UnknownOutcomeError(f"{problem}; the write may have happened") from None
            raise StoreUnavailableError(problem) from None

    async def _try(
        self, plan: Callable[[str, str], _Plan], guard: Guard | None, value: bytes, state: _Doubt
    ) -> int | None:
        """Make one attempt, settled if need be. None: it certainly did not happen and is worth another."""
        commit_id = f"{self._prefix}-{next(self._numbers)}"
        blob = await self._store_blob(commit_id, value)
        segment, start = self._log.current, self._log.newest_sequence + 1
        state.in_doubt = True
        try:
            revision = await self._attempt(plan(commit_id, blob), guard)
        except AnswerLostError:
            await self._connection.wait_connected()
            revision = await self._settle(commit_id, segment, start)
        except (KeyExistsError, RevisionMismatchError, GuardError):
            await self._drop_blob(blob)
            raise
        state.in_doubt = False
        if revision is None:
            await self._drop_blob(blob)
        return revision

    async def _settle(self, commit_id: str, segment: int, start: int) -> int | None:
        """Look for our own change entry until the question is answered; the commit's deadline ends it."""
        while True:
            try:
                return await self._log.settle(commit_id, segment, start)
            except StoreUnavailableError as error:
                log.info("zookeeper_commit_in_doubt", reason=str(error))
                await asyncio.sleep(0.05)
                await self._connection.wait_connected()

    async def _attempt(self, plan: _Plan, guard: Guard | None) -> int | None:
        """Send one multi(). None: it certainly did not happen, and the reason has been dealt with: try again."""
        segment, check = self._log.check()
        operations: list[Any] = [check]
        if guard is not None:
            operations.append(await self._guard_check(guard))
        operations.append(plan.operation)
        path = f"{self._paths.segment(segment)}/"
        operations.append(Create(path, encode_entry(plan.entry), self._connection.acl, SEQUENTIAL))
        answer = await self._connection.send(Transaction(operations))
        results = answer.get()
        for index, result in enumerate(results):
            if isinstance(result, Exception) and not isinstance(result, RolledBackError | RuntimeInconsistency):
                await self._refused(operations[index], result, segment, plan, guard)
                return None
        await self._committed(plan.entry, answer.zxid, segment, int(results[-1].rpartition("/")[2]))
        return answer.zxid

    async def _guard_check(self, guard: Guard) -> CheckVersion:
        known = self._versions.recall(guard.key, guard.revision) or await self._versions.read(guard.key)
        if known is None or known.deleted or known.revision != guard.revision:
            raise GuardError(f"{guard.key} is no longer at revision {guard.revision}")
        return CheckVersion(self._paths.object(guard.key), known.version)

    async def _refused(
        self, operation: Any, error: Exception, segment: int, plan: _Plan, guard: Guard | None
    ) -> None:
        """Deal with the operation of a multi() that failed it; raise when that is the caller's answer."""
        if not isinstance(error, BadVersionError | NoNodeError | NodeExistsError):
            raise StoreUnavailableError(f"ZooKeeper refuses the commit: {type(error).__name__}") from error
        if operation is plan.operation:
            self._versions.forget(plan.entry.key)
            await plan.retry()
        elif guard is not None and operation.path == self._paths.object(guard.key):
            self._versions.forget(guard.key)
        else:
            await self._log.advance(segment)

    async def _committed(self, entry: EntryNode, revision: int, segment: int, sequence: int) -> None:
        self._log.note_entry(segment, sequence)
        self._versions.note_entry(entry, revision, segment)
        self._on_commit(segment, sequence, entry, revision)
        full = sequence - self._segment_entries + 1
        if full >= 0 and full % SEAL_AGAIN == 0:
            try:
                await self._log.seal(segment)
            except StoreUnavailableError as error:
                log.info("zookeeper_segment_not_sealed", segment=segment, reason=str(error))
            self._on_roll()

    async def _store_blob(self, commit_id: str, value: bytes) -> str:
        if len(value) <= INLINE_BYTES:
            return ""
        await self._connection.call(Create(self._paths.blob(commit_id), value, self._connection.acl, 0))
        return commit_id

    async def _drop_blob(self, blob: str) -> None:
        if blob:
            await self._connection.answers([Delete(self._paths.blob(blob), -1)])


def _check_size(value: bytes) -> None:
    if len(value) > MAX_VALUE_BYTES:
        raise TooLargeError(f"a value of {len(value)} bytes exceeds the store's limit of {MAX_VALUE_BYTES}")
