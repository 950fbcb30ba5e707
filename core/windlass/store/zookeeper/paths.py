"""Where things stand in the tree. Keys become single, escaped path segments: nothing in a name can leave our root."""

import zlib
from urllib.parse import quote, unquote

OBJECTS = "/objects"
LOG = "/log"
SHARDS = 256
"""Directories that objects fan out over, so that no `getChildren` reply nears 1 MiB."""
ENTRY_PREFIX = "c-"


def shard_path(shard: int) -> str:
    """Return the directory of a shard."""
    return f"{OBJECTS}/{shard:02x}"


def object_path(key: str) -> str:
    """Return the znode of a store key."""
    return f"{shard_path(zlib.crc32(key.encode()) % SHARDS)}/{quote(key, safe='')}"


def key_of(name: str) -> str:
    """Return the store key of a znode's name."""
    return unquote(name)


def segment_path(segment: int) -> str:
    """Return the znode of a log segment."""
    return f"{LOG}/{segment:010d}"


def entry_path(segment: int, sequence: int) -> str:
    """Return the znode of a change entry, as ZooKeeper numbers sequential nodes."""
    return f"{segment_path(segment)}/{ENTRY_PREFIX}{sequence:010d}"


def sequence_of(path: str) -> int:
    """Return the number of a change entry."""
    return int(path[-10:])
