"""Sockets: datagrams and connections in, answers out. Nothing that comes in ends the server."""

import asyncio
import socket
from collections.abc import Sequence
from typing import Any

from windlass.logs import get_logger
from windlass_hostagent.dns_server.server import DROPPED, QUERIES, DnsServer
from windlass_hostagent.dns_server.wire import Question

PORT = 53
WAITING = 2048
CONNECTIONS = 256
IDLE_SECONDS = 10.0
IPV6_FREEBIND = 78
log = get_logger(__name__)


class DatagramEndpoint(asyncio.DatagramProtocol):
    """Answers datagrams: at once when it can, else in a task of the group; more than `WAITING` are dropped."""

    def __init__(self, server: DnsServer, group: asyncio.TaskGroup) -> None:
        self._server = server
        self._group = group
        self._waiting = 0
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: Any) -> None:
        """Remember where answers go."""
        self._transport = transport

    def datagram_received(self, data: bytes, address: Any) -> None:
        """Answer a datagram."""
        if not self._server.may_ask(address[0]):
            DROPPED.labels("source").inc()
            return
        try:
            reply = self._server.answer_now(data)
        except Exception:
            log.exception("dns_query_failed")  # one question never ends the server
            DROPPED.labels("error").inc()
            return
        if isinstance(reply, Question):
            self._later(data, reply, address)
        else:
            self._send(reply, address)

    def _later(self, data: bytes, question: Question, address: Any) -> None:
        if self._waiting >= WAITING:
            DROPPED.labels("busy").inc()
            return
        self._waiting += 1
        self._group.create_task(self._answer(data, question, address))

    async def _answer(self, data: bytes, question: Question, address: Any) -> None:
        try:
            self._send(await self._server.answer_later(data, question), address)
        except Exception:
            log.exception("dns_query_failed")
            DROPPED.labels("error").inc()
        finally:
            self._waiting -= 1

    def _send(self, reply: bytes | None, address: Any) -> None:
        if reply is None or self._transport is None:
            DROPPED.labels("malformed").inc()
            return
        QUERIES.labels("udp").inc()
        self._transport.sendto(reply, address)

    def error_received(self, exc: Exception) -> None:
        """Note that an asker has gone: its answer bounced."""
        log.debug("dns_answer_bounced", error=repr(exc))


class StreamEndpoint:
    """Answers connections, one message after another."""

    def __init__(self, server: DnsServer) -> None:
        self._server = server
        self._connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until it ends, idles or breaks the format."""
        source = writer.get_extra_info("peername")
        if source is None or self._connections >= CONNECTIONS or not self._server.may_ask(source[0]):
            DROPPED.labels("connection").inc()
            writer.close()
            return
        self._connections += 1
        try:
            while await self._one(reader, writer):
                QUERIES.labels("tcp").inc()
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            log.debug("dns_connection_ended", error=repr(error))
        except Exception:
            log.exception("dns_query_failed")
        finally:
            self._connections -= 1
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        async with asyncio.timeout(IDLE_SECONDS):
            data = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
        reply = await self._server.answer(data)
        if reply is None:
            return False
        async with asyncio.timeout(IDLE_SECONDS):
            writer.write(len(reply).to_bytes(2, "big") + reply)
            await writer.drain()
        return True


def _bound(address: str, kind: socket.SocketKind, port: int) -> socket.socket:
    """Bind a socket; an IPv6 address even while the kernel still looks for duplicates of it. Raises OSError."""
    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    try:
        if made.family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            made.setsockopt(socket.IPPROTO_IPV6, IPV6_FREEBIND, 1)
        if kind == socket.SOCK_STREAM:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setblocking(False)
        made.bind((address, port))
    except OSError:
        made.close()
        raise
    return made


class Listener:
    """The sockets of all addresses: `open` binds them, `close` lets them go."""

    def __init__(self, server: DnsServer, addresses: Sequence[str], *, port: int = PORT) -> None:
        self._server = server
        self._addresses = addresses
        self._port = port
        self._open: list[Any] = []

    async def open(self, group: asyncio.TaskGroup) -> int:
        """Listen on every address over both protocols; returns the port. Raises OSError and leaves nothing bound."""
        streams = StreamEndpoint(self._server)
        loop = asyncio.get_running_loop()
        try:
            for address in self._addresses:
                stream = _bound(address, socket.SOCK_STREAM, self._port)
                self._open.append(await asyncio.start_server(streams.serve, sock=stream))
                self._port = int(stream.getsockname()[1])
                datagrams = _bound(address, socket.SOCK_DGRAM, self._port)
                transport, _ = await loop.create_datagram_endpoint(
                    lambda: DatagramEndpoint(self._server, group), sock=datagrams
                )
                self._open.append(transport)
        except OSError:
            self.close()
            raise
        return self._port

    def close(self) -> None:
        """Stop listening."""
        for one in self._open:
            one.close()
        self._open.clear()
