"""What every driver that makes volumes has to do. Its tests subclass `ProvisionerConformance`, beside `VolumeConformance`.

They give it the fixture `driver`; root, where making a volume needs it. `persistent_volume_of` is what the agent writes.
"""

from pathlib import Path
from typing import Any

import pytest

from windlass.errors import VolumeDriverError
from windlass.plugin.interfaces.volume import (
    CreatedVolume,
    CreateVolumeRequest,
    NodeVolumeExpander,
    Obj,
    PublishRequest,
    VolumeAccess,
    VolumeExpander,
    VolumeProvisioner,
)

SIZE = 8 << 20
MORE = 16 << 20
TOO_MUCH = 1 << 60
CANARY = "content"


def persistent_volume_of(name: str, made: CreatedVolume) -> Obj:
    """Return the PersistentVolume of a made volume, as far as drivers look at it."""
    return {"metadata": {"name": name}, "spec": {"capacity": {"storage": str(made.capacity_bytes)}, **made.source}}


class ProvisionerConformance:
    """The suite."""

    provisioner_size = SIZE

    async def _make(self, driver: VolumeProvisioner, name: str = "pvc-1", **fields: Any) -> Obj:
        made = await driver.create_volume(CreateVolumeRequest(name, self.provisioner_size, **fields))
        assert made.capacity_bytes >= self.provisioner_size
        return persistent_volume_of(name, made)

    def test_it_has_the_capability(self, driver: VolumeProvisioner) -> None:
        """`provisioner` is a name as StorageClasses write it."""
        assert isinstance(driver, VolumeProvisioner)
        assert driver.provisioner

    async def test_creating_again_finds_the_same_volume(self, driver: VolumeProvisioner) -> None:
        """The name is the key, also for another process."""
        assert await self._make(driver) == await self._make(driver)
        assert await self._make(driver, "pvc-2") != await self._make(driver)

    async def test_what_does_not_fit_is_refused_and_leaves_nothing(self, driver: VolumeProvisioner) -> None:
        """The reason lets another node be chosen."""
        with pytest.raises(VolumeDriverError) as refused:
            await driver.create_volume(CreateVolumeRequest("pvc-1", TOO_MUCH))
        assert refused.value.reason == "ResourceExhausted"
        assert (await self._make(driver))["metadata"]["name"] == "pvc-1"

    async def test_capacity_shrinks_by_what_is_promised(self, driver: VolumeProvisioner) -> None:
        """Other tenants of the disk may write meanwhile, so only that it is a sensible number is certain."""
        await self._make(driver)
        assert 0 <= await driver.get_capacity({}) < TOO_MUCH

    async def test_delete_may_be_repeated_and_removes_the_content(
        self, driver: Any, access: VolumeAccess, pod: Obj, tmp_path: Path
    ) -> None:
        """A volume of the same name made afterwards is empty."""
        volume = await self._make(driver)
        await self._write(driver, volume, pod, access, tmp_path)
        await driver.delete_volume(volume)
        await driver.delete_volume(volume)
        again = await self._make(driver)
        assert CANARY not in await self._listed(driver, again, pod, access, tmp_path)

    async def test_a_staged_volume_is_not_deleted(self, driver: Any, tmp_path: Path) -> None:
        """Its pods would lose what they write."""
        if not driver.stages:
            pytest.skip("the driver does not stage")
        volume, staging = await self._make(driver), str(tmp_path / "staging")
        await driver.node_stage_volume(volume, staging)
        with pytest.raises(VolumeDriverError):
            await driver.delete_volume(volume)
        await driver.node_unstage_volume(volume, staging)
        await driver.delete_volume(volume)

    @pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", ".hidden"])
    async def test_a_name_that_leads_elsewhere_is_refused(self, driver: VolumeProvisioner, name: str) -> None:
        """Names come from the API."""
        with pytest.raises(VolumeDriverError):
            await driver.create_volume(CreateVolumeRequest(name, self.provisioner_size))

    async def test_growing_keeps_the_content_and_never_shrinks(
        self, driver: Any, access: VolumeAccess, pod: Obj, tmp_path: Path
    ) -> None:
        """Also when it is told twice."""
        grows = isinstance(driver, VolumeExpander)
        if not grows:
            pytest.skip("the driver's volumes do not grow")
        volume = await self._make(driver)
        await self._write(driver, volume, pod, access, tmp_path)
        assert await driver.expand_volume(volume, MORE) >= MORE
        assert await driver.expand_volume(volume, self.provisioner_size) >= MORE
        assert CANARY in await self._listed(driver, volume, pod, access, tmp_path)
        with pytest.raises(VolumeDriverError):
            await driver.expand_volume(volume, TOO_MUCH)

    async def test_what_was_not_grown_in_use_is_larger_when_staged_again(self, driver: Any, tmp_path: Path) -> None:
        """Offline expansion: nobody need call `node_expand_volume`."""
        grows = isinstance(driver, NodeVolumeExpander)
        if not grows:
            pytest.skip("the driver's volumes have no file system of their own")
        volume, staging = await self._make(driver), str(tmp_path / "staging")
        sizes = []
        for _ in range(2):
            await driver.node_stage_volume(volume, staging)
            sizes.append((await driver.node_get_volume_stats(staging)).capacity_bytes)
            await driver.node_unstage_volume(volume, staging)
            await driver.expand_volume(volume, 4 * MORE)
        assert sizes[1] > sizes[0] * 2

    async def test_a_clone_has_the_content_and_goes_its_own_way(
        self, driver: Any, access: VolumeAccess, pod: Obj, tmp_path: Path
    ) -> None:
        """The source may be deleted afterwards."""
        volume = await self._make(driver)
        await self._write(driver, volume, pod, access, tmp_path)
        clone = await self._make(driver, "pvc-clone", source=volume)
        await driver.delete_volume(volume)
        assert CANARY in await self._listed(driver, clone, pod, access, tmp_path)

    async def _write(self, driver: Any, volume: Obj, pod: Obj, access: VolumeAccess, tmp_path: Path) -> None:
        await self._listed(driver, volume, pod, access, tmp_path, write=True)

    @staticmethod
    async def _listed(
        driver: Any, volume: Obj, pod: Obj, access: VolumeAccess, tmp_path: Path, *, write: bool = False
    ) -> list[str]:
        """Use the volume as a pod does, and return the names in it."""
        staging = str(tmp_path / "use") if driver.stages else ""
        if staging:
            await driver.node_stage_volume(volume, staging)
        entry = {"name": "vol", "persistentVolumeClaim": {"claimName": "c"}}
        request = PublishRequest(pod, entry, str(tmp_path / "vol"), persistent_volume=volume, staging=staging)
        published = await driver.node_publish_volume(request, access)
        if write:
            (Path(published.path) / CANARY).write_text(CANARY)
        names = _names(published.path)
        await driver.node_unpublish_volume(request.target)
        if staging:
            await driver.node_unstage_volume(volume, staging)
        return names


def _names(path: str) -> list[str]:
    return [entry.name for entry in Path(path).iterdir()]
