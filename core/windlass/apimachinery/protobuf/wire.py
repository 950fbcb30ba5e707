"""The protobuf wire format: varints, tagged fields. Bounded by the body that it reads."""

from collections.abc import Iterator

from windlass.errors import BadRequestError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
MAX_VARINT_BYTES = 10


def broken(where: str) -> BadRequestError:
    """Return the refusal of bytes that are no protobuf."""
    return BadRequestError(f"the body is not valid protobuf: {where}")


def read_varint(data: bytes, position: int) -> tuple[int, int]:
    """Return (value, next position). Raises BadRequestError."""
    value = shift = 0
    for index in range(position, min(position + MAX_VARINT_BYTES, len(data))):
        byte = data[index]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, index + 1
        shift += 7
    raise broken(f"a number at byte {position} does not end")


def signed(value: int) -> int:
    """Return a varint as the two's complement number that int32 and int64 fields hold."""
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value


def read_fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield (field number, value): an int for varints, bytes for everything else. Raises BadRequestError."""
    position = 0
    while position < len(data):
        tag, position = read_varint(data, position)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == VARINT:
            value, position = read_varint(data, position)
            yield number, value
            continue
        if wire_type == BYTES:
            length, position = read_varint(data, position)
        elif wire_type in (FIXED64, FIXED32):
            length = 8 if wire_type == FIXED64 else 4
        else:
            raise broken(f"field {number} has the unknown wire type {wire_type}")
        if position + length > len(data):
            raise broken(f"field {number} is cut off at byte {len(data)}")
        yield number, data[position : position + length]
        position += length
