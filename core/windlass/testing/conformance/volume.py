"""What every node volume driver has to do. A driver's tests subclass `VolumeConformance`.

They give it the fixtures `driver`, `volume` (an entry of `spec.volumes` that the driver serves, named `vol`), `pod`, and
`access`; root, where the driver mounts. `target_holds` says whether the driver fills the target directory at all.
A driver of persistent volumes gives `persistent_volume` too, an async fixture: a volume that is there, which the suite
stages where the driver says so. Whoever makes volumes passes `windlass.testing.conformance.provisioner` as well.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from windlass.plugin.hostfs import mounts
from windlass.plugin.interfaces.volume import NodeVolumeDriver, Obj, PublishRequest, VolumeAccess

CANARY = "untouched"


class VolumeConformance:
    """The suite."""

    target_holds = True

    @pytest.fixture
    def target(self, tmp_path: Path) -> str:
        """Make a place as the agent gives it: its parent is there, it is not."""
        parent = tmp_path / "pods/uid/volumes/driver"
        parent.mkdir(parents=True)
        return str(parent / "vol")

    @pytest.fixture
    def persistent_volume(self) -> Obj | None:
        """None: the driver's volumes live in pods' own entries."""
        return None

    @pytest.fixture
    async def request_(
        self, driver: NodeVolumeDriver, pod: Obj, volume: Obj, target: str, persistent_volume: Obj | None
    ) -> AsyncIterator[PublishRequest]:
        """One volume of one pod, staged if the driver stages."""
        staging = str(Path(target).parent / "staging") if driver.stages else ""
        if persistent_volume is not None and staging:
            await driver.node_stage_volume(persistent_volume, staging)
        yield PublishRequest(
            pod=pod, volume=volume, target=target, persistent_volume=persistent_volume, staging=staging
        )
        if persistent_volume is not None and staging:
            await driver.node_unstage_volume(persistent_volume, staging)

    def test_it_says_what_it_serves(self, driver: NodeVolumeDriver) -> None:
        """`sources` are not empty, `stages` is a truth value."""
        assert driver.sources
        assert isinstance(driver.stages, bool)

    async def test_publish_gives_a_path_that_is_there(
        self, driver: NodeVolumeDriver, request_: PublishRequest, access: VolumeAccess
    ) -> None:
        """What is published can be bind-mounted."""
        published = await driver.node_publish_volume(request_, access)
        assert _there(published.path)
        if self.target_holds:
            assert published.path == request_.target
        assert published.refresh_seconds is None or published.refresh_seconds > 0
        await driver.node_unpublish_volume(request_.target)

    async def test_publish_may_be_repeated(
        self, driver: NodeVolumeDriver, request_: PublishRequest, access: VolumeAccess
    ) -> None:
        """A second publish changes nothing that does not differ, mounts nothing twice."""
        first = await driver.node_publish_volume(request_, access)
        before, mounted = _snapshot(first.path), len(mounts.mounts_at_or_below(first.path))
        second = await driver.node_publish_volume(request_, access)
        assert (second.path, second.readonly) == (first.path, first.readonly)
        assert _snapshot(second.path) == before
        assert len(mounts.mounts_at_or_below(second.path)) == mounted
        await driver.node_unpublish_volume(request_.target)

    async def test_unpublish_leaves_nothing_and_may_be_repeated(
        self, driver: NodeVolumeDriver, request_: PublishRequest, access: VolumeAccess
    ) -> None:
        """No mount, no file; by the path alone; also when nothing was published."""
        await driver.node_unpublish_volume(request_.target)
        await driver.node_publish_volume(request_, access)
        await driver.node_unpublish_volume(request_.target)
        await driver.node_unpublish_volume(request_.target)
        assert not _there(request_.target)
        assert mounts.mounts_at_or_below(request_.target) == []

    async def test_unpublish_follows_no_symlink(
        self, driver: NodeVolumeDriver, request_: PublishRequest, access: VolumeAccess, tmp_path: Path
    ) -> None:
        """What a container linked to from its volume stays."""
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / CANARY).write_text(CANARY)
        published = await driver.node_publish_volume(request_, access)
        if self.target_holds:
            _link(f"{published.path}/away", outside)
        await driver.node_unpublish_volume(request_.target)
        assert (outside / CANARY).read_text() == CANARY

    async def test_a_target_that_is_a_symlink_is_not_followed(
        self, driver: NodeVolumeDriver, request_: PublishRequest, tmp_path: Path
    ) -> None:
        """Removing a symlink in the target's place removes the symlink at most."""
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / CANARY).write_text(CANARY)
        _link(request_.target, outside)
        await driver.node_unpublish_volume(request_.target)
        assert (outside / CANARY).read_text() == CANARY

    async def test_after_a_lost_mount_publish_makes_it_again(
        self, driver: NodeVolumeDriver, request_: PublishRequest, access: VolumeAccess
    ) -> None:
        """As after a reboot: directories are there, mounts are not."""
        first = await driver.node_publish_volume(request_, access)
        if self.target_holds:
            mounts.unmount_all(request_.target)
        again = await driver.node_publish_volume(request_, access)
        assert again.path == first.path
        assert _there(again.path)
        await driver.node_unpublish_volume(request_.target)

    async def test_many_at_once(
        self, driver: NodeVolumeDriver, request_: PublishRequest, access: VolumeAccess, target: str
    ) -> None:
        """Volumes of several pods are published side by side."""
        requests = [replace(request_, target=f"{target}-{i}") for i in range(8)]
        await asyncio.gather(*(driver.node_publish_volume(r, access) for r in requests))
        await asyncio.gather(*(driver.node_unpublish_volume(r.target) for r in requests))
        assert [m for i in range(8) for m in mounts.mounts_at_or_below(f"{target}-{i}")] == []

    async def test_stats_never_fail(
        self, driver: NodeVolumeDriver, request_: PublishRequest, access: VolumeAccess
    ) -> None:
        """Numbers are -1 or more, also for a path that is gone."""
        published = await driver.node_publish_volume(request_, access)
        found = await driver.node_get_volume_stats(published.path)
        assert min(found.used_bytes, found.capacity_bytes, found.used_inodes, found.capacity_inodes) >= -1
        await driver.node_unpublish_volume(request_.target)
        gone = await driver.node_get_volume_stats(request_.target + "-gone")
        assert gone.used_bytes == -1

    async def test_staging_may_be_repeated_and_undone(
        self, driver: NodeVolumeDriver, persistent_volume: Obj | None, tmp_path: Path
    ) -> None:
        """Drivers without staging do nothing; the undo needs no do."""
        staging = str(tmp_path / "staging")
        volume = persistent_volume or {}
        await driver.node_unstage_volume(volume, staging)
        await driver.node_stage_volume(volume, staging)
        await driver.node_stage_volume(volume, staging)
        assert len(mounts.mounts_at_or_below(staging)) == (1 if driver.stages else 0)
        await driver.node_unstage_volume(volume, staging)
        await driver.node_unstage_volume(volume, staging)
        assert not _there(staging)

    async def test_what_is_written_stays_for_the_next_pod(
        self, driver: NodeVolumeDriver, request_: PublishRequest, access: VolumeAccess
    ) -> None:
        """A persistent volume outlives its pod."""
        if request_.persistent_volume is None:
            pytest.skip("the driver's volumes end with their pods")
        first = await driver.node_publish_volume(request_, access)
        (Path(first.path) / CANARY).write_text(CANARY)
        await driver.node_unpublish_volume(request_.target)
        second = await driver.node_publish_volume(replace(request_, target=request_.target + "-2"), access)
        assert (Path(second.path) / CANARY).read_text() == CANARY
        await driver.node_unpublish_volume(request_.target + "-2")


def _there(path: str) -> bool:
    return os.path.lexists(path)


def _link(path: str, goal: Path) -> None:
    Path(path).symlink_to(goal)


def _snapshot(path: str) -> Mapping[str, tuple[int, int, bytes]]:
    """Return mode, inode and content of every file: what a needless rewrite would change."""
    found = {}
    for parent, _, names in os.walk(path):
        for name in names:
            file = Path(parent) / name
            status = file.lstat()
            content = b"" if file.is_symlink() else file.read_bytes()
            found[str(file)] = (status.st_mode, status.st_ino, content)
    return found
