"""The server: UDP and TCP on the node's addresses, answers from the resolver, the rest from upstream.

Answers about the cluster are remembered as bytes until anything in the cluster changes: a pod that asks the same thing
a thousand times costs a thousand look-ups in a table. Those with several addresses are kept in several orders.
"""

import ipaddress
import random
from collections import deque
from collections.abc import Sequence
from typing import Any

from dnslib import QTYPE, DNSRecord
from prometheus_client import Counter

from windlass.logs import get_logger
from windlass_hostagent.dns_server.records import (
    NOERROR,
    NXDOMAIN,
    REFUSED,
    SERVFAIL,
    Answer,
    Network,
    Record,
    is_within,
)
from windlass_hostagent.dns_server.resolver import Resolver
from windlass_hostagent.dns_server.upstream import Forwarder, UpstreamError
from windlass_hostagent.dns_server.wire import (
    Question,
    RefusedQuestionError,
    code_of,
    fit,
    pack,
    parse_question,
    resource_record,
)

CACHED = 20_000
ORDERS = 8
LONGEST_CHAIN = 8
ADDRESS_TYPES = ("A", "AAAA")
QUERIES = Counter("windlass_dns_queries", "Questions answered, by how", ["source"])
DROPPED = Counter("windlass_dns_dropped", "Messages that got no answer, by why", ["reason"])
log = get_logger(__name__)


class DnsServer:
    """Answers messages. `allowed` are the ranges that may ask: the cluster's pods and this node, nobody else."""

    def __init__(self, resolver: Resolver, forwarder: Forwarder, allowed: Sequence[Network]) -> None:
        self._resolver = resolver
        self._forwarder = forwarder
        self._allowed = tuple(allowed)
        self._known_sources: dict[str, bool] = {}
        self._ready: dict[bytes, deque[bytes]] = {}

    def forget(self) -> None:
        """Drop what is remembered of the cluster: something in it has changed."""
        self._ready.clear()

    def may_ask(self, source: str) -> bool:
        """Say whether an address may ask."""
        known = self._known_sources.get(source)
        if known is None:
            address = ipaddress.ip_address(source.partition("%")[0])
            mapped = getattr(address, "ipv4_mapped", None)
            known = address.is_loopback or is_within(mapped or address, self._allowed)
            if len(self._known_sources) > CACHED:
                self._known_sources.clear()
            self._known_sources[source] = known
        return known

    def answer_now(self, data: bytes) -> bytes | Question | None:
        """Answer a datagram if nobody else has to be asked: None is silence, a Question needs `answer_later`."""
        known = self._ready.get(data[2:])
        if known is not None and len(known) == known.maxlen:
            return data[:2] + known[random.randrange(len(known))]  # noqa: S311 - to spread load
        try:
            question = parse_question(data)
        except RefusedQuestionError as refused:
            return refused.reply or None
        answer = self._resolver.resolve(question.labels, question.type)
        if answer is None or answer.chase:
            return question
        reply = fit(question, self._pack(question, answer))
        if code_of(reply) in (NOERROR, NXDOMAIN):
            self._remember(data[2:], reply[2:], min(max(1, len(answer.records)), ORDERS))
        return reply

    def _remember(self, query: bytes, reply: bytes, orders: int) -> None:
        """Keep a reply; of one with several records as many as there shall be orders."""
        if len(self._ready) >= CACHED:
            self._ready.clear()
        self._ready.setdefault(query, deque(maxlen=orders)).append(reply)

    async def answer_later(self, data: bytes, question: Question, *, tcp: bool = False) -> bytes:
        """Answer a question that others may have to be asked about."""
        answer = self._resolver.resolve(question.labels, question.type)
        try:
            if answer is None:
                QUERIES.labels("upstream").inc()
                reply = await self._forwarder.ask(data, tcp=tcp)
                return reply if tcp else fit(question, reply)
            reply = await self._follow(question, answer)
        except UpstreamError as error:
            return pack(question, SERVFAIL if error.configured else REFUSED)
        return reply if tcp else fit(question, reply)

    async def answer(self, data: bytes) -> bytes | None:
        """Answer a message that came over TCP: whole, whatever its size."""
        try:
            question = parse_question(data)
        except RefusedQuestionError as refused:
            return refused.reply or None
        return await self.answer_later(data, question, tcp=True)

    def _pack(self, question: Question, answer: Answer, more: Sequence[Any] = ()) -> bytes:
        zone, asked = self._resolver.zone, question.request.q.qname
        records = list(answer.records)
        random.shuffle(records)

        def written(items: Sequence[Record]) -> list[Any]:
            return [resource_record(item, zone.ttl, asked, question.labels) for item in items]

        nothing = not records and answer.code in (NOERROR, NXDOMAIN)
        return pack(
            question,
            answer.code,
            answers=[*written(records), *more],
            authority=written([self._resolver.soa()]) if nothing else (),
            additional=written(answer.additional),
            authoritative=answer.code in (NOERROR, NXDOMAIN),
        )

    async def _follow(self, question: Question, answer: Answer) -> bytes:
        """Follow a chain of names to its addresses, in the cluster and out of it."""
        chain = list(answer.records)
        seen = {question.labels}
        while answer.chase and question.type in ADDRESS_TYPES:
            target = answer.chase
            if target in seen or len(seen) > LONGEST_CHAIN:
                return pack(question, SERVFAIL)
            seen.add(target)
            found = self._resolver.resolve(target, question.type)
            if found is None:
                return self._pack_chain(question, chain, await self._ask_address(target, question.type))
            chain += found.records
            answer = found
        return self._pack_chain(question, chain, (answer.code, []))

    async def _ask_address(self, labels: Sequence[str], kind: str) -> tuple[int, list[Any]]:
        """Ask upstream for a name's addresses; an error there is an error here."""
        query = DNSRecord.question(".".join(labels), kind)
        reply = DNSRecord.parse(await self._forwarder.ask(bytes(query.pack())))
        if reply.header.rcode not in (NOERROR, NXDOMAIN):
            raise UpstreamError(f"upstream says {reply.header.rcode}")
        wanted = {getattr(QTYPE, kind), QTYPE.CNAME}
        return reply.header.rcode, [rr for rr in reply.rr if rr.rtype in wanted]

    def _pack_chain(self, question: Question, chain: Sequence[Record], rest: tuple[int, list[Any]]) -> bytes:
        code, foreign = rest
        asked, ttl = question.request.q.qname, self._resolver.zone.ttl
        answers = [*(resource_record(one, ttl, asked, question.labels) for one in chain), *foreign]
        return pack(question, code, answers=answers, authoritative=True)
