"""Reads objects by prefix: the names of all shards, then values in windows of pipelined reads."""

from collections import OrderedDict
from collections.abc import Sequence

from kazoo.exceptions import NoNodeError
from kazoo.protocol.serialization import GetChildren, GetData

from windlass.logs import get_logger
from windlass.store.interface import Page, Stored
from windlass.store.zookeeper.changelog import ChangeLog
from windlass.store.zookeeper.connection import Answer, Connection
from windlass.store.zookeeper.layout import SHARDS, MalformedZnodeError, Paths, decode_name, decode_object

WINDOW = 256
CONTINUATIONS = 8
log = get_logger(__name__)


class Lister:
    """Pages over the objects.

    The names are read once for a listing: the next page of the same listing goes on with the names that its first page
    found, and states the revision of that first page.
    """

    def __init__(self, connection: Connection, change_log: ChangeLog, paths: Paths) -> None:
        self._connection = connection
        self._log = change_log
        self._paths = paths
        self._continuations: OrderedDict[tuple[str, str], tuple[int, list[str]]] = OrderedDict()
        self.malformed = 0

    async def page(self, prefix: str, limit: int, after: str) -> Page:
        """See `Store.list`."""
        known = self._continuations.pop((prefix, after), None)
        revision, keys = known if known is not None else await self._names(prefix, after)
        items: list[Stored] = []
        position = 0
        while position < len(keys) and not (limit and len(items) >= limit):
            count = min(WINDOW, limit - len(items)) if limit else WINDOW
            window = keys[position:position + count]
            position += len(window)
            items += await self._read(window)
        rest = keys[position:]
        if rest and items:
            self._continuations[prefix, items[-1].key] = (revision, rest)
            while len(self._continuations) > CONTINUATIONS:
                self._continuations.popitem(last=False)
        return Page(items, revision, bool(rest))

    async def read(self, key: str, answer: Answer) -> Stored | None:
        """Turn the answer of a GetData into a stored object: None when absent, a tombstone, or not ours."""
        if isinstance(answer.error, NoNodeError):
            return None
        data, stat = answer.get()
        try:
            node = decode_object(data)
        except MalformedZnodeError as error:
            self._skip(key, error)
            return None
        if node.deleted:
            return None
        value = node.value
        if node.blob:
            try:
                value, _ = await self._connection.call(GetData(self._paths.blob(node.blob), None))
            except NoNodeError as error:
                self._skip(key, error)
                return None
        return Stored(key, value, stat.mzxid, node.create_revision or stat.mzxid)

    async def _names(self, prefix: str, after: str) -> tuple[int, list[str]]:
        revision = await self._log.barrier()
        answers = await self._connection.answers([GetChildren(self._paths.shard(shard), None) for shard in SHARDS])
        keys: list[str] = []
        for shard, answer in zip(SHARDS, answers, strict=True):
            for name in answer.get():
                try:
                    key = decode_name(name)
                except MalformedZnodeError as error:
                    self._skip(f"{shard}/{name}", error)
                    continue
                if key.startswith(prefix) and key > after:
                    keys.append(key)
        keys.sort()
        return revision, keys

    async def _read(self, keys: Sequence[str]) -> list[Stored]:
        answers = await self._connection.answers([GetData(self._paths.object(key), None) for key in keys])
        found = [await self.read(key, answer) for key, answer in zip(keys, answers, strict=True)]
        return [stored for stored in found if stored is not None]

    def _skip(self, key: str, error: Exception) -> None:
        self.malformed += 1
        log.warning("zookeeper_malformed_object", key=key, error=str(error) or type(error).__name__)
