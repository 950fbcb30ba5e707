"""Folders of the node that pods share by name, as inline CSI volumes.

[plugins.config.shared-folder]
root = "/srv/shared"
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import marshmallow

from windlass import (
    DriverRegistration,
    Published,
    PublishRequest,
    VolumeAccess,
    VolumeDriverError,
    VolumeUsage,
    hookimpl,
)
from windlass.plugin.hostfs import trees

NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


class Section(marshmallow.Schema):
    """The plugin's configuration."""

    root = marshmallow.fields.String(load_default="/srv/shared")


class SharedFolderDriver:
    """Makes the folder when the first pod asks for it, and leaves it when the last one has gone."""

    sources = ("shared-folder.example.com",)
    stages = False

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._root = Path(config["root"])

    async def node_stage_volume(self, persistent_volume: dict[str, Any], staging: str) -> None:
        """Do nothing: there is nothing to attach."""

    async def node_unstage_volume(self, persistent_volume: dict[str, Any], staging: str) -> None:
        """Do nothing."""

    async def node_publish_volume(self, request: PublishRequest, access: VolumeAccess) -> Published:  # noqa: ARG002
        """Make the folder. The name is checked, so that no pod asks for a folder outside of ours."""
        source = request.volume["csi"]
        name = (source.get("volumeAttributes") or {}).get("folder", "")
        if NAME.fullmatch(name) is None:
            raise VolumeDriverError(f"volumeAttributes.folder: {name!r} must be a name of small letters and digits")
        folder = self._root / name
        await asyncio.to_thread(_make, folder, request.fs_group)
        return Published(str(folder), readonly=bool(source.get("readOnly")))

    async def node_unpublish_volume(self, target: str) -> None:
        """Do nothing: the folder is there for the next pod, and nothing was mounted on the target."""

    async def node_get_volume_stats(self, path: str) -> VolumeUsage:
        """Count the files; others write them too, so no pod is to be blamed."""
        try:
            used = await asyncio.to_thread(trees.measure, path)
        except FileNotFoundError:
            return VolumeUsage()
        return VolumeUsage(used_bytes=used.bytes, used_inodes=used.inodes, shared=True)


def _make(folder: Path, group: int | None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if group is not None:
        trees.give_to_group(str(folder), group, only_on_mismatch=True)


@hookimpl
def register_config_schema() -> Mapping[str, Any]:
    """Bring the schema of our own configuration section."""
    return {"section": "shared-folder", "schema": Section}


@hookimpl
def register_volume_drivers() -> Sequence[DriverRegistration]:
    """Hand out the one driver."""
    return [DriverRegistration("shared-folder", SharedFolderDriver, "folders of the node that pods share by name")]
