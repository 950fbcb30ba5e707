"""One commit: build the multi, read its outcome, and settle it when the answer is lost."""

import uuid
from typing import Any, NamedTuple

from kazoo.exceptions import BadVersionError, KazooException, NodeExistsError, NoNodeError, RolledBackError

from windlass.errors import (
    GuardError,
    KeyExistsError,
    RevisionMismatchError,
    StoreUnavailableError,
    UnknownOutcomeError,
)
from windlass.store.interface import ChangeType, Guard
from windlass.store.zookeeper.entry import Entry, Version, decode
from windlass.store.zookeeper.log import SEGMENT_ENTRIES, ChangeLog, Position
from windlass.store.zookeeper.paths import ENTRY_PREFIX, object_path, segment_path, sequence_of
from windlass.store.zookeeper.session import CALL_SECONDS, LOST, Session

ATTEMPTS = 64


class Operation(NamedTuple):
    """A change to commit. `current` is None for a create."""

    type: ChangeType
    key: str
    value: bytes
    current: Version | None
    guard: tuple[Guard, int] | None
    """The guard and the version of its znode."""


class SegmentSealedError(Exception):
    """The multi met a sealed segment: find the next one and try again. Nothing was written."""


class Committer:
    """Commits operations through one session."""

    def __init__(self, session: Session, changes: ChangeLog) -> None:
        self._session = session
        self._log = changes

    async def commit(self, operation: Operation) -> Version:
        """Commit and return where the object stands now (its last place, for a deletion)."""
        for _ in range(ATTEMPTS):
            try:
                return await self._attempt(operation)
            except SegmentSealedError:
                await self._log.refresh()
        raise StoreUnavailableError("the log moved on too often during one commit; nothing was written")

    async def _attempt(self, operation: Operation) -> Version:
        segment, commit_id = self._log.segment, uuid.uuid4().hex
        transaction = self._session.raw.transaction()
        transaction.check(segment_path(segment), self._log.version)
        if operation.guard is not None:
            transaction.check(object_path(operation.guard[0].key), operation.guard[1])
        _add_object_operation(transaction, operation)
        transaction.create(f"{segment_path(segment)}/{ENTRY_PREFIX}", _entry(operation, commit_id), sequence=True)
        try:
            results = await self._session.call(lambda _zk: transaction.commit_async())
        except LOST as error:
            return await self._settle(operation, Position(segment, 0), commit_id, error)
        _raise_failure(results, operation)
        if sequence_of(results[-1]) >= SEGMENT_ENTRIES - 1:
            await self._log.seal(segment)
        stat = next(result for result in results if hasattr(result, "mzxid"))
        return _version_after(operation, stat.mzxid)

    async def _settle(self, operation: Operation, since: Position, commit_id: str, lost: Exception) -> Version:
        """Find out whether a commit happened, by looking for its own entry behind a sync on a live session.

        A request that the old connection still had under way cannot happen after that: ZooKeeper refuses it when the
        session has moved.
        """
        try:
            await self._session.wait_connected(CALL_SECONDS)
            end, _ = await self._log.tail()
            async for raw in self._log.follow(since):
                if raw is None or raw.position >= end:
                    break
                entry = decode(raw.data)
                if entry is not None and entry.commit_id == commit_id:
                    return _version_after(operation, raw.revision)
        except (StoreUnavailableError, *LOST) as error:
            raise UnknownOutcomeError(f"{operation.key}: the answer to the commit was lost and cannot be found out now") from error
        raise StoreUnavailableError(f"ZooKeeper was lost before the commit of {operation.key}; nothing was written") from lost


def _entry(operation: Operation, commit_id: str) -> bytes:
    version = _version_after(operation, 0)
    return Entry(operation.type, operation.key, operation.value, version.version, version.create_revision, commit_id).encode()


def _version_after(operation: Operation, revision: int) -> Version:
    """Return where the object stands after the commit. A create is create + set, hence version 1."""
    if operation.current is None:
        return Version(revision, 1, revision)
    return Version(revision, operation.current.version + 1, operation.current.create_revision)


def _add_object_operation(transaction: Any, operation: Operation) -> None:
    path = object_path(operation.key)
    if operation.current is None:
        transaction.create(path, b"")
        transaction.set_data(path, operation.value, version=0)
    elif operation.type is ChangeType.PUT:
        transaction.set_data(path, operation.value, version=operation.current.version)
    else:
        transaction.set_data(path, b"", version=operation.current.version)
        transaction.delete(path, version=operation.current.version + 1)


def _raise_failure(results: list[Any], operation: Operation) -> None:
    for index, result in enumerate(results):
        if not isinstance(result, Exception) or isinstance(result, RolledBackError):
            continue
        if index == 0:
            raise SegmentSealedError
        if index == 1 and operation.guard is not None:
            raise GuardError(f"{operation.guard[0].key} is no longer at revision {operation.guard[0].revision}")
        if isinstance(result, NodeExistsError):
            raise KeyExistsError(operation.key)
        if isinstance(result, BadVersionError | NoNodeError):
            raise RevisionMismatchError(f"{operation.key} has changed")
        if isinstance(result, KazooException):
            raise StoreUnavailableError(f"ZooKeeper refused the commit of {operation.key}: {result!r}")
