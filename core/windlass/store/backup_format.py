"""The file of a backup: a header line, records, a trailer with counts and a checksum; all of it gzipped.

    {"format":"windlass-backup","version":1,"made":"2026-01-01T12:00:00Z"}
    {"t":"O","k":"core/pods/default/web","r":17,"n":812}        an object as it was listed, and its 812 bytes
    {"t":"P","k":"core/pods/default/web","r":19,"n":830}        written while the listing went on
    {"t":"D","k":"core/pods/default/old","r":20,"n":0}          deleted meanwhile
    {"t":"E","objects":1,"changes":2,"revision":20,"sha256":"..."}

Objects come first, each once; changes after them, in order: who applies all of it has the store as it was at `revision`.
Reading and writing are streamed: one record is in memory at a time.
"""

import gzip
import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, NamedTuple

import orjson

from windlass.errors import BackupError
from windlass.store.interface import MAX_VALUE_BYTES

FORMAT, VERSION = "windlass-backup", 1
OBJECT, PUT, DELETE, END = "O", "P", "D", "E"
MAX_LINE_BYTES = 64 << 10
COMPRESSION = 3


class Record(NamedTuple):
    """One object or change. `value` is empty for a deletion."""

    type: str
    key: str
    value: bytes
    revision: int


@dataclass(frozen=True, slots=True)
class Summary:
    """What a whole backup says of itself."""

    made: str
    objects: int
    changes: int
    revision: int


class BackupWriter:
    """Writes a backup into a binary file. Nothing is whole before `end`."""

    def __init__(self, file: IO[bytes], made: str) -> None:
        self._made = made
        self._gzip = gzip.GzipFile(fileobj=file, mode="wb", compresslevel=COMPRESSION, mtime=0)
        self._sha = hashlib.sha256()
        self._objects = self._changes = 0
        self._line({"format": FORMAT, "version": VERSION, "made": made})

    def write(self, record: Record) -> None:
        """Append a record."""
        self._line({"t": record.type, "k": record.key, "r": record.revision, "n": len(record.value)})
        self._put(record.value + b"\n")
        if record.type == OBJECT:
            self._objects += 1
        else:
            self._changes += 1

    def end(self, revision: int) -> Summary:
        """Append the trailer and finish the compression; the file itself stays open."""
        counts = {"objects": self._objects, "changes": self._changes, "revision": revision}
        self._line({"t": END, **counts, "sha256": self._sha.hexdigest()})
        self._gzip.close()
        return Summary(self._made, self._objects, self._changes, revision)

    def abandon(self) -> None:
        """Write nothing more: what is in the file is no backup."""
        self._gzip.close()

    def _line(self, fields: dict[str, Any]) -> None:
        self._put(orjson.dumps(fields) + b"\n")

    def _put(self, data: bytes) -> None:
        self._sha.update(data)
        self._gzip.write(data)


class BackupReader:
    """Reads a backup. Iterate once; `summary` is there when the iteration has ended without BackupError."""

    def __init__(self, file: IO[bytes]) -> None:
        self._gzip = gzip.GzipFile(fileobj=file, mode="rb")
        self._sha = hashlib.sha256()
        self.summary: Summary | None = None

    def __iter__(self) -> Iterator[Record]:
        """Yield the records. Raises BackupError for whatever is not a whole, unbroken backup of a version we know."""
        try:
            yield from self._records()
        except (OSError, EOFError, zlib.error) as error:
            raise BackupError(f"the file is no backup, or is cut or damaged: {error}") from error
        except (KeyError, TypeError, ValueError) as error:
            raise BackupError(f"the backup is damaged: {error!r}") from error

    def _records(self) -> Iterator[Record]:
        header = self._header()
        objects = changes = 0
        while True:
            digest = self._sha.hexdigest()
            fields = self._line()
            if fields["t"] == END:
                self._finish(header, fields, (objects, changes, digest))
                return
            yield self._record(fields)
            objects += fields["t"] == OBJECT
            changes += fields["t"] != OBJECT

    def _header(self) -> dict[str, Any]:
        header = self._line()
        if header.get("format") != FORMAT:
            raise BackupError("the file is no backup of a Windlass store")
        if header.get("version") != VERSION:
            raise BackupError(f"the backup has version {header.get('version')}; this Windlass reads version {VERSION}")
        return header

    def _record(self, fields: dict[str, Any]) -> Record:
        size = int(fields["n"])
        if fields["t"] not in (OBJECT, PUT, DELETE) or not 0 <= size <= MAX_VALUE_BYTES:
            raise BackupError(f"the backup is damaged: a record of type {fields['t']} and {size} bytes")
        data = self._gzip.read(size + 1)
        if len(data) != size + 1 or data[-1:] != b"\n":
            raise BackupError("the backup is cut")
        self._sha.update(data)
        return Record(fields["t"], str(fields["k"]), data[:-1], int(fields["r"]))

    def _finish(self, header: dict[str, Any], fields: dict[str, Any], found: tuple[int, int, str]) -> None:
        if (fields["objects"], fields["changes"], fields["sha256"]) != found:
            raise BackupError("the backup is damaged: its checksum does not fit")
        if self._gzip.read(1):
            raise BackupError("the backup is damaged: something follows its end")
        self.summary = Summary(str(header["made"]), found[0], found[1], int(fields["revision"]))

    def _line(self) -> dict[str, Any]:
        line = self._gzip.readline(MAX_LINE_BYTES)
        if not line.endswith(b"\n"):
            raise BackupError("the backup is cut")
        self._sha.update(line)
        fields = orjson.loads(line)
        if not isinstance(fields, dict):
            raise BackupError("the backup is damaged: a line is no object")
        return fields
