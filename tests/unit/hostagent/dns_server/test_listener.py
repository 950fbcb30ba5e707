"""Sockets on loopback: both protocols, hostile connections, an address in use."""

import asyncio
import socket

import pytest
from dnslib import DNSRecord

from windlass_hostagent.dns_server.listener import Listener
from windlass_hostagent.dns_server.server import DnsServer

QUERY = bytes(DNSRecord.question("web.shop.svc.cluster.local").pack())


class _Waiting(asyncio.DatagramProtocol):
    def __init__(self):
        self.reply = asyncio.get_running_loop().create_future()

    def datagram_received(self, data, _address):
        self.reply.set_result(data)


@pytest.fixture
async def listening(resolver):
    async with asyncio.TaskGroup() as group:
        listener = Listener(DnsServer(resolver, None, []), ["127.0.0.1"], port=0)
        yield await listener.open(group), group
        listener.close()


async def test_datagrams(listening):
    port, _ = listening
    loop = asyncio.get_running_loop()
    transport, waiting = await loop.create_datagram_endpoint(_Waiting, remote_addr=("127.0.0.1", port))
    for message in (b"", b"\xff" * 40, QUERY[:11], QUERY):  # noise first: it ends nothing
        transport.sendto(message)
    async with asyncio.timeout(30):
        reply = DNSRecord.parse(await waiting.reply)
    transport.close()
    assert str(reply.q.qname) == "web.shop.svc.cluster.local." or reply.header.rcode == 1


async def _ask(reader, writer, message):
    writer.write(len(message).to_bytes(2, "big") + message)
    async with asyncio.timeout(30):
        return await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))


async def test_several_messages_on_one_connection(listening):
    port, _ = listening
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(3):
        assert str(DNSRecord.parse(await _ask(reader, writer, QUERY)).rr[0].rdata) == "10.96.0.20"
    writer.close()


async def test_a_broken_connection_ends_alone(listening):
    """K82."""
    port, _ = listening
    for hostile in (b"\x00", b"\x00\x00", b"\xff\xff" + b"x" * 100, b"\x00\x05hello"):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(hostile)
        writer.write_eof()
        async with asyncio.timeout(30):
            assert await reader.read() == b""
        writer.close()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    assert DNSRecord.parse(await _ask(reader, writer, QUERY)).header.rcode == 0
    writer.close()


async def test_an_address_in_use_leaves_nothing_bound(listening, resolver):
    port, group = listening
    second = Listener(DnsServer(resolver, None, []), ["127.0.0.2", "127.0.0.1"], port=port)
    with pytest.raises(OSError, match="in use"):
        await second.open(group)
    for _ in range(3):  # asyncio closes sockets a turn of the loop later
        await asyncio.sleep(0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
        again.bind(("127.0.0.2", port))
