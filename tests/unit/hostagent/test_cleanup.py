"""`windlass hostagent --cleanup` leaves no container and no mount; what is on the disk stays."""

import pytest

from windlass.plugin.hostfs import mounts
from windlass.plugin.interfaces.network import NodeNetworkConfig
from windlass.plugin.interfaces.runtime import SandboxConfig
from windlass.testing.clock import FakeClock
from windlass_hostagent.cleanup import clean_up
from windlass_runtime.hollow.driver import build

pytestmark = pytest.mark.root
CONFIG = NodeNetworkConfig("n", "192.0.2.1", ["10.0.0.0/24"], [], [], "")


async def cleaned(runtime, data_dir):
    return await clean_up(runtime, None, CONFIG, data_dir)


async def test_sandboxes_and_mounts_go_files_stay(tmp_path):
    runtime = build({"clock": FakeClock(), "node_name": "n"})
    await runtime.run_pod_sandbox(SandboxConfig("web", "default", "uid"))
    volume = tmp_path / "pods/uid/volumes/empty-dir"
    (volume / "memory").mkdir(parents=True)
    (volume / "disk").mkdir()
    (volume / "disk/f").write_text("kept")
    mounts.mount_tmpfs(str(volume / "memory"))
    assert await cleaned(runtime, tmp_path) == []
    assert mounts.mounts_at_or_below(str(tmp_path)) == []
    assert await runtime.list_pod_sandboxes() == []
    assert (volume / "disk/f").read_text() == "kept"
    assert await cleaned(runtime, tmp_path / "never-ran") == []


async def test_what_is_busy_is_named(tmp_path):
    volume = tmp_path / "pods/uid/volumes/empty-dir/memory"
    volume.mkdir(parents=True)
    mounts.mount_tmpfs(str(volume))
    with open(volume / "f", "w"):
        (problem,) = await cleaned(build({"clock": FakeClock(), "node_name": "n"}), tmp_path)
    assert str(volume) in problem
    mounts.unmount_all(str(tmp_path))
