"""The format of messages, by dnslib, and what can be read of one without parsing it."""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from dnslib import AAAA, CNAME, EDNS0, NS, PTR, QTYPE, RR, SOA, SRV, TXT, A, DNSHeader, DNSRecord

from windlass_hostagent.dns_server.records import FORMERR, NOERROR, NOTIMP, NXDOMAIN, REFUSED, Labels, Record

HEADER = struct.Struct("!HHHHHH")
HEADER_SIZE = 12
RESPONSE_BIT, TRUNCATED_BIT = 0x8000, 0x0200
OPCODE_MASK, RECURSION_DESIRED_BIT = 0x7800, 0x0100
PLAIN_SIZE = 512
LARGEST_UDP = 1232
"""No datagram of ours is larger, whatever the asker takes: it would be cut to pieces on the way."""
CLASS_IN = 1
OPT = 41
BAD_VERSION_HIGH = 1
REFUSED_TYPES = ("ANY", "AXFR", "IXFR", "MAILA", "MAILB")


@dataclass(frozen=True, slots=True)
class Question:
    """A question that has been understood. `limit` is the largest datagram that its asker takes."""

    request: Any
    labels: Labels
    type: str
    limit: int
    edns: bool


class RefusedQuestionError(Exception):
    """A message that gets an error at once: `reply` is that answer, empty when silence is the answer."""

    def __init__(self, reply: bytes = b"") -> None:
        super().__init__("a question that is not answered")
        self.reply = reply


def header_reply(data: bytes, code: int) -> bytes:
    """Answer with a bare header: all that can be said to a message that cannot be read."""
    identity, flags = HEADER.unpack_from(data)[:2]
    kept = flags & (OPCODE_MASK | RECURSION_DESIRED_BIT)
    return HEADER.pack(identity, RESPONSE_BIT | kept | code, 0, 0, 0, 0)


def parse_question(data: bytes) -> Question:
    """Read a query. Raises RefusedQuestionError for everything that is not one plain question of class IN."""
    if len(data) < HEADER_SIZE:
        raise RefusedQuestionError
    _, flags, questions, answers, _, _ = HEADER.unpack_from(data)
    if flags & RESPONSE_BIT:
        raise RefusedQuestionError
    if flags & OPCODE_MASK:
        raise RefusedQuestionError(header_reply(data, NOTIMP))
    if questions != 1 or answers:
        raise RefusedQuestionError(header_reply(data, FORMERR))
    try:
        request = DNSRecord.parse(data)
        asked = request.q
        labels = tuple(label.decode("ascii", "backslashreplace").lower() for label in asked.qname.label)
    except Exception as error:  # whatever a hostile message makes the parser raise, the answer is the same
        raise RefusedQuestionError(header_reply(data, FORMERR)) from error
    options = next((rr for rr in request.ar if rr.rtype == OPT), None)
    if options is not None and (options.ttl >> 16) & 0xFF:
        reply = new_reply(request, NOERROR, authoritative=False)
        reply.add_ar(EDNS0(udp_len=LARGEST_UDP, ext_rcode=BAD_VERSION_HIGH))
        raise RefusedQuestionError(bytes(reply.pack()))
    kind = str(QTYPE.get(asked.qtype, asked.qtype))
    question = Question(
        request,
        labels,
        kind,
        min(max(PLAIN_SIZE, options.rclass), LARGEST_UDP) if options is not None else PLAIN_SIZE,
        options is not None,
    )
    if asked.qclass != CLASS_IN or kind in REFUSED_TYPES:
        raise RefusedQuestionError(pack(question, REFUSED))
    return question


def new_reply(request: Any, code: int, *, authoritative: bool) -> Any:
    """Begin the reply to a request."""
    header = DNSHeader(
        id=request.header.id, bitmap=0, qr=1, aa=int(authoritative), rd=request.header.rd, ra=1, rcode=code
    )
    return DNSRecord(header, q=request.q)


def _data(record: Record) -> Any:
    values: Sequence[Any] = record.values
    match record.type:
        case "A":
            return A(values[0])
        case "AAAA":
            return AAAA(values[0])
        case "CNAME":
            return CNAME(values[0])
        case "PTR":
            return PTR(values[0])
        case "NS":
            return NS(values[0])
        case "TXT":
            return TXT(values[0])
        case "SRV":
            return SRV(priority=values[0], weight=values[1], port=values[2], target=values[3])
        case _:
            return SOA(mname=values[0], rname=values[1], times=tuple(values[2:]))


def resource_record(record: Record, ttl: int, asked: Any, labels: Labels) -> Any:
    """Write a record; the name that was asked for keeps the letters' case of the question."""
    name = asked if record.name == labels else ".".join(record.name)
    return RR(name, getattr(QTYPE, record.type), rdata=_data(record), ttl=ttl)


def pack(
    question: Question,
    code: int,
    *,
    answers: Iterable[Any] = (),
    authority: Iterable[Any] = (),
    additional: Iterable[Any] = (),
    authoritative: bool = False,
) -> bytes:
    """Write the complete reply, of whatever size."""
    reply = new_reply(question.request, code, authoritative=authoritative)
    for rr in answers:
        reply.add_answer(rr)
    for rr in authority:
        reply.add_auth(rr)
    for rr in additional:
        reply.add_ar(rr)
    if question.edns:
        reply.add_ar(EDNS0(udp_len=LARGEST_UDP))
    return bytes(reply.pack())


def fit(question: Question, packed: bytes) -> bytes:
    """Cut a reply to what a datagram may hold: then it is empty and marked, and the asker comes again over TCP."""
    if len(packed) <= question.limit:
        return packed
    flags = HEADER.unpack_from(packed)[1]
    empty = bytearray(pack(question, flags & 0xF))
    struct.pack_into("!H", empty, 2, flags | TRUNCATED_BIT)
    return bytes(empty)


def code_of(data: bytes) -> int:
    """Return a reply's code."""
    return int(HEADER.unpack_from(data)[1]) & 0xF


def is_negative(data: bytes) -> bool:
    """Say whether a reply says that there is nothing."""
    return code_of(data) in (NXDOMAIN, NOERROR) and HEADER.unpack_from(data)[3] == 0


def _skip_name(data: bytes, at: int) -> int:
    while True:
        length = data[at]
        if length & 0xC0:
            return at + 2
        at += 1 + length
        if not length:
            return at


def question_end(data: bytes) -> int:
    """Return where a message's only question ends. Raises IndexError for a cut message."""
    return _skip_name(data, HEADER_SIZE) + 4


def lifetimes(data: bytes) -> list[tuple[int, int]]:
    """Return (offset, seconds) of every record's time to live. Raises IndexError or struct.error for a cut message."""
    _, _, questions, *counts = HEADER.unpack_from(data)
    at = HEADER_SIZE
    for _ in range(questions):
        at = _skip_name(data, at) + 4
    found = []
    for _ in range(sum(counts)):
        at = _skip_name(data, at)
        kind, _, ttl, length = struct.unpack_from("!HHIH", data, at)
        if kind != OPT:
            found.append((at + 4, ttl))
        at += 10 + length
    if at > len(data):
        raise IndexError("the last record is cut")
    return found
