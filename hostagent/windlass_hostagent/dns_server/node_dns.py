"""The node's DNS as the agent runs it: informers, resolver, forwarder and sockets together."""

import asyncio
import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from windlass.client.informer import Informer
from windlass.clock import Clock
from windlass.logs import get_logger
from windlass_hostagent.dns_server.listener import PORT, Listener
from windlass_hostagent.dns_server.records import Network, Zone
from windlass_hostagent.dns_server.resolver import Resolver
from windlass_hostagent.dns_server.server import DnsServer
from windlass_hostagent.dns_server.upstream import Forwarder, UpstreamServers
from windlass_hostagent.dns_server.view import InformerView
from windlass_hostagent.pods.dns import parse_resolv_conf

BIND_RETRY_SECONDS = 5.0
log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class DnsSettings:
    """What the node answers for. `addresses` are the node's own, which its pods reach; the agent makes none."""

    addresses: Sequence[str]
    domain: str
    pod_cidrs: Sequence[str]
    service_cidrs: Sequence[str]
    resolv_conf: Path
    port: int = PORT


def networks(cidrs: Sequence[str]) -> list[Network]:
    """Read ranges."""
    return [ipaddress.ip_network(cidr, strict=False) for cidr in dict.fromkeys(cidrs)]


class NodeDns:
    """The server over two informers, which somebody else runs."""

    def __init__(self, settings: DnsSettings, services: Informer, slices: Informer, clock: Clock) -> None:
        pods = networks(settings.pod_cidrs)
        zone = Zone(settings.domain, pods, networks(settings.service_cidrs), tuple(settings.addresses))
        view = InformerView(services, slices, self._changed)
        upstream = UpstreamServers(
            settings.resolv_conf, settings.addresses, lambda text: parse_resolv_conf(text).nameservers
        )
        own = networks([*settings.addresses])
        self.server = DnsServer(Resolver(view, zone), Forwarder(upstream, clock), [*pods, *own])
        self._listener = Listener(self.server, settings.addresses, port=settings.port)
        self._settings = settings
        self._clock = clock

    def _changed(self) -> None:
        self.server.forget()

    async def run(self, tried: asyncio.Event, on_bound: Callable[[], None]) -> None:
        """Listen until cancelled. Sets `tried` after the first attempt; calls `on_bound` once pods can be told of it."""
        async with asyncio.TaskGroup() as group:
            try:
                port = await self._bind(group, tried)
                on_bound()
                tried.set()
                log.info("dns_serving", addresses=list(self._settings.addresses), port=port)
                await asyncio.Event().wait()
            finally:
                self._listener.close()

    async def _bind(self, group: asyncio.TaskGroup, tried: asyncio.Event) -> int:
        while True:
            try:
                return await self._listener.open(group)
            except OSError as error:
                log.warning("dns_not_served", addresses=list(self._settings.addresses), error=str(error))
                tried.set()
                await self._clock.sleep(BIND_RETRY_SECONDS)
