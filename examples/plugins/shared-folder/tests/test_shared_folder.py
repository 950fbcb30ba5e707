"""The driver through the suite that Windlass' own drivers pass, and what is special about it."""

# ruff: noqa: D101, D102

import pytest
from windlass_shared_folder.plugin import SharedFolderDriver

from windlass import PublishRequest, VolumeAccess, VolumeDriverError
from windlass.testing.conformance.volume import VolumeConformance


def csi(folder):
    return {"name": "vol", "csi": {"driver": "shared-folder.example.com", "volumeAttributes": {"folder": folder}}}


class TestSharedFolder(VolumeConformance):
    target_holds = False

    @pytest.fixture
    def driver(self, tmp_path):
        return SharedFolderDriver({"root": str(tmp_path / "shared")})

    @pytest.fixture
    def volume(self):
        return csi("media")

    @pytest.fixture
    def pod(self):
        return {"metadata": {"name": "web", "namespace": "ns", "uid": "uid"}, "spec": {"containers": []}}

    @pytest.fixture
    def access(self):
        return VolumeAccess(fetch=None, token=None)

    async def test_a_name_that_leads_away_is_refused(self, driver, pod, access, target):
        for name in ("", "..", "a/b", "/etc", "Ä", "x" * 64):
            with pytest.raises(VolumeDriverError):
                await driver.node_publish_volume(PublishRequest(pod, csi(name), target), access)
