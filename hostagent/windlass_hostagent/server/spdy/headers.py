"""Name/value header blocks: zlib with the protocol's dictionary, one stream per direction and session.

Format and dictionary: the SPDY protocol, draft 3.1, section 2.6.10.
"""

import struct
import zlib
from collections.abc import Mapping

from windlass.errors import WindlassError

MAX_BLOCK_BYTES = 64 * 1024
MAX_PAIRS = 64
_WORDS = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow "
    "authorization cache-control connection content-base content-encoding content-language content-length "
    "content-location content-md5 content-range content-type date etag expect expires from host if-match "
    "if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma "
    "proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade "
    "user-agent vary via warning www-authenticate method get status"
)
_LATER_WORDS = ("200 OK", "version", "HTTP/1.1", "url", "public", "set-cookie", "keep-alive", "origin")
_TAIL = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden"
    "404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,"
    "text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)


def _prefixed(text: str) -> bytes:
    return struct.pack(">I", len(text)) + text.encode("ascii")


DICTIONARY = b"".join(map(_prefixed, (*_WORDS.split(), *_LATER_WORDS))) + _TAIL.encode("ascii")


class HeaderBlockError(WindlassError):
    """A header block cannot be read; the session's compression state is lost with it."""


class HeaderWriter:
    """Packs header blocks of one direction."""

    def __init__(self) -> None:
        self._packer = zlib.compressobj(zdict=DICTIONARY)

    def pack(self, headers: Mapping[str, str]) -> bytes:
        """Return a block. Names become lower-case."""
        plain = struct.pack(">I", len(headers))
        for name, value in headers.items():
            plain += _prefixed(name.lower()) + struct.pack(">I", len(value.encode())) + value.encode()
        return self._packer.compress(plain) + self._packer.flush(zlib.Z_SYNC_FLUSH)


class HeaderReader:
    """Unpacks header blocks of one direction, bounded in size and count."""

    def __init__(self) -> None:
        self._unpacker = zlib.decompressobj(zdict=DICTIONARY)

    def unpack(self, block: bytes) -> dict[str, str]:
        """Return the headers, lower-case names. Raises HeaderBlockError."""
        try:
            plain = self._unpacker.decompress(block, MAX_BLOCK_BYTES)
        except zlib.error as error:
            raise HeaderBlockError(f"the header block cannot be unpacked: {error}") from error
        if self._unpacker.unconsumed_tail:
            raise HeaderBlockError(f"the header block is larger than {MAX_BLOCK_BYTES} bytes")
        return _parse(plain)


def _parse(plain: bytes) -> dict[str, str]:
    try:
        (count,) = struct.unpack_from(">I", plain)
        if count > MAX_PAIRS:
            raise HeaderBlockError(f"the header block has more than {MAX_PAIRS} headers")
        headers, at = {}, 4
        for _ in range(count):
            name, at = _text(plain, at)
            value, at = _text(plain, at)
            if name in headers:
                raise HeaderBlockError(f"the header {name!r} is there twice")
            headers[name] = value
    except (struct.error, UnicodeDecodeError) as error:
        raise HeaderBlockError(f"the header block cannot be read: {error}") from error
    return headers


def _text(plain: bytes, at: int) -> tuple[str, int]:
    (length,) = struct.unpack_from(">I", plain, at)
    end = at + 4 + length
    if end > len(plain):
        raise HeaderBlockError("the header block is cut short")
    return plain[at + 4 : end].decode("utf-8"), end
