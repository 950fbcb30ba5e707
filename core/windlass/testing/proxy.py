"""A proxy that forwards nothing: it keeps what it was told and answers where a connection would go."""

import ipaddress
import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from windlass.errors import NetworkDriverError
from windlass.plugin.interfaces.proxy import NodeProxyConfig, ProxyProblem, ServiceKey, ServiceState


class FakeProxy:
    """For tests of what uses a proxy. `failures` are raised by the next calls of `sync` and `apply`, one each."""

    def __init__(self) -> None:
        self.config: NodeProxyConfig | None = None
        self.services: dict[ServiceKey, ServiceState] = {}
        self.failures: list[NetworkDriverError] = []
        self.calls: list[tuple[str, int]] = []
        self.intact = True
        self._pinned: dict[tuple[ServiceKey, int], str] = {}

    async def setup(self, config: NodeProxyConfig) -> None:
        """Remember the node."""
        self.config = config

    async def sync(self, services: Mapping[ServiceKey, ServiceState]) -> Sequence[ProxyProblem]:
        """Take over all Services."""
        self._call("sync", len(services))
        self.services, self.intact = dict(services), True
        return self._problems(services.items())

    async def apply(self, changes: Mapping[ServiceKey, ServiceState | None]) -> Sequence[ProxyProblem]:
        """Take over changes."""
        self._call("apply", len(changes))
        for key, state in changes.items():
            self.services.pop(key, None)
            if state is not None:
                self.services[key] = state
        return self._problems((key, state) for key, state in changes.items() if state is not None)

    def _call(self, verb: str, count: int) -> None:
        self.calls.append((verb, count))
        if self.failures:
            self.intact = False
            raise self.failures.pop(0)

    async def check(self) -> None:
        """Raise when a test has said that somebody interfered."""
        if not self.intact:
            raise NetworkDriverError("somebody has interfered")

    async def teardown(self) -> None:
        """Forget everything."""
        self.services, self.config = {}, None

    def route(self, address: str, port: int) -> str | None:
        """Return the `address:port` that a connection from the node would come to; None when it is refused."""
        for key, state in self.services.items():
            spec = state.service["spec"]
            for one in spec.get("ports") or ():
                if one["port"] == port and address in (spec.get("clusterIP"), *(spec.get("externalIPs") or ())):
                    return self._choose(key, one, state)
        return None

    def _choose(self, key: ServiceKey, port: Mapping[str, Any], state: ServiceState) -> str | None:
        spec = state.service["spec"]
        found = self._usable(port, state)
        if not found:
            return None
        pin = key, port["port"]
        if spec.get("sessionAffinity") == "ClientIP":
            if self._pinned.get(pin) not in found:
                self._pinned[pin] = random.choice(found)  # noqa: S311 - no secret
            return self._pinned[pin]
        return random.choice(found)  # noqa: S311 - no secret

    def _usable(self, port: Mapping[str, Any], state: ServiceState) -> list[str]:
        local = state.service["spec"].get("internalTrafficPolicy") == "Local"
        ready: list[str] = []
        ending: list[str] = []
        for piece in state.slices:
            numbers = [one["port"] for one in piece["ports"] if (one.get("name") or "") == (port.get("name") or "")]
            for entry in piece["endpoints"]:
                if self._is_bad(entry["addresses"][0]) or (local and entry.get("nodeName") != self._node):
                    continue
                places = [f"{entry['addresses'][0]}:{number}" for number in numbers]
                conditions = entry.get("conditions") or {}
                if conditions.get("ready", True):
                    ready += places
                elif conditions.get("serving") and conditions.get("terminating"):
                    ending += places
        return ready or ending

    @property
    def _node(self) -> str:
        return self.config.node_name if self.config else ""

    def _is_bad(self, text: str) -> bool:
        address = ipaddress.ip_address(text)
        ranges = [ipaddress.ip_network(one) for one in (self.config.service_cidrs if self.config else ())]
        return address.is_loopback or address.is_link_local or any(address in network for network in ranges)

    def _problems(self, services: Iterable[tuple[ServiceKey, ServiceState]]) -> list[ProxyProblem]:
        found: list[ProxyProblem] = []
        for key, state in services:
            addresses = [e["addresses"][0] for piece in state.slices for e in piece["endpoints"]]
            bad = [a for a in addresses if self._is_bad(a)]
            found += [ProxyProblem(key, "InvalidEndpoint", f"endpoint {a} is not served") for a in bad]
            owner = self._owner_of(key, state)
            if owner is not None:
                found.append(ProxyProblem(key, "AddressInUse", f"it belongs to Service {owner[0]}/{owner[1]}"))
        return found

    def _owner_of(self, key: ServiceKey, state: ServiceState) -> ServiceKey | None:
        """Return an earlier Service that has one of the external addresses."""
        mine = set(state.service["spec"].get("externalIPs") or ())
        for other, there in self.services.items():
            if other == key:
                return None
            if mine & set(there.service["spec"].get("externalIPs") or ()):
                return other
        return None
