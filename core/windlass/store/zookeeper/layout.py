"""Names and contents of znodes. Pure."""

import hashlib
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

import orjson

from windlass.store.interface import ChangeType

SHARDS = tuple(f"{number:02x}" for number in range(256))
"""A million objects make 4,000 names a shard: a `getChildren` reply of 250 kB, well under 1 MiB."""

INLINE_BYTES = 400 << 10
"""A larger value goes to a blob: a commit carries its value twice, and a request ends at 1 MiB."""


class MalformedZnodeError(ValueError):
    """A znode holds what this store did not write."""


@dataclass(frozen=True, slots=True)
class Paths:
    """Where everything is, under one root."""

    root: str

    @property
    def objects(self) -> str:
        """Parent of the shards."""
        return f"{self.root}/objects"

    @property
    def log(self) -> str:
        """Parent of the segments."""
        return f"{self.root}/log"

    @property
    def blobs(self) -> str:
        """Parent of large values."""
        return f"{self.root}/blobs"

    def shard(self, shard: str) -> str:
        """Parent of a shard's objects."""
        return f"{self.root}/objects/{shard}"

    def object(self, key: str) -> str:
        """Return an object's znode."""
        return f"{self.root}/objects/{shard_of(key)}/{encode_name(key)}"

    def segment(self, segment: int) -> str:
        """Return a log segment's znode."""
        return f"{self.root}/log/{segment:010d}"

    def entry(self, segment: int, sequence: int) -> str:
        """Return a change entry's znode."""
        return f"{self.root}/log/{segment:010d}/{sequence:010d}"

    def blob(self, blob: str) -> str:
        """Return a large value's znode."""
        return f"{self.root}/blobs/{blob}"


def encode_offset(offset: int) -> bytes:
    """Write what revisions have above zxids; it is the content of the objects' parent."""
    return orjson.dumps({"offset": offset})


def decode_offset(data: bytes) -> int:
    """Read it; a tree into which nothing was restored says nothing. Raises MalformedZnodeError."""
    try:
        return int(orjson.loads(data)["offset"]) if data else 0
    except (KeyError, TypeError, ValueError) as error:
        raise MalformedZnodeError(f"offset of revisions: {error}") from error


def shard_of(key: str) -> str:
    """Spread keys evenly, the same way for ever."""
    return hashlib.blake2b(key.encode(), digest_size=1).hexdigest()


def encode_name(key: str) -> str:
    """Make one path component of a key, whatever characters it has."""
    name = quote(key, safe="")
    return name.replace(".", "%2E") if name in {".", ".."} else name


def decode_name(name: str) -> str:
    """Undo `encode_name`. Raises MalformedZnodeError for a name that it does not produce."""
    key = unquote(name)
    if encode_name(key) != name:
        raise MalformedZnodeError(f"name {name!r} is not ours")
    return key


class ObjectNode(NamedTuple):
    """What an object's znode says. `create_revision` 0: this very write created it. `blob`: where the value is."""

    value: bytes = b""
    create_revision: int = 0
    blob: str = ""
    deleted: bool = False


def encode_object(node: ObjectNode) -> bytes:
    """Write an object's znode."""
    if node.deleted:
        return b'{"d":1}\n'
    header: dict[str, object] = {"c": node.create_revision}
    if node.blob:
        header["b"] = node.blob
    return orjson.dumps(header) + b"\n" + (b"" if node.blob else node.value)


def decode_object(data: bytes) -> ObjectNode:
    """Read an object's znode. Raises MalformedZnodeError."""
    header, value = _split(data)
    create_revision, blob = header.get("c", 0), header.get("b", "")
    if not isinstance(create_revision, int) or not isinstance(blob, str) or not ("c" in header or "d" in header):
        raise MalformedZnodeError("header has no creation")
    return ObjectNode(value, create_revision, blob, "d" in header)


class EntryNode(NamedTuple):
    """What a change entry says. `version`: the object's znode version after it. `previous`: a blob it made needless."""

    type: ChangeType
    key: str
    create_revision: int
    version: int
    commit_id: str
    value: bytes = b""
    blob: str = ""
    previous: str = ""


def encode_entry(entry: EntryNode) -> bytes:
    """Write a change entry."""
    header: dict[str, object] = {
        "t": entry.type.value, "k": entry.key, "c": entry.create_revision, "v": entry.version, "i": entry.commit_id,
    }
    if entry.blob:
        header["b"] = entry.blob
    if entry.previous:
        header["p"] = entry.previous
    return orjson.dumps(header) + b"\n" + (b"" if entry.blob else entry.value)


def decode_entry(data: bytes) -> EntryNode:
    """Read a change entry. Raises MalformedZnodeError."""
    header, value = _split(data)
    try:
        return EntryNode(
            ChangeType(header["t"]), str(header["k"]), int(header["c"]), int(header["v"]), str(header["i"]),
            value, str(header.get("b", "")), str(header.get("p", "")),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise MalformedZnodeError(f"entry header: {error}") from error


def _split(data: bytes) -> tuple[dict[str, Any], bytes]:
    end = data.find(b"\n")
    try:
        header = orjson.loads(data[:end]) if end > 0 else None
    except ValueError as error:
        raise MalformedZnodeError(f"header: {error}") from error
    if not isinstance(header, dict):
        raise MalformedZnodeError("no header line")
    return header, data[end + 1:]
