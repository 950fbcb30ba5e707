"""Which znode version an object has at which revision: ZooKeeper compares versions, our callers revisions."""

from collections import OrderedDict
from dataclasses import dataclass

from kazoo.exceptions import NoNodeError
from kazoo.protocol.serialization import GetData, Sync

from windlass.errors import StoreUnavailableError
from windlass.store.interface import ChangeType
from windlass.store.zookeeper.changelog import ChangeLog
from windlass.store.zookeeper.connection import Connection
from windlass.store.zookeeper.layout import EntryNode, MalformedZnodeError, Paths, decode_object

REMEMBERED = 100_000


@dataclass(frozen=True, slots=True)
class Known:
    """An object's znode as it was read, or as an entry told. `value` only when it was read, and inline."""

    revision: int
    version: int
    create_revision: int
    segment: int
    blob: str = ""
    deleted: bool = False
    value: bytes = b""


class Versions:
    """Remembers versions from reads, own commits and followed entries, so that most updates need no read first.

    A remembered version is trusted while the log is in the same segment or the next: a tombstone outlives that span, so
    no other object can have come to the same version under the same name (see the package's docstring).
    """

    def __init__(self, connection: Connection, change_log: ChangeLog, paths: Paths) -> None:
        self._connection = connection
        self._log = change_log
        self._paths = paths
        self._known: OrderedDict[str, Known] = OrderedDict()

    def recall(self, key: str, revision: int) -> Known | None:
        """Return what is remembered of a key at a revision."""
        known = self._known.get(key)
        if known is None or known.revision != revision or known.segment + 1 < self._log.current:
            return None
        return known

    async def read(self, key: str) -> Known | None:
        """Read an object's znode, linearizably; None when there is none. Raises StoreUnavailableError if not ours."""
        segment = self._log.current
        path = self._paths.object(key)
        _, answer = await self._connection.answers([Sync(path), GetData(path, None)])
        if isinstance(answer.error, NoNodeError):
            return None
        data, stat = answer.get()
        try:
            node = decode_object(data)
        except MalformedZnodeError as error:
            raise StoreUnavailableError(f"{key}: its znode holds what this store did not write: {error}") from error
        known = Known(
            stat.mzxid, stat.version, node.create_revision or stat.mzxid, segment, node.blob, node.deleted, node.value
        )
        if not node.deleted:
            self._remember(key, known)
        return known

    def note_entry(self, entry: EntryNode, revision: int, segment: int) -> None:
        """Learn from a change entry."""
        known = self._known.get(entry.key)
        if known is not None and known.revision >= revision:
            return
        if entry.type is ChangeType.DELETE:
            self.forget(entry.key)
            return
        created = entry.create_revision or revision
        self._remember(entry.key, Known(revision, entry.version, created, segment, entry.blob))

    def forget(self, key: str) -> None:
        """Drop what turned out to be stale."""
        self._known.pop(key, None)

    def _remember(self, key: str, known: Known) -> None:
        self._known[key] = Known(
            known.revision, known.version, known.create_revision, known.segment, known.blob
        )
        self._known.move_to_end(key)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
