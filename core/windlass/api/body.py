"""Read a request body: bounded while it streams in, unpacked within the same bound, parsed once."""

import zlib
from typing import Any

from windlass.api.negotiation import YAML_TYPES, check_readable, media_type_of
from windlass.api.request import ApiRequest
from windlass.apimachinery import protobuf
from windlass.apimachinery.jsonparse import parse_object
from windlass.apimachinery.yamlparse import parse_yaml
from windlass.errors import BadRequestError, TooLargeError, UnsupportedMediaTypeError
from windlass.registry.options import Body

GZIP_WINDOW = 31


async def read_bytes(request: ApiRequest, limit: int) -> bytes:
    """Return the body, unpacked. Raises 413 as soon as the bound is passed, 415 for unknown encodings, 400 when cut."""
    length = _content_length(request)
    if length is not None and length > limit:
        raise _too_large(limit)
    encoding = request.header(b"content-encoding").strip().lower()
    if encoding not in ("", "identity", "gzip"):
        raise UnsupportedMediaTypeError(f"Content-Encoding {encoding!r} is not supported: send gzip or plain")
    received = bytearray()
    if request.chunks is not None:
        async for chunk in request.chunks:
            received += chunk
            if len(received) > limit:
                raise _too_large(limit)
    if length is not None and len(received) != length:
        raise BadRequestError(f"the body has {len(received)} bytes, Content-Length says {length}")
    return _gunzip(bytes(received), limit) if encoding == "gzip" else bytes(received)


async def read_body(request: ApiRequest, limit: int) -> Body:
    """Return the parsed body of a request whose Content-Type is JSON, YAML or protobuf. Raises 400, 413, 415."""
    media_type = media_type_of(request.header(b"content-type"))
    check_readable(media_type)
    raw = await read_bytes(request, limit)
    if not raw.strip():
        raise BadRequestError("the request body is empty")
    return parse(raw, media_type)


async def read_optional(request: ApiRequest, limit: int) -> Any:
    """Return the parsed body, or None when there is none (DELETE)."""
    media_type = media_type_of(request.header(b"content-type"))
    raw = await read_bytes(request, limit)
    if not raw.strip():
        return None
    check_readable(media_type)
    return parse(raw, media_type).value


def parse(raw: bytes, media_type: str = "") -> Body:
    """Parse bytes of a media type, JSON by default. Raises 400 that names the place."""
    if media_type == protobuf.MEDIA_TYPE:
        return Body(protobuf.decode_object(raw), ())
    parsed = parse_yaml(raw) if media_type in YAML_TYPES else parse_object(raw)
    return Body(parsed.value, tuple(parsed.duplicates))


def _content_length(request: ApiRequest) -> int | None:
    text = request.header(b"content-length").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdecimal()):
        raise BadRequestError(f"Content-Length {text!r} is not a number")
    return int(text[:20])


def _too_large(limit: int) -> TooLargeError:
    return TooLargeError(f"Request entity too large: limit is {limit}")


def _gunzip(packed: bytes, limit: int) -> bytes:
    unpacker = zlib.decompressobj(GZIP_WINDOW)
    try:
        plain = unpacker.decompress(packed, limit + 1)
    except zlib.error as error:
        raise BadRequestError(f"the body is not valid gzip: {error}") from error
    if len(plain) > limit:
        raise _too_large(limit)
    if not unpacker.eof:
        raise BadRequestError("the gzip body is cut short")
    return plain
