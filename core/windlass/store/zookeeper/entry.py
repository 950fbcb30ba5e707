"""Change entries: a short JSON header, a newline, the value."""

from dataclasses import dataclass
from typing import NamedTuple

import orjson

from windlass.store.interface import ChangeType

SEAL = b'{"seal":true}\n'


@dataclass(frozen=True, slots=True)
class Entry:
    """What a commit writes into the log. `create_revision` 0 means the entry's own; `version` is the znode's after it."""

    type: ChangeType
    key: str
    value: bytes
    version: int
    create_revision: int
    commit_id: str

    def encode(self) -> bytes:
        """Return the znode's data."""
        header = {"t": self.type.value, "k": self.key, "v": self.version, "c": self.create_revision, "i": self.commit_id}
        return orjson.dumps(header) + b"\n" + self.value


def decode(data: bytes) -> Entry | None:
    """Read an entry; None for a SEAL. Raises ValueError for anything else that is no entry."""
    if data == SEAL:
        return None
    header, separator, value = data.partition(b"\n")
    if not separator:
        raise ValueError("a change entry without a header line")
    fields = orjson.loads(header)
    try:
        return Entry(ChangeType(fields["t"]), fields["k"], value, fields["v"], fields["c"], fields["i"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"a change entry without {error}") from error


class Version(NamedTuple):
    """Where an object's znode stands: its revision (mzxid), its version, and when it was made (czxid)."""

    revision: int
    version: int
    create_revision: int
