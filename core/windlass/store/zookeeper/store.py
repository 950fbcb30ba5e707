"""The ZooKeeper implementation of `Store`."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

from kazoo.exceptions import NodeExistsError, NoNodeError

from windlass.errors import (
    GuardError,
    RevisionMismatchError,
    StoreUnavailableError,
    TooLargeError,
)
from windlass.logs import get_logger
from windlass.store.interface import MAX_VALUE_BYTES, Change, ChangeType, Guard, Page, Progress, Stored
from windlass.store.zookeeper.commit import Committer, Operation
from windlass.store.zookeeper.entry import Version, decode
from windlass.store.zookeeper.log import ChangeLog, RawEntry
from windlass.store.zookeeper.paths import LOG, OBJECTS, SHARDS, key_of, object_path, shard_path
from windlass.store.zookeeper.session import CALL_SECONDS, LOST, Session

SESSION_SECONDS = 6.0
READ_WINDOW = 256
LIST_SECONDS = 60.0
KEEP_ENTRIES = 50_000
log = get_logger(__name__)


class ZooKeeperStore:
    """A store in an ensemble. `hosts`: `host:port,.../chroot`; `credentials`: `user:password` of the digest scheme."""

    def __init__(self, hosts: str, credentials: str, session_seconds: float = SESSION_SECONDS) -> None:
        self._session = Session(hosts, credentials, session_seconds)
        self._log = ChangeLog(self._session)
        self._committer = Committer(self._session, self._log)
        self._versions: dict[str, Version] = {}
        self._started = False
        self.bad_entries: Counter[str] = Counter()

    async def start(self) -> None:
        """Connect and make the tree."""
        if self._started:
            return
        await self._session.start()
        await self._session.read(lambda zk: zk.ensure_path_async("/"))
        for path in (OBJECTS, LOG, *map(shard_path, range(SHARDS))):
            await self._make(path)
        await self._log.open()
        await self._log.trim(KEEP_ENTRIES)
        self._started = True

    async def close(self) -> None:
        """Disconnect."""
        if self._started:
            self._started = False
            await self._session.close()

    async def create(self, key: str, value: bytes, *, guard: Guard | None = None) -> int:
        """See `Store.create`."""
        operation = Operation(ChangeType.PUT, key, _checked(value), None, await self._guarded(guard))
        version = await self._committer.commit(operation)
        return self._know(key, version)

    async def update(self, key: str, value: bytes, *, revision: int, guard: Guard | None = None) -> int:
        """See `Store.update`."""
        current = await self._at(key, revision)
        operation = Operation(ChangeType.PUT, key, _checked(value), current, await self._guarded(guard))
        return self._know(key, await self._committer.commit(operation))

    async def delete(self, key: str, *, revision: int, guard: Guard | None = None) -> int:
        """See `Store.delete`."""
        stored = await self.get(key)
        if stored is None or stored.revision != revision:
            raise RevisionMismatchError(f"{key} is at revision {stored.revision if stored else None}, not {revision}")
        current = self._versions[key]
        operation = Operation(ChangeType.DELETE, key, stored.value, current, await self._guarded(guard))
        version = await self._committer.commit(operation)
        self._versions.pop(key, None)
        return version.revision

    async def get(self, key: str) -> Stored | None:
        """See `Store.get`. Behind a sync: another server's commit may be newer than what ours has."""
        sync = self._session.submit(lambda zk: zk.sync_async("/"))
        try:
            value, stat = await self._session.read(lambda zk: zk.get_async(object_path(key)))
            await asyncio.wait_for(sync, CALL_SECONDS)
        except NoNodeError:
            self._versions.pop(key, None)
            return None
        except (TimeoutError, *LOST) as error:
            raise StoreUnavailableError(f"ZooKeeper did not answer: {type(error).__name__}") from error
        self._know(key, Version(stat.mzxid, stat.version, stat.czxid))
        return Stored(key, value, stat.mzxid, stat.czxid)

    async def list(self, prefix: str, *, limit: int = 0, after: str = "") -> Page:
        """See `Store.list`. The revision is the log's tail from before the walk: all items are at least as new."""
        _, revision = await self._log.tail()
        keys = sorted(key for key in await self._keys() if key.startswith(prefix) and key > after)
        items: list[Stored] = []
        taken = 0
        while taken < len(keys) and not (limit and len(items) >= limit):
            window = keys[taken : taken + READ_WINDOW]
            if limit:
                window = window[: limit - len(items)]
            items += await self._get_many(window)
            taken += len(window)
        return Page(items, revision, taken < len(keys))

    async def watch(self, since: int) -> AsyncIterator[Change | Progress]:
        """See `Store.watch`."""
        position = await self._log.find(since)
        reached = since
        async with aclosing(self._log.follow(position)) as entries:
            async for raw in entries:
                if raw is None:
                    yield Progress(reached)
                elif raw.revision > since:
                    reached = raw.revision
                    change = self._change(raw)
                    yield Progress(reached) if change is None else change

    async def barrier(self) -> int:
        """See `Store.barrier`."""
        return (await self._log.tail())[1]

    async def compact(self, keep: int) -> None:
        """See `Store.compact`. Whole segments go, so somewhat more than `keep` stays."""
        if (await self._log.tail())[0].sequence:
            await self._log.seal(self._log.segment)
        await self._log.trim(keep)

    async def ping(self) -> None:
        """See `Store.ping`."""
        await self._session.read(lambda zk: zk.sync_async("/"))

    async def _make(self, path: str) -> None:
        try:
            await self._session.read(lambda zk: zk.create_async(path, b""))
        except NodeExistsError:
            log.debug("znode_is_there", path=path)

    def _know(self, key: str, version: Version) -> int:
        known = self._versions.get(key)
        if known is None or known.revision < version.revision:
            self._versions[key] = version
        return version.revision

    async def _at(self, key: str, revision: int) -> Version:
        """Return the znode version that stands for a revision, from memory or by looking."""
        known = self._versions.get(key)
        if known is not None and known.revision == revision:
            return known
        stat = await self._session.read(lambda zk: zk.exists_async(object_path(key)))
        if stat is None or stat.mzxid != revision:
            raise RevisionMismatchError(f"{key} is at revision {stat.mzxid if stat else None}, not {revision}")
        version = Version(stat.mzxid, stat.version, stat.czxid)
        self._know(key, version)
        return version

    async def _guarded(self, guard: Guard | None) -> tuple[Guard, int] | None:
        if guard is None:
            return None
        try:
            return guard, (await self._at(guard.key, guard.revision)).version
        except RevisionMismatchError:
            raise GuardError(f"{guard.key} is no longer at revision {guard.revision}") from None

    async def _keys(self) -> Sequence[str]:
        calls = [
            self._session.submit(lambda zk, s=shard: zk.get_children_async(shard_path(s))) for shard in range(SHARDS)
        ]
        names = await self._gather(calls)
        return [key_of(name) for children in names for name in children]

    async def _get_many(self, keys: Sequence[str]) -> Sequence[Stored]:
        calls = [self._session.submit(lambda zk, k=key: zk.get_async(object_path(k))) for key in keys]
        found = []
        for key, answer in zip(keys, await self._gather(calls), strict=True):
            if answer is not None:
                value, stat = answer
                self._know(key, Version(stat.mzxid, stat.version, stat.czxid))
                found.append(Stored(key, value, stat.mzxid, stat.czxid))
        return found

    async def _gather(self, calls: "Sequence[asyncio.Future[object]]") -> Sequence[object]:
        """Wait for pipelined reads; a node that has gone is None."""
        try:
            async with asyncio.timeout(LIST_SECONDS):
                answers = await asyncio.gather(*calls, return_exceptions=True)
        except TimeoutError:
            raise StoreUnavailableError(f"ZooKeeper did not answer {len(calls)} reads in time") from None
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, NoNodeError):
                raise StoreUnavailableError(f"ZooKeeper did not answer: {type(answer).__name__}") from answer
        return [None if isinstance(answer, BaseException) else answer for answer in answers]

    def _change(self, raw: RawEntry) -> Change | None:
        """Decode an entry; one that somebody damaged is counted, named in the log, and passed over."""
        try:
            entry = decode(raw.data)
        except ValueError as error:
            self.bad_entries[str(raw.position)] += 1
            log.warning("bad_change_entry", position=tuple(raw.position), error=str(error))
            return None
        if entry is None:
            return None
        created = entry.create_revision or raw.revision
        if entry.type is ChangeType.DELETE:
            self._versions.pop(entry.key, None)
        else:
            self._know(entry.key, Version(raw.revision, entry.version, created))
        return Change(entry.type, entry.key, entry.value, raw.revision, created)


def _checked(value: bytes) -> bytes:
    if len(value) > MAX_VALUE_BYTES // 2:
        # Object and change entry travel in one request, which ZooKeeper bounds at 1 MiB.
        raise TooLargeError(f"a value of {len(value)} bytes exceeds this store's limit of {MAX_VALUE_BYTES // 2}")
    return value


