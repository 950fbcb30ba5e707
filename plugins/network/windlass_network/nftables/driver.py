"""The `nftables` proxy: one table, `inet windlass`, changed by one transaction at a time.

What it applies stays when the agent goes. A start replaces the whole table in one transaction, so that a kill at any
moment leaves either the former rules or the new ones (K75).
"""

import asyncio
import socket
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from pyroute2.netlink.exceptions import NetlinkError

from windlass.errors import NetworkDriverError
from windlass.logs import get_logger
from windlass.plugin.interfaces.proxy import NodeProxyConfig, ProxyProblem, ServiceKey, ServiceState
from windlass_network.nftables import kernel
from windlass_network.nftables.frontends import Frontend, plan_frontends
from windlass_network.nftables.nft import Nft
from windlass_network.nftables.ruleset import Rendered, first_picks, pick_chain, render, rules_of, skeleton
from windlass_network.nftables.state import TableState

T = TypeVar("T")
log = get_logger(__name__)


class NftablesProxy:
    """The driver."""

    def __init__(self, nft: Nft | None = None) -> None:
        self._nft = nft or Nft()
        self._config: NodeProxyConfig | None = None
        self._skeleton: list[str] = []
        self._rules: dict[str, int] = {}
        self._claim: socket.socket | None = None
        self._state: TableState | None = None
        self._frontends: dict[ServiceKey, list[Frontend]] = {}
        self._lock = asyncio.Lock()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="nftables")

    def _inside(self) -> AbstractContextManager[Any]:
        """Enter the node, for a thread; a driver for a node that is a namespace overrides this."""
        return kernel.open_netlink()  # type: ignore[no-any-return]

    async def _run(self, function: Callable[[Any], T]) -> T:
        def work() -> T:
            with self._inside() as netlink:
                return function(netlink)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        except (NetlinkError, OSError) as error:
            raise NetworkDriverError(f"{type(error).__name__}: {error}") from error

    def _ready(self) -> NodeProxyConfig:
        if self._config is None:
            raise NetworkDriverError("the node's proxy has not been set up")
        return self._config

    async def setup(self, config: NodeProxyConfig) -> None:
        """Route the Services' ranges; the rules come with the first `sync`."""

        def work(netlink: Any) -> bool:
            self._claim = self._claim or kernel.claim_node()
            if self._claim is None:
                return False
            kernel.route_services(netlink, config.service_cidrs, config.source_addresses)
            return kernel.see_bridged()

        sees_bridged = await self._run(work)
        if self._claim is None:
            raise NetworkDriverError("another agent serves the Services in this network namespace")
        self._skeleton = skeleton(config.service_cidrs, () if sees_bridged else config.pod_cidrs)
        self._config = config

    async def sync(self, services: Mapping[ServiceKey, ServiceState]) -> Sequence[ProxyProblem]:
        """Replace the table. Of two Services that claim one place, the older one has it."""
        async with self._lock:
            self._ready()
            ordered = sorted(services, key=lambda key: _age(services[key], key))
            rendered, frontends, problems = self._plan({key: services[key] for key in ordered})
            taken = await self._rebuild(rendered)
            former, self._frontends = self._frontends, frontends
            await self._forget(former, frontends)
            return [*problems, *taken]

    async def apply(self, changes: Mapping[ServiceKey, ServiceState | None]) -> Sequence[ProxyProblem]:
        """Change elements."""
        async with self._lock:
            self._ready()
            if self._state is None:
                raise NetworkDriverError("nothing has been synced yet")
            rendered, frontends, problems = self._plan(changes)
            if all(self._frontends.get(key, []) == frontends.get(key, []) for key in changes):
                return problems
            if self._state.lacks(rendered.values()):
                # nft cannot take a chain that looks up a map of an earlier transaction (typeof maps, nft 1.0).
                known = {key: one for key, one in self._state.rendered().items() if key not in rendered}
                taken = await self._rebuild({**known, **rendered})
            else:
                lines, taken = self._state.change(rendered)
                if lines:
                    await self._commit(lines, self._state)
            former = {key: self._frontends.pop(key, []) for key in changes}
            self._frontends |= frontends
            await self._forget(former, frontends)
            return [*problems, *taken]

    async def _rebuild(self, rendered: Mapping[ServiceKey, Rendered | None]) -> list[ProxyProblem]:
        """Replace the whole table in one transaction, with chains for twice the endpoints that any Service has."""
        sizes = {(kind, 2 * count) for one in rendered.values() if one for kind, count in one.picks}
        picks = first_picks() | {(kind, count) for kind, most in sizes for count in range(1, most + 1)}
        state = TableState(picks)
        lines, taken = state.change(rendered)
        table = [*self._skeleton, *(pick_chain(kind, count) for kind, count in sorted(picks))]
        await self._commit([*table, *lines], state)
        self._rules = rules_of(table)
        log.info("services_synced", **state.statistics())
        return taken

    def _plan(
        self, services: Mapping[ServiceKey, ServiceState | None]
    ) -> tuple[dict[ServiceKey, Rendered | None], dict[ServiceKey, list[Frontend]], list[ProxyProblem]]:
        rendered: dict[ServiceKey, Rendered | None] = {}
        frontends: dict[ServiceKey, list[Frontend]] = {}
        problems: list[ProxyProblem] = []
        for key, state in services.items():
            rendered[key] = None
            if state is not None:
                frontends[key], found = plan_frontends(state, self._ready())
                problems += found
                rendered[key] = render(frontends[key])
        return rendered, frontends, problems

    async def _commit(self, lines: Sequence[str], state: TableState) -> None:
        """Commit; when that fails, what `state` says is no longer true, and only a `sync` helps."""
        self._state = None
        await self._nft.commit(lines)
        self._state = state

    async def _forget(
        self, before: Mapping[ServiceKey, list[Frontend]], now: Mapping[ServiceKey, list[Frontend]]
    ) -> None:
        """Drop the UDP flows of endpoints that have left, and those that began before there was any (K76)."""
        flows = {flow for key in before for flow in stale_flows(before[key], now.get(key, []))}
        if not flows:
            return
        try:
            count = await self._run(lambda _netlink: kernel.forget_udp(flows))
        except NetworkDriverError as error:
            log.warning("udp_flows_not_forgotten", error=str(error))
        else:
            log.debug("udp_flows_forgotten", count=count)

    async def check(self) -> None:
        """Compare the chains and how many rules each has with what was applied."""
        async with self._lock:
            self._ready()
            if self._state is None:
                raise NetworkDriverError("the last change of the table failed")
            rules = await self._nft.rules()
            if rules != {**self._rules, **self._state.expected_rules()}:
                self._state = None
                raise NetworkDriverError("somebody has changed or removed the table inet windlass")

    async def teardown(self) -> None:
        """Remove table and routes, unless another agent here still uses them."""

        def claim(_netlink: Any) -> socket.socket | None:
            return self._claim or kernel.claim_node()

        async with self._lock:
            self._claim = await self._run(claim)
            if self._claim is None:
                return
            await self._nft.drop()
            await self._run(kernel.unroute_services)
            self._claim.close()
            self._claim = None
            self._config, self._state, self._frontends = None, None, {}


def _age(state: ServiceState, key: ServiceKey) -> tuple[str, ServiceKey]:
    return str(state.service["metadata"].get("creationTimestamp") or ""), key


def stale_flows(before: Sequence[Frontend], now: Sequence[Frontend]) -> set[kernel.Flow]:
    """Return the UDP flows that must not go on as they are. Pure."""
    after = {(one.family, one.address, one.port): one for one in now if one.protocol == "udp"}
    flows: set[kernel.Flow] = set()
    for one in before:
        if one.protocol != "udp":
            continue
        new = after.get((one.family, one.address, one.port))
        kept = {end.address for end in new.endpoints} if new is not None else set()
        flows |= {(one.address, one.port, end.address) for end in one.endpoints if end.address not in kept}
        if not one.endpoints and kept:
            flows.add((one.address, one.port, ""))
    return flows


def build(_config: Mapping[str, Any]) -> NftablesProxy:
    """Build the driver."""
    return NftablesProxy()
