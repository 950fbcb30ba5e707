"""The docker runtime against the suite of all runtimes, on a daemon of its own."""


import pytest

from windlass.testing.conformance.runtime import RuntimeConformance
from windlass.testing.dockerd import PrivateDockerd
from windlass_runtime.docker.driver import build

pytestmark = [pytest.mark.docker, pytest.mark.busybox]


@pytest.fixture(scope="module")
def dockerd():
    with PrivateDockerd.temporary() as daemon:
        daemon.import_busybox()
        yield daemon


class TestDocker(RuntimeConformance):
    @pytest.fixture
    async def driver(self, dockerd):
        driver = build({"endpoint": dockerd.endpoint, "node_name": "node-1"})
        await driver.start()
        yield driver
        await driver.close()
