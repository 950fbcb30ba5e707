"""What every Service proxy has to do. A driver's tests subclass `ProxyConformance`.

They give it the fixtures `proxy` (set up on a node named node-1 with the service range 10.96.0.0/16 and the pods
10.201.7.0/28), `reach` (a connection from the node: the `address:port` that answers, None when it is refused) and have
servers listen at 10.201.7.2:8080 and 10.201.7.3:8080, and at port 8081 of both.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

from windlass.plugin.interfaces.proxy import ProxyDriver, ServiceKey, ServiceState

Reach: TypeAlias = Callable[[str, int], Awaitable[str | None]]
POD_CIDR, SERVICE_CIDR, NODE = "10.201.7.0/28", "10.96.0.0/16", "node-1"
ONE, TWO = "10.201.7.2", "10.201.7.3"
TRIES = 12


def service(name: str = "web", address: str = "10.96.0.20", **spec: Any) -> dict[str, Any]:
    """Return a Service with port 80."""
    whole = {
        "clusterIP": address,
        "clusterIPs": [address],
        "type": "ClusterIP",
        "ports": [{"port": 80, "protocol": "TCP", "targetPort": 8080}],
        **spec,
    }
    stamp = "2026-01-01T00:00:00Z"
    return {"metadata": {"name": name, "namespace": "default", "creationTimestamp": stamp}, "spec": whole}


def endpoint(address: str, node: str = NODE, *, ready: bool = True, terminating: bool = False) -> dict[str, Any]:
    """Return an endpoint of a slice; one that is terminating still serves."""
    conditions = {"ready": ready, "serving": ready or terminating, "terminating": terminating}
    return {"addresses": [address], "nodeName": node, "conditions": conditions}


def endpoint_slice(
    *endpoints: dict[str, Any], port: int = 8080, name: str = "", protocol: str = "TCP"
) -> dict[str, Any]:
    """Return an IPv4 slice."""
    ports = [{"name": name, "port": port, "protocol": protocol}]
    return {"addressType": "IPv4", "endpoints": list(endpoints), "ports": ports}


def state(*endpoints: dict[str, Any], port: int = 8080, **spec: Any) -> ServiceState:
    """Return the Service `web` with these endpoints."""
    return ServiceState(service(**spec), [endpoint_slice(*endpoints, port=port)])


def keyed(*states: ServiceState) -> Mapping[ServiceKey, ServiceState]:
    """Return them as `sync` wants them."""
    return {(one.service["metadata"]["namespace"], one.service["metadata"]["name"]): one for one in states}


WEB = ("default", "web")


async def _all(reach: Reach, address: str = "10.96.0.20", port: int = 80) -> set[str | None]:
    return {await reach(address, port) for _ in range(TRIES)}


class ProxyConformance:
    """The suite."""

    async def test_a_service_leads_to_all_of_its_endpoints(self, proxy: ProxyDriver, reach: Reach) -> None:
        """`sync` is enough for connections, and may be repeated."""
        for _ in range(2):
            await proxy.sync(keyed(state(endpoint(ONE), endpoint(TWO))))
            assert await _all(reach) <= {f"{ONE}:8080", f"{TWO}:8080"}
        await proxy.check()

    async def test_a_service_without_endpoints_refuses(self, proxy: ProxyDriver, reach: Reach) -> None:
        """Nobody waits for a Service that nobody serves, nor for an address that is no Service's."""
        await proxy.sync(keyed(state()))
        assert await reach("10.96.0.20", 80) is None
        assert await reach("10.96.0.21", 80) is None

    async def test_changes_apply(self, proxy: ProxyDriver, reach: Reach) -> None:
        """K76: endpoints come, move and leave; the Service goes."""
        await proxy.sync({})
        await proxy.apply({WEB: state(endpoint(ONE))})
        assert await _all(reach) == {f"{ONE}:8080"}
        await proxy.apply({WEB: state(endpoint(TWO))})
        assert await _all(reach) == {f"{TWO}:8080"}
        await proxy.apply({WEB: state(endpoint(TWO), port=8081)})
        assert await _all(reach) == {f"{TWO}:8081"}
        await proxy.apply({WEB: None})
        assert await reach("10.96.0.20", 80) is None

    async def test_unready_endpoints_get_nothing(self, proxy: ProxyDriver, reach: Reach) -> None:
        """Ready ones alone are used; where none is, those that still serve while they end."""
        await proxy.sync(keyed(state(endpoint(ONE, ready=False), endpoint(TWO))))
        assert await _all(reach) == {f"{TWO}:8080"}
        ending = endpoint(ONE, ready=False, terminating=True)
        await proxy.apply({WEB: state(ending, endpoint(TWO))})
        assert await _all(reach) == {f"{TWO}:8080"}
        await proxy.apply({WEB: state(ending, endpoint(TWO, ready=False))})
        assert await _all(reach) == {f"{ONE}:8080"}

    async def test_affinity_keeps_a_client(self, proxy: ProxyDriver, reach: Reach) -> None:
        """C209, C214: ClientIP pins a client to an endpoint while that one lives; None lets go."""
        both = (endpoint(ONE), endpoint(TWO))
        await proxy.sync(keyed(state(*both, sessionAffinity="ClientIP")))
        pinned = await _all(reach)
        assert len(pinned) == 1
        await proxy.apply({WEB: state(endpoint(TWO), sessionAffinity="ClientIP")})
        assert await _all(reach) == {f"{TWO}:8080"}
        await proxy.apply({WEB: state(*both)})
        assert await _all(reach) <= {f"{ONE}:8080", f"{TWO}:8080"}
        await proxy.check()

    async def test_a_local_policy_keeps_traffic_on_the_node(self, proxy: ProxyDriver, reach: Reach) -> None:
        """InternalTrafficPolicy Local uses this node's endpoints only."""
        await proxy.sync(keyed(state(endpoint(ONE, "node-2"), endpoint(TWO), internalTrafficPolicy="Local")))
        assert await _all(reach) == {f"{TWO}:8080"}

    async def test_martian_endpoints_are_left_out_and_named(self, proxy: ProxyDriver, reach: Reach) -> None:
        """K77: the rest of the Service is served."""
        bad = [endpoint(ip) for ip in ("127.0.0.1", "169.254.169.254", "10.96.0.1")]
        problems = await proxy.sync(keyed(state(*bad, endpoint(ONE))))
        assert {problem.reason for problem in problems} == {"InvalidEndpoint"}
        assert len(problems) == len(bad)
        assert await _all(reach) == {f"{ONE}:8080"}

    async def test_a_place_belongs_to_one_service(self, proxy: ProxyDriver, reach: Reach) -> None:
        """The later claim is named, and served when the earlier one has gone."""
        external: dict[str, Any] = {"externalIPs": ["10.99.0.1"]}
        first = ServiceState(service(**external), [endpoint_slice(endpoint(ONE))])
        second = ServiceState(service("zweb", "10.96.0.30", **external), [endpoint_slice(endpoint(TWO))])
        problems = await proxy.sync(keyed(first, second))
        assert [(one.service, one.reason) for one in problems] == [(("default", "zweb"), "AddressInUse")]
        assert await reach("10.96.0.30", 80) == f"{TWO}:8080"
        await proxy.apply({WEB: None})
        assert await _all(reach, "10.96.0.30") == {f"{TWO}:8080"}

    async def test_teardown_may_be_repeated(self, proxy: ProxyDriver) -> None:
        """After `teardown` nothing is left, and it needs no `setup`."""
        await proxy.sync(keyed(state(endpoint(ONE))))
        await proxy.teardown()
        await proxy.teardown()
