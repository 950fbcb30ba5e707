"""Chunked lists: continue tokens, and the snapshots that keep a list consistent over its pages.

The store keeps no old versions, so the first page of a list that goes on keeps references to the rest of the (immutable)
cached objects for a while. A token whose snapshot has gone gets 410 with a fresh token, by which the list goes on from the
same key in the present, as Kubernetes does after a compaction.
"""

import base64
import binascii
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from windlass.clock import Clock
from windlass.errors import BadRequestError

if TYPE_CHECKING:
    from windlass.store.watchcache import CachedObject

SNAPSHOT_SECONDS = 300.0
MAX_SNAPSHOTS = 64
TOKEN_VERSION = "meta.k8s.io/v1"  # noqa: S105 - the format's name, not a secret
INCONSISTENT = -1
MAX_TOKEN_LENGTH = 4096
INVALID_CONTINUE = "continue key is not valid: it must be metadata.continue of the page before"


@dataclass(frozen=True, slots=True)
class Token:
    """Where a list goes on: after `start` (`namespace/name`), as of `revision` (-1: as of now)."""

    revision: int
    start: str

    def encode(self) -> str:
        """Return the opaque form."""
        raw = orjson.dumps({"v": TOKEN_VERSION, "rv": self.revision, "start": self.start})
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode_token(text: str) -> Token:
    """Read a token. Raises 400 for anything that we did not write."""
    try:
        padded = text[:MAX_TOKEN_LENGTH].encode("ascii") + b"=" * (-len(text) % 4)
        raw = orjson.loads(base64.urlsafe_b64decode(padded))
        version, token = raw["v"], Token(raw["rv"], raw["start"])
    except (binascii.Error, ValueError, KeyError, TypeError) as error:
        raise BadRequestError(INVALID_CONTINUE) from error
    if version != TOKEN_VERSION or type(token.revision) is not int or type(token.start) is not str:
        raise BadRequestError(INVALID_CONTINUE)
    return token


SnapshotKey = tuple[str, str, str, str, int]
"""Kind's storage prefix, namespace, label selector, field selector, revision."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A whole list, in order, as of a revision."""

    items: "Sequence[CachedObject]"
    keys: Sequence[str]
    expires: float


class Snapshots:
    """The lists that are being read page by page. Bounded in number and time; the oldest goes first."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._snapshots: OrderedDict[SnapshotKey, Snapshot] = OrderedDict()

    def keep(self, key: SnapshotKey, items: "Sequence[CachedObject]") -> Snapshot:
        """Keep a list for its later pages."""
        snapshot = Snapshot(items, [position(item) for item in items], self._clock.monotonic() + SNAPSHOT_SECONDS)
        self._snapshots[key] = snapshot
        self._snapshots.move_to_end(key)
        while len(self._snapshots) > MAX_SNAPSHOTS:
            self._snapshots.popitem(last=False)
        return snapshot

    def find(self, key: SnapshotKey) -> Snapshot | None:
        """Return the list as it was then, or None when it is no longer kept."""
        self.expire()
        return self._snapshots.get(key)

    def expire(self) -> None:
        """Drop what is too old. Called on every look-up, and by the server's ticker so that memory comes back."""
        now = self._clock.monotonic()
        for key in [key for key, snapshot in self._snapshots.items() if snapshot.expires <= now]:
            del self._snapshots[key]


def position(item: "CachedObject") -> str:
    """Return an object's place in the order of lists."""
    return f"{item.namespace}/{item.name}"
