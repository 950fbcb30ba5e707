"""Drivers of persistent volumes: what they promise, what they refuse, what they run."""

import pytest

from windlass.errors import VolumeDriverError
from windlass.plugin.interfaces.volume import CreateVolumeRequest, PublishRequest, VolumeAccess
from windlass.testing.conformance.provisioner import persistent_volume_of
from windlass_storage.binding import capacity_of, only_on_mismatch
from windlass_storage.local import LocalDriver
from windlass_storage.loop import LoopDriver
from windlass_storage.nfs import NfsDriver, mount_command

KB = 1024
ACCESS = VolumeAccess(None, None)
POD = {"metadata": {"name": "web", "namespace": "ns", "uid": "uid"}, "spec": {}}


@pytest.fixture
def local(tmp_path):
    """A driver on a disk of 1000 KiB, of which what is written is used."""
    return LocalDriver(str(tmp_path), lambda _path: 1000 * KB)


async def make(driver, name, size, **fields):
    return persistent_volume_of(name, await driver.create_volume(CreateVolumeRequest(name, size, **fields)))


async def test_no_more_is_promised_than_the_disk_has(local):
    await make(local, "a", 600 * KB)
    left = await local.get_capacity({})
    assert 400 * KB <= left < 500 * KB  # an empty directory takes a little itself
    with pytest.raises(VolumeDriverError, match="not enough room") as refused:
        await make(local, "b", 500 * KB)
    assert refused.value.reason == "ResourceExhausted"
    await make(local, "b", 400 * KB)


async def test_what_is_deleted_can_be_promised_again(local, tmp_path):
    volume = await make(local, "a", 900 * KB)
    await local.delete_volume(volume)
    await make(local, "b", 900 * KB)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".promises", "b"]


async def test_growing_is_accounted(local):
    volume = await make(local, "a", 500 * KB)
    assert await local.expand_volume(volume, 900 * KB) == 900 * KB
    with pytest.raises(VolumeDriverError, match="not enough room"):
        await local.expand_volume(volume, 1200 * KB)
    with pytest.raises(VolumeDriverError, match="not enough room"):
        await make(local, "b", 300 * KB)


async def test_somebody_elses_directory_is_never_removed(local, tmp_path):
    (tmp_path / "other/precious").mkdir(parents=True)
    for path in (tmp_path / "other/precious", tmp_path / "../other", tmp_path / ".promises", tmp_path):
        with pytest.raises(VolumeDriverError):
            await local.delete_volume({"metadata": {}, "spec": {"local": {"path": str(path)}}})
    assert (tmp_path / "other/precious").is_dir()


async def test_blocks_are_refused(local, tmp_path):
    for driver in (local, LoopDriver(str(tmp_path))):
        with pytest.raises(VolumeDriverError, match="block"):
            await driver.create_volume(CreateVolumeRequest("a", KB, volume_mode="Block"))


async def test_a_clone_of_another_sort_is_refused(local, tmp_path):
    foreign = {"metadata": {}, "spec": {"nfs": {"server": "s", "path": "/p"}}}
    for driver in (local, LoopDriver(str(tmp_path))):
        with pytest.raises(VolumeDriverError, match="clone"):
            await driver.create_volume(CreateVolumeRequest("a", KB, source=foreign))


@pytest.mark.parametrize("path", ["relative", "/x/../y", "/nowhere/at/all"])
async def test_a_local_path_that_is_not_there_is_told(local, tmp_path, path):
    volume = {"metadata": {}, "spec": {"local": {"path": path}}}
    with pytest.raises(VolumeDriverError):
        await local.node_publish_volume(PublishRequest(POD, {}, str(tmp_path / "t"), persistent_volume=volume), ACCESS)


def test_the_command_that_mounts_an_export():
    source = {"server": "fd00::1", "path": "/srv/data"}
    assert mount_command(source, "/t", ["nfsvers=4.2"], readonly=True) == [
        "/usr/bin/mount", "-t", "nfs", "-o", "nfsvers=4.2,ro", "--", "[fd00::1]:/srv/data", "/t",
    ]  # fmt: skip
    assert mount_command({"server": "nas", "path": "/"}, "/t", (), readonly=False)[3:] == ["--", "nas:/", "/t"]


@pytest.mark.parametrize("source", [{}, {"server": "-o", "path": "/"}, {"server": "a/b", "path": "/"}, {"server": "s", "path": "x"}])
def test_an_export_that_none_can_be_is_refused(source):
    with pytest.raises(VolumeDriverError, match="nfs"):
        mount_command(source, "/t", (), readonly=False)


async def test_an_export_that_does_not_answer_leaves_nothing(tmp_path):
    async def fails(*_command):
        raise VolumeDriverError("mount.nfs: Connection refused")

    driver = NfsDriver(fails)
    entry = {"name": "v", "nfs": {"server": "nas", "path": "/"}}
    with pytest.raises(VolumeDriverError, match="refused"):
        await driver.node_publish_volume(PublishRequest(POD, entry, str(tmp_path / "t")), ACCESS)
    assert not (tmp_path / "t").exists()


def test_small_facts():
    assert capacity_of({"spec": {"capacity": {"storage": "1Gi"}}}) == 1 << 30
    assert capacity_of({}) == 0
    assert only_on_mismatch({"spec": {"securityContext": {"fsGroupChangePolicy": "OnRootMismatch"}}})
    assert not only_on_mismatch({"spec": {}})
