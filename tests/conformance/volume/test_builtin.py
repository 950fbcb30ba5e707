"""Every built-in volume driver through the suite that third parties' drivers run too."""

import base64
import subprocess
from typing import ClassVar

import pytest

from windlass.plugin.interfaces.volume import CreateVolumeRequest, VolumeAccess
from windlass.testing.conformance.provisioner import ProvisionerConformance, persistent_volume_of
from windlass.testing.conformance.volume import VolumeConformance
from windlass_storage.plugin import register_volume_drivers

pytestmark = pytest.mark.root

DRIVERS = {registration.name: registration for registration in register_volume_drivers()}
OBJECTS = {
    ("ConfigMap", "ns", "data"): {"data": {"key": "value", "other": "more"}},
    ("Secret", "ns", "data"): {"data": {"key": base64.b64encode(b"value").decode()}},
}


async def fetch(kind, namespace, name):
    return OBJECTS.get((kind, namespace, name))


async def token(_pod, audience, seconds):
    return f"token-{audience}-{seconds}", 60.0


@pytest.fixture
def access():
    return VolumeAccess(fetch, token, 1 << 30)


@pytest.fixture
def pod():
    return {
        "metadata": {"name": "web", "namespace": "ns", "uid": "uid", "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "main", "image": "i"}]},
    }


class Builtin(VolumeConformance):
    name = ""
    source: ClassVar[dict] = {}

    @pytest.fixture
    def driver(self):
        return DRIVERS[self.name].build({"node_name": "n", "state_dir": ""})

    @pytest.fixture
    def volume(self):
        return {"name": "vol", **self.source}


class TestEmptyDir(Builtin):
    name = "empty-dir"
    source: ClassVar[dict] = {"emptyDir": {}}


class TestEmptyDirInMemory(Builtin):
    name = "empty-dir"
    source: ClassVar[dict] = {"emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}


class TestHostPath(Builtin):
    name = "host-path"
    source: ClassVar[dict] = {}
    target_holds = False

    @pytest.fixture
    def volume(self, tmp_path):
        return {"name": "vol", "hostPath": {"path": str(tmp_path / "host"), "type": "DirectoryOrCreate"}}


class TestConfigMap(Builtin):
    name = "configmap"
    source: ClassVar[dict] = {"configMap": {"name": "data"}}


class TestSecret(Builtin):
    name = "secret"
    source: ClassVar[dict] = {"secret": {"secretName": "data"}}


class TestDownwardApi(Builtin):
    name = "downward-api"
    source: ClassVar[dict] = {
        "downwardAPI": {"items": [{"path": "in/labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}
    }


class TestProjected(Builtin):
    name = "projected"
    source: ClassVar[dict] = {
        "projected": {
            "sources": [
                {"secret": {"name": "data"}},
                {"configMap": {"name": "absent", "optional": True}},
                {"serviceAccountToken": {"path": "token", "audience": "vault"}},
            ]
        }
    }


CLAIM = {"persistentVolumeClaim": {"claimName": "c"}}


class Persistent(Builtin):
    """Drivers of persistent volumes."""

    source: ClassVar[dict] = CLAIM

    @pytest.fixture
    def driver(self, tmp_path):
        return DRIVERS[self.name].build({"node_name": "n", "state_dir": str(tmp_path / "state")})


class TestHostPathVolume(Persistent):
    name = "host-path"
    target_holds = False

    @pytest.fixture
    def persistent_volume(self, tmp_path):
        return {"metadata": {"name": "pv"}, "spec": {"hostPath": {"path": str(tmp_path / "host")}}}


class Made(Persistent, ProvisionerConformance):
    """Volumes that the driver itself makes."""

    @pytest.fixture
    async def persistent_volume(self, driver):
        return persistent_volume_of("pv", await driver.create_volume(CreateVolumeRequest("pv", 8 << 20)))


class TestLocal(Made):
    name = "local"


@pytest.mark.loop
class TestLoop(Made):
    name = "loop"


@pytest.mark.nfs
class TestNfs(Persistent):
    """Against a real nfs-kernel-server on the loopback address."""

    name = "nfs"

    @pytest.fixture
    def persistent_volume(self, tmp_path):
        export = tmp_path / "export"
        export.mkdir()
        subprocess.run(["rpc.nfsd", "1"], check=True)
        subprocess.run(
            ["exportfs", "-i", "-o", "rw,no_root_squash,insecure,fsid=7", f"127.0.0.1:{export}"], check=True
        )
        yield {"metadata": {"name": "pv"}, "spec": {"nfs": {"server": "127.0.0.1", "path": str(export)}}}
        subprocess.run(["exportfs", "-u", f"127.0.0.1:{export}"], check=True)
        subprocess.run(["rpc.nfsd", "0"], check=True)


def test_every_driver_is_here():
    tested = {test.name for kind in (Builtin, Persistent, Made) for test in kind.__subclasses__()}
    assert tested - {""} == set(DRIVERS)
