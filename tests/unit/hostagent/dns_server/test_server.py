"""Messages in, messages out, without sockets: what a client sees of the format."""

import asyncio
import ipaddress
import random
import socket
import struct

import pytest
from dnslib import EDNS0, QTYPE, DNSHeader, DNSQuestion, DNSRecord
from hypothesis import given, settings
from hypothesis import strategies as st

from windlass.testing.clock import FakeClock
from windlass_hostagent.dns_server.resolver import Resolver
from windlass_hostagent.dns_server.server import DnsServer
from windlass_hostagent.dns_server.upstream import Forwarder, UpstreamError
from windlass_hostagent.dns_server.wire import Question

SVC = "svc.cluster.local"


class FakeForwarder:
    """Answers by name; anything else fails."""

    def __init__(self, known=None, configured=True):
        self.known, self.configured, self.asked = known or {}, configured, []

    async def ask(self, query, *, tcp=False):
        request = DNSRecord.parse(query)
        self.asked.append((str(request.q.qname), tcp))
        text = self.known.get(str(request.q.qname))
        if text is None:
            raise UpstreamError("none", configured=self.configured)
        reply = request.reply()
        reply.add_answer(*_records(text))
        return bytes(reply.pack())


def _records(text):
    from dnslib import RR

    return RR.fromZone(text)


@pytest.fixture
def forwarder():
    return FakeForwarder({"example.com.": "example.com. 300 A 192.0.2.80"})


@pytest.fixture
def server(resolver, forwarder):
    return DnsServer(resolver, forwarder, [ipaddress.ip_network("10.244.0.0/16")])


def query(name, kind="A", size=0, **header):
    request = DNSRecord(DNSHeader(id=4711, rd=1, **header), q=DNSQuestion(name, getattr(QTYPE, kind)))
    if size:
        request.add_ar(EDNS0(udp_len=size))
    return bytes(request.pack())


async def ask(server, data, tcp=False):
    if tcp:
        reply = await server.answer(data)
    else:
        reply = server.answer_now(data)
        if isinstance(reply, Question):
            reply = await server.answer_later(data, reply)
    return reply if reply is None else DNSRecord.parse(reply)


async def test_an_answer_is_authoritative_short_lived_and_in_the_askers_letters(server):
    reply = await ask(server, query(f"Web.SHOP.{SVC}"))
    assert (reply.header.id, reply.header.aa, reply.header.ra, reply.header.rd, reply.header.rcode) == (
        4711,
        1,
        1,
        1,
        0,
    )
    assert str(reply.q.qname) == str(reply.rr[0].rname) == f"Web.SHOP.{SVC}."
    assert 5 <= reply.rr[0].ttl <= 30
    assert str(reply.rr[0].rdata) == "10.96.0.20"


async def test_nothing_comes_with_the_zones_soa(server):
    for name, code in ((f"none.shop.{SVC}", 3), (f"_tcp.web.shop.{SVC}", 0)):
        reply = await ask(server, query(name))
        assert (reply.header.rcode, reply.rr) == (code, [])
        assert QTYPE[reply.auth[0].rtype] == "SOA"
        assert str(reply.auth[0].rname) == "cluster.local."
        assert reply.auth[0].ttl <= 30


async def test_an_alias_is_followed_into_the_cluster_and_out_of_it(server, forwarder):
    inside = await ask(server, query(f"alias.shop.{SVC}"))
    assert [str(rr.rdata) for rr in inside.rr] == [f"web.shop.{SVC}.", "10.96.0.20"]
    outside = await ask(server, query(f"elsewhere.shop.{SVC}"))
    assert [str(rr.rdata) for rr in outside.rr] == ["example.com.", "192.0.2.80"]
    circle = await ask(server, query(f"loop.shop.{SVC}"))
    assert circle.header.rcode == 2
    assert [name for name, _ in forwarder.asked] == ["example.com."]


async def test_other_names_go_upstream_over_the_same_protocol(server, forwarder):
    for tcp in (False, True):
        reply = await ask(server, query("example.com"), tcp)
        assert str(reply.rr[0].rdata) == "192.0.2.80"
    assert forwarder.asked == [("example.com.", False), ("example.com.", True)]


async def test_without_an_answer_from_upstream_there_is_an_error(server, forwarder):
    assert (await ask(server, query("example.org"))).header.rcode == 2
    forwarder.configured = False
    assert (await ask(server, query("example.org"))).header.rcode == 5


@pytest.mark.parametrize("kind", ["ANY", "AXFR", "IXFR"])
@pytest.mark.parametrize("name", ["cluster.local", "example.com", f"web.shop.{SVC}"])
async def test_the_zone_is_handed_to_nobody(server, kind, name):
    """K82: ANY and transfers are refused, over both protocols."""
    for tcp in (False, True):
        reply = await ask(server, query(name, kind), tcp)
        assert (reply.header.rcode, reply.rr) == (5, [])


async def test_what_is_too_large_is_cut_over_udp_and_whole_over_tcp(view, server):
    view.all_slices[0]["endpoints"] += [{"addresses": [f"10.244.2.{number}"]} for number in range(1, 101)]
    name, whole = f"db.shop.{SVC}", 102
    for size, limit in ((0, 512), (900, 900), (65000, 1232), (1, 512)):
        data = query(name, size=size)
        raw = server.answer_now(data)
        reply = DNSRecord.parse(raw)
        assert len(raw) <= limit
        assert (reply.header.tc, reply.rr, reply.header.aa) == (1, [], 1)
    assert len((await ask(server, query(name), tcp=True)).rr) == whole


async def test_endpoints_come_in_changing_order(server):
    random.seed(7)
    first = {str((await ask(server, query(f"db.shop.{SVC}"))).rr[0].rdata) for _ in range(40)}
    assert first == {"10.244.1.5", "10.244.1.6"}


async def test_what_is_remembered_is_forgotten_when_the_cluster_changes(view, server):
    assert str((await ask(server, query(f"web.shop.{SVC}"))).rr[0].rdata) == "10.96.0.20"
    view.service("shop", "web")["spec"].update(clusterIP="10.96.0.99", clusterIPs=["10.96.0.99"])
    server.forget()
    assert str((await ask(server, query(f"web.shop.{SVC}"))).rr[0].rdata) == "10.96.0.99"


async def test_edns_is_answered_in_kind(server):
    reply = await ask(server, query(f"web.shop.{SVC}", size=4096))
    assert [rr.rclass for rr in reply.ar if rr.rtype == QTYPE.OPT] == [1232]
    data = bytearray(query(f"web.shop.{SVC}", size=4096))
    data[-5] = 1  # the version in OPT's time to live
    assert (await ask(server, bytes(data))).header.rcode == 0
    assert [rr.ttl >> 24 for rr in (await ask(server, bytes(data))).ar] == [1]


def test_silence_and_errors_for_what_is_no_question(server):
    plain = query("a.b")
    assert server.answer_now(b"") is None
    assert server.answer_now(plain[:11]) is None
    assert server.answer_now(query("a.b", qr=1)) is None
    assert DNSRecord.parse(server.answer_now(query("a.b", opcode=5))).header.rcode == 4
    assert DNSRecord.parse(server.answer_now(plain[:15])).header.rcode == 1
    chaos = bytes(DNSRecord(DNSHeader(id=1), q=DNSQuestion("version.bind", QTYPE.TXT, 3)).pack())
    assert DNSRecord.parse(server.answer_now(chaos)).header.rcode == 5
    two = DNSRecord(DNSHeader(id=1), questions=[DNSQuestion("a.b"), DNSQuestion("c.d")])
    assert DNSRecord.parse(server.answer_now(bytes(two.pack()))).header.rcode == 1


def test_only_the_cluster_may_ask(server):
    assert server.may_ask("10.244.9.9")
    assert server.may_ask("127.0.0.1")
    assert server.may_ask("::ffff:10.244.9.9")
    assert not server.may_ask("192.0.2.1")
    assert not server.may_ask("2001:db8::1")


@pytest.fixture(scope="module")
def shared():
    import importlib.util
    from pathlib import Path

    spec = importlib.util.spec_from_file_location("dns_cluster", Path(__file__).parent / "conftest.py")
    cluster = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(cluster)
    from windlass_hostagent.dns_server.records import Zone

    view = cluster.FakeView(cluster.CLUSTER_SERVICES, cluster.CLUSTER_SLICES)
    zone = Zone("cluster.local", [cluster.POD_RANGE], [cluster.SERVICE_RANGE], ("10.244.1.1",))
    return DnsServer(Resolver(view, zone), FakeForwarder(), [])


@settings(max_examples=400)
@given(st.binary(max_size=600))
def test_noise_never_crashes(shared, data):
    """K82: every message is answered, ignored or handed on; nothing else happens."""
    _survives(shared, data)


@settings(max_examples=600)
@given(st.data())
def test_broken_questions_never_crash(shared, data):
    """K82: a real question with bytes changed, cut or added: pointers that go round, lengths that lie."""
    message = bytearray(query(f"_http._tcp.web.shop.{SVC}", "SRV", size=1232))
    for _ in range(data.draw(st.integers(1, 6))):
        message[data.draw(st.integers(2, len(message) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(message)))
    _survives(shared, bytes(message[:cut]) + data.draw(st.binary(max_size=20)))


def _survives(server, data):
    reply = server.answer_now(data)
    if isinstance(reply, bytes):
        assert reply[:2] == data[:2]
        assert reply[2] & 0x80
        assert len(reply) <= 1232


# -- upstream


class Upstream(asyncio.DatagramProtocol):
    """A resolver on loopback that answers by what `answer` gives for a request."""

    def __init__(self, answer):
        self.answer, self.asked = answer, 0

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        self.asked += 1
        for reply in self.answer(data):
            self.transport.sendto(reply, address)


@pytest.fixture
async def upstream():
    transports = []

    async def start(answer):
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.create_datagram_endpoint(lambda: Upstream(answer), local_addr=("127.0.0.1", 0))
        transports.append(transport)
        return protocol, transport.get_extra_info("sockname")[1]

    yield start
    for transport in transports:
        transport.close()


def _good(data, ttl=60, address="192.0.2.9", identity=None):
    request = DNSRecord.parse(data)
    reply = request.reply()
    reply.header.id = request.header.id if identity is None else identity
    reply.add_answer(*_records(f"{request.q.qname} {ttl} A {address}"))
    return bytes(reply.pack())


async def test_a_reply_is_kept_and_ages(upstream):
    clock = FakeClock()
    protocol, port = await upstream(lambda data: [_good(data, 20)])
    forwarder = Forwarder(lambda: ["127.0.0.1"], clock, port=port)
    data = query("example.com")
    assert DNSRecord.parse(await forwarder.ask(data)).rr[0].ttl == 20
    await clock.advance(8)
    again = DNSRecord.parse(await forwarder.ask(b"\x00\x09" + data[2:]))
    assert (again.header.id, again.rr[0].ttl, protocol.asked) == (9, 12, 1)
    await clock.advance(13)
    await forwarder.ask(data)
    assert protocol.asked == 2


async def test_forged_replies_are_passed_over(upstream):
    """K82: another identity, another question, a cut message, noise; then the true one."""

    def answer(data):
        identity = struct.unpack("!H", data[:2])[0]
        other = query("other.example")
        return [
            _good(data, address="192.0.2.66", identity=(identity + 1) % 65536),
            data[:2] + _good(other)[2:],
            _good(data)[:-3],
            b"\xff" * 5,
            data,
            _good(data),
        ]

    _, port = await upstream(answer)
    reply = DNSRecord.parse(await Forwarder(lambda: ["127.0.0.1"], FakeClock(), port=port).ask(query("example.com")))
    assert str(reply.rr[0].rdata) == "192.0.2.9"


async def test_a_dead_server_is_passed_over(upstream):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
        closed.bind(("127.0.0.1", 0))
    protocol, port = await upstream(lambda data: [_good(data)])
    forwarder = Forwarder(lambda: ["127.0.0.2", "127.0.0.1"], FakeClock(), port=port)
    for name in ("one.example", "two.example"):
        assert DNSRecord.parse(await forwarder.ask(query(name))).header.rcode == 0
    assert protocol.asked == 2


async def test_no_server_at_all_is_told_apart():
    with pytest.raises(UpstreamError) as caught:
        await Forwarder(list, FakeClock()).ask(query("example.com"))
    assert not caught.value.configured


def test_the_cache_is_bounded_and_keeps_no_errors():
    from windlass_hostagent.dns_server.upstream import ReplyCache

    cache = ReplyCache(FakeClock(), size=3)
    for number in range(5):
        data = query(f"n{number}.example")
        cache.put(data, _good(data))
    assert len(cache) == 3
    failed = DNSRecord.parse(query("bad.example")).reply()
    failed.header.rcode = 2
    cache.put(query("bad.example"), bytes(failed.pack()))
    cache.put(query("zero.example"), _good(query("zero.example"), ttl=0))
    assert cache.get(query("bad.example")) is None
    assert cache.get(query("zero.example")) is None


def test_upstream_servers_follow_the_file_and_leave_us_out(tmp_path):
    import os

    from windlass_hostagent.dns_server.upstream import UpstreamServers

    path = tmp_path / "resolv.conf"
    path.write_text("192.0.2.1\n10.244.1.1\n")
    servers = UpstreamServers(path, ["10.244.1.1"], str.split)
    assert servers() == ["192.0.2.1"]
    path.write_text("192.0.2.2\n")
    os.utime(path, ns=(1, 1))
    assert servers() == ["192.0.2.2"]
    path.unlink()
    assert servers() == ["192.0.2.2"]
