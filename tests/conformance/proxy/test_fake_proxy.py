"""The fake proxy keeps the contract that the real one keeps."""

import pytest

from windlass.plugin.interfaces.proxy import NodeProxyConfig
from windlass.testing.conformance.proxy import NODE, POD_CIDR, SERVICE_CIDR, ProxyConformance
from windlass.testing.proxy import FakeProxy


@pytest.fixture
async def proxy():
    proxy = FakeProxy()
    await proxy.setup(NodeProxyConfig(NODE, ["192.0.2.1"], [POD_CIDR], [SERVICE_CIDR]))
    return proxy


@pytest.fixture
def reach(proxy):
    async def connect(address, port):
        return proxy.route(address, port)

    return connect


class TestFakeProxy(ProxyConformance):
    pass
