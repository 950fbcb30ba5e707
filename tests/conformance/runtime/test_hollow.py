"""The hollow runtime against the suite of all runtimes."""

import pytest

from windlass.testing.conformance.runtime import RuntimeConformance
from windlass_runtime.hollow.driver import build


class TestHollow(RuntimeConformance):
    runs_processes = False

    @pytest.fixture
    async def driver(self):
        driver = build({"missing_images": [self.missing_image], "local_images": [self.image]})
        await driver.start()
        yield driver
        await driver.close()
