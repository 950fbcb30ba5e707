"""The process runtime against the suite of all runtimes: isolated as root, plain without."""

import io
import tarfile

import pytest

from windlass.testing.conformance.runtime import RuntimeConformance
from windlass.testing.dockerd import busybox_layer
from windlass_runtime.process.driver import build


@pytest.mark.root
@pytest.mark.busybox
class TestIsolated(RuntimeConformance):
    @pytest.fixture
    async def driver(self, tmp_path):
        rootfs = tmp_path / "images" / "busybox%3Alocal" / "rootfs"
        rootfs.mkdir(parents=True)
        with tarfile.open(fileobj=io.BytesIO(busybox_layer())) as tar:
            tar.extractall(rootfs, filter="fully_trusted")
        driver = build({"state_dir": str(tmp_path), "isolated": True})
        await driver.start()
        yield driver
        await driver.close()


class TestPlain(RuntimeConformance):
    image = "host"
    isolates = False

    @pytest.fixture
    async def driver(self, tmp_path):
        driver = build({"state_dir": str(tmp_path), "isolated": False})
        await driver.start()
        yield driver
        await driver.close()
