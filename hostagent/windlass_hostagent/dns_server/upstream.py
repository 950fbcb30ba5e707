"""Questions about other people's names: forwarded to the node's own resolvers, remembered for as long as they allow.

Each question leaves from a port of its own with an identity of its own, and only a reply from the asked address that
repeats the question counts: a forged one would have to guess all of it.
"""

import asyncio
import secrets
import struct
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from windlass.clock import Clock
from windlass.logs import get_logger
from windlass_hostagent.dns_server.records import NOERROR, NXDOMAIN
from windlass_hostagent.dns_server.wire import (
    HEADER,
    HEADER_SIZE,
    RESPONSE_BIT,
    TRUNCATED_BIT,
    code_of,
    lifetimes,
    question_end,
)

PORT = 53
TIMEOUT_SECONDS = 2.0
ROUNDS = 2
CACHED = 10_000
LONGEST_SECONDS = 30
NEGATIVE_SECONDS = 5
AT_ONCE = 512
log = get_logger(__name__)


class UpstreamError(Exception):
    """No upstream resolver answered; `configured` is False when there is none at all."""

    def __init__(self, message: str, *, configured: bool = True) -> None:
        super().__init__(message)
        self.configured = configured


@dataclass(frozen=True, slots=True)
class _Kept:
    reply: bytes
    lifetimes: Sequence[tuple[int, int]]
    since: float
    until: float


class ReplyCache:
    """The replies last used, by the query's own bytes, with what is left of their time."""

    def __init__(self, clock: Clock, size: int = CACHED) -> None:
        self._clock = clock
        self._size = size
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, query: bytes) -> bytes | None:
        """Return a reply with the query's identity, aged; None when there is none or its time is over."""
        key = query[2:]
        kept = self._kept.get(key)
        if kept is None:
            return None
        now = self._clock.monotonic()
        if now >= kept.until:
            del self._kept[key]
            return None
        self._kept.move_to_end(key)
        aged = bytearray(kept.reply)
        aged[:2] = query[:2]
        for offset, ttl in kept.lifetimes:
            struct.pack_into("!I", aged, offset, max(0, ttl - int(now - kept.since)))
        return bytes(aged)

    def put(self, query: bytes, reply: bytes) -> None:
        """Keep a reply as long as its shortest record lives, within bounds; errors and cut ones not at all."""
        flags, _, answers = HEADER.unpack_from(reply)[1:4]
        if flags & TRUNCATED_BIT or code_of(reply) not in (NOERROR, NXDOMAIN):
            return
        found = lifetimes(reply)
        bound = LONGEST_SECONDS if answers and code_of(reply) == NOERROR else NEGATIVE_SECONDS
        seconds = min([bound, *(ttl for _, ttl in found)])
        if seconds <= 0:
            return
        now = self._clock.monotonic()
        self._kept[query[2:]] = _Kept(reply, found, now, now + seconds)
        while len(self._kept) > self._size:
            self._kept.popitem(last=False)


class _Exchange(asyncio.DatagramProtocol):
    """One question over UDP."""

    def __init__(self, query: bytes) -> None:
        self._query = query
        self.reply: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, _address: object) -> None:
        """Take the first reply to our question; everything else is not for us."""
        if not self.reply.done() and answers(self._query, data):
            self.reply.set_result(data)

    def error_received(self, exc: Exception) -> None:
        """Give up at once when nobody listens there."""
        if not self.reply.done():
            self.reply.set_exception(exc)


def answers(query: bytes, reply: bytes) -> bool:
    """Say whether a reply is well formed and repeats the query's identity and question."""
    if len(reply) < HEADER_SIZE:
        return False
    identity, flags, questions = HEADER.unpack_from(reply)[:3]
    if identity != HEADER.unpack_from(query)[0] or not flags & RESPONSE_BIT or questions != 1:
        return False
    try:
        end = question_end(query)
        lifetimes(reply)
    except (IndexError, struct.error):
        return False
    return reply[HEADER_SIZE:end].lower() == query[HEADER_SIZE:end].lower()


class Forwarder:
    """Asks the upstream resolvers in turn, beginning with the one that answered last."""

    def __init__(self, servers: Callable[[], Sequence[str]], clock: Clock, *, port: int = PORT) -> None:
        self._servers = servers
        self._port = port
        self._first = ""
        self.cache = ReplyCache(clock)
        self._gate = asyncio.Semaphore(AT_ONCE)

    async def ask(self, query: bytes, *, tcp: bool = False) -> bytes:
        """Return a reply with the query's identity. Raises UpstreamError when no resolver gives one."""
        known = self.cache.get(query)
        if known is not None:
            return known
        if self._gate.locked():
            raise UpstreamError("too many questions are under way")
        async with self._gate:
            reply = await self._ask_all(secrets.token_bytes(2) + query[2:], tcp=tcp)
        self.cache.put(query, reply)
        return query[:2] + reply[2:]

    async def _ask_all(self, query: bytes, *, tcp: bool) -> bytes:
        servers = sorted(self._servers(), key=lambda server: server != self._first)
        if not servers:
            raise UpstreamError("this node has no upstream resolver", configured=False)
        for _ in range(ROUNDS):
            for server in servers:
                try:
                    async with asyncio.timeout(TIMEOUT_SECONDS):
                        reply = await (self._over_tcp if tcp else self._over_udp)(server, query)
                except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
                    log.debug("dns_upstream_failed", server=server, error=repr(error))
                    continue
                self._first = server
                return reply
        raise UpstreamError("no upstream resolver answers")

    async def _over_udp(self, server: str, query: bytes) -> bytes:
        loop = asyncio.get_running_loop()
        transport, exchange = await loop.create_datagram_endpoint(
            lambda: _Exchange(query), remote_addr=(server, self._port)
        )
        try:
            transport.sendto(query)
            return await exchange.reply
        finally:
            transport.close()

    async def _over_tcp(self, server: str, query: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(server, self._port)
        try:
            writer.write(len(query).to_bytes(2, "big") + query)
            await writer.drain()
            reply = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
        finally:
            writer.close()
        if not answers(query, reply):
            raise OSError("the reply is to another question")
        return reply


class UpstreamServers:
    """The nameservers of the node's resolv.conf, read again when the file changes; never our own addresses."""

    def __init__(self, path: Path, own: Sequence[str], parse: Callable[[str], Sequence[str]]) -> None:
        self._path = path
        self._own = frozenset(own)
        self._parse = parse
        self._stamp: tuple[int, int] | None = None
        self._servers: Sequence[str] = ()

    def __call__(self) -> Sequence[str]:
        """Return the servers."""
        try:
            found = self._path.stat()
            stamp = (found.st_mtime_ns, found.st_ino)
            if stamp != self._stamp:
                text = self._path.read_text()
                self._servers = [one for one in self._parse(text) if one not in self._own]
                self._stamp = stamp
        except OSError as error:
            log.warning("dns_upstream_unreadable", path=str(self._path), error=str(error))
        return self._servers
