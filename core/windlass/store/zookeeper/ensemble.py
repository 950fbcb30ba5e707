"""The ZooKeeper implementation of `Store`: puts the parts together."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace

from kazoo.exceptions import KazooException, NodeExistsError
from kazoo.protocol.serialization import Create, Exists, GetData, SetData, Sync

from windlass.errors import StoreUnavailableError
from windlass.logs import get_logger
from windlass.store.interface import Change, Guard, Page, Progress, Stored
from windlass.store.zookeeper.changelog import ChangeLog
from windlass.store.zookeeper.commits import Committer
from windlass.store.zookeeper.connection import Connection
from windlass.store.zookeeper.follower import Follower
from windlass.store.zookeeper.layout import SHARDS, EntryNode, MalformedZnodeError, Paths, decode_offset, encode_offset
from windlass.store.zookeeper.listing import Lister
from windlass.store.zookeeper.settings import ZooKeeperSettings
from windlass.store.zookeeper.trimming import Trimmer
from windlass.store.zookeeper.versions import Versions

DEFAULT_ROOT = "windlass"
log = get_logger(__name__)


class _Parts:
    """What lives as long as one opening of the store."""

    def __init__(self, hosts: str, root: str, credentials: str, settings: ZooKeeperSettings) -> None:
        paths = Paths(root)
        self.paths = paths
        self.connection = Connection(hosts, credentials, settings)
        self.log = ChangeLog(self.connection, paths)
        self.versions = Versions(self.connection, self.log, paths)
        self.lister = Lister(self.connection, self.log, paths)
        self.trimmer = Trimmer(self.connection, self.log, paths)
        self.rolled = asyncio.Event()
        self.followers: set[Follower] = set()
        self.malformed_entries = 0
        self.committer = Committer(
            self.connection, self.log, self.versions, paths,
            timeout_seconds=settings.commit_timeout_seconds, segment_entries=settings.segment_entries,
            on_roll=self.rolled.set, on_commit=self.offer,
        )

    def offer(self, segment: int, sequence: int, entry: EntryNode, revision: int) -> None:
        """Spare the followers to read back what this process has just written."""
        for follower in self.followers:
            follower.offer(segment, sequence, entry, revision)


class ZooKeeperStore:
    """A store in an ensemble. Calls fail at once with StoreUnavailableError while the session is suspended.

    `hosts`: `host:port,.../root`. `credentials`: `user:password` of the digest scheme, the owner of every znode;
    '' leaves the tree open to everybody.
    """

    def __init__(
        self,
        hosts: str,
        credentials: str,
        session_seconds: float | None = None,
        settings: ZooKeeperSettings | None = None,
    ) -> None:
        servers, _, root = hosts.partition("/")
        self._hosts, self._root, self._credentials = servers, f"/{root.strip('/') or DEFAULT_ROOT}", credentials
        self._settings = settings or ZooKeeperSettings()
        if session_seconds is not None:
            self._settings = replace(self._settings, session_timeout_seconds=session_seconds)
        self._parts: _Parts | None = None
        self._housekeeping: asyncio.Task[None] | None = None

    @property
    def known_revision(self) -> int | None:
        """See `Store.known_revision`: other servers commit to the ensemble, too."""
        return None

    async def start(self) -> None:
        """Connect and make the tree. Raises StoreUnavailableError."""
        if self._parts is not None:
            return
        parts = _Parts(self._hosts, self._root, self._credentials, self._settings)
        await parts.connection.open()
        try:
            await self._make_tree(parts)
            data, _ = await parts.connection.call(GetData(parts.paths.objects, None))
            parts.connection.offset = decode_offset(data)
            await parts.log.open()
        except (StoreUnavailableError, KazooException):
            await parts.connection.close()
            raise
        except MalformedZnodeError as error:
            await parts.connection.close()
            raise StoreUnavailableError(f"{parts.paths.objects}: {error}") from error
        if not self._credentials:
            log.warning("zookeeper_without_credentials", hint="anybody who reaches the ensemble can read and write")
        self._parts = parts
        self._housekeeping = asyncio.create_task(self._trim_when_rolled(parts))

    async def close(self) -> None:
        """End watches and the session."""
        parts, self._parts = self._parts, None
        if parts is None:
            return
        if self._housekeeping is not None:
            self._housekeeping.cancel()
            await asyncio.wait((self._housekeeping,))
        for follower in parts.followers:
            follower.stop()
        await parts.connection.close()

    async def create(self, key: str, value: bytes, *, guard: Guard | None = None) -> int:
        """See `Store.create`."""
        return await self._open().committer.create(key, value, guard)

    async def update(self, key: str, value: bytes, *, revision: int, guard: Guard | None = None) -> int:
        """See `Store.update`."""
        return await self._open().committer.update(key, value, revision, guard)

    async def delete(self, key: str, *, revision: int, guard: Guard | None = None) -> int:
        """See `Store.delete`."""
        return await self._open().committer.delete(key, revision, guard)

    async def get(self, key: str) -> Stored | None:
        """See `Store.get`."""
        parts = self._open()
        path = parts.paths.object(key)
        _, answer = await parts.connection.answers([Sync(path), GetData(path, None)])
        return await parts.lister.read(key, answer)

    async def list(self, prefix: str, *, limit: int = 0, after: str = "") -> Page:
        """See `Store.list`."""
        return await self._open().lister.page(prefix, limit, after)

    async def watch(self, since: int) -> AsyncIterator[Change | Progress]:
        """See `Store.watch`."""
        parts = self._open()
        follower = Follower(parts.connection, parts.log, parts.paths, parts.versions.note_entry)
        parts.followers.add(follower)
        try:
            async with aclosing(follower.follow(since)) as items:
                async for item in items:
                    yield item
        finally:
            parts.followers.discard(follower)
            parts.malformed_entries += follower.malformed

    async def barrier(self) -> int:
        """See `Store.barrier`."""
        parts = self._open()
        revision = await parts.log.barrier()
        for follower in parts.followers:
            follower.expect(revision)
        return revision

    async def compact(self, keep: int) -> None:
        """Drop whole log segments, as many as leave at least `keep` changes and the two newest segments."""
        await self._open().trimmer.trim(keep)

    async def advance(self, revision: int) -> None:
        """See `Store.advance`: zxids are ZooKeeper's own, so what is raised is what revisions have above them."""
        parts = self._open()
        missing = revision - await parts.log.barrier()
        if missing <= 0:
            return
        offset = parts.connection.offset + missing
        await parts.connection.call(SetData(parts.paths.objects, encode_offset(offset), -1))
        await self.close()  # what the parts remember has revisions of before
        await self.start()

    async def ping(self) -> None:
        """See `Store.ping`: a barrier goes through the leader."""
        await self._open().log.barrier()

    def statistics(self) -> dict[str, int]:
        """Return counts for metrics."""
        parts = self._open()
        entries = parts.malformed_entries + sum(follower.malformed for follower in parts.followers)
        return {"malformedObjects": parts.lister.malformed, "malformedEntries": entries, "segment": parts.log.current}

    def _open(self) -> _Parts:
        if self._parts is None:
            raise StoreUnavailableError("the ZooKeeper store is not open")
        return self._parts

    async def _make_tree(self, parts: _Parts) -> None:
        """Create what is missing. The first segment comes last: where it is, the rest is."""
        paths, connection = parts.paths, parts.connection
        if await connection.call(Exists(paths.segment(0), None)) is not None:
            return
        if await connection.call(Exists(paths.log, None)) is not None and await parts.log.segments():
            return
        names = paths.root.strip("/").split("/")
        nodes = ["/" + "/".join(names[:depth]) for depth in range(1, len(names) + 1)]
        nodes += [paths.objects, *map(paths.shard, SHARDS), paths.blobs, paths.log, paths.segment(0)]
        for answer in await connection.answers([Create(node, b"", connection.acl, 0) for node in nodes]):
            if not isinstance(answer.error, NodeExistsError):
                answer.get()

    async def _trim_when_rolled(self, parts: _Parts) -> None:
        while True:
            await parts.rolled.wait()
            parts.rolled.clear()
            try:
                await parts.trimmer.trim(self._settings.keep_changes)
            except (StoreUnavailableError, KazooException) as error:
                log.warning("zookeeper_log_not_trimmed", reason=str(error) or type(error).__name__)
