"""configMap, secret, downwardAPI, projected: data of the API as files that change all at once."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from windlass.errors import ApiError, VolumeDriverError
from windlass.plugin.hostfs import trees
from windlass.plugin.interfaces.volume import Published, PublishRequest, VolumeAccess
from windlass_storage import atomic_writer
from windlass_storage.atomic_writer import FileContent
from windlass_storage.ephemeral import EphemeralDriver, make_directory
from windlass_storage.payload import default_mode_of, keyed_files, pod_files

Obj = Mapping[str, Any]
MODE = 0o755
TOKEN_MODE_WITH_GROUP = 0o600
KINDS = {"configMap": "ConfigMap", "secret": "Secret"}


class ApiDataDriver(EphemeralDriver, ABC):
    """Writes a payload into the pod's directory; read-only for containers. In memory unless it is a mere ConfigMap."""

    source = ""
    in_memory = True

    def __init__(self) -> None:
        self.sources = (self.source,)

    async def node_publish_volume(self, request: PublishRequest, access: VolumeAccess) -> Published:
        """Fetch, then write if anything has changed."""
        files, refresh = await self.payload(request.volume[self.source] or {}, request, access)
        try:
            await asyncio.to_thread(self._write, request, files)
        except OSError as error:
            raise VolumeDriverError(str(error)) from error
        return Published(request.target, refresh_seconds=refresh, readonly=True)

    def _write(self, request: PublishRequest, files: atomic_writer.Payload) -> None:
        make_directory(request.target, MODE, in_memory=self.in_memory)
        group = request.fs_group

        def prepare(version: str) -> None:
            if group is not None:
                trees.give_to_group(version, group, readonly=True)

        added = 0 if group is None else trees.READ_ONLY
        atomic_writer.write(request.target, files, prepare=prepare, added_bits=added)

    @abstractmethod
    async def payload(
        self, source: Obj, request: PublishRequest, access: VolumeAccess
    ) -> tuple[dict[str, FileContent], float | None]:
        """Return the files, and after how many seconds to look again. Raises VolumeDriverError."""


class ConfigMapDriver(ApiDataDriver):
    """A ConfigMap's keys."""

    source = "configMap"
    in_memory = False

    async def payload(
        self, source: Obj, request: PublishRequest, access: VolumeAccess
    ) -> tuple[dict[str, FileContent], float | None]:
        """Fetch the ConfigMap."""
        return await fetched(self.source, source, default_mode_of(source), request, access), None


class SecretDriver(ConfigMapDriver):
    """A Secret's keys, never on a disk."""

    source = "secret"
    in_memory = True


class DownwardApiDriver(ApiDataDriver):
    """Fields of the pod itself."""

    source = "downwardAPI"

    async def payload(
        self,
        source: Obj,
        request: PublishRequest,
        access: VolumeAccess,  # noqa: ARG002
    ) -> tuple[dict[str, FileContent], float | None]:
        """Read the pod."""
        return pod_files(source.get("items"), request, default_mode_of(source)), None


class ProjectedDriver(ApiDataDriver):
    """Several sources in one directory; a later source's file takes the place of an earlier one's."""

    source = "projected"

    async def payload(
        self, source: Obj, request: PublishRequest, access: VolumeAccess
    ) -> tuple[dict[str, FileContent], float | None]:
        """Gather all sources; every failing one is named."""
        files: dict[str, FileContent] = {}
        waits: list[float] = []
        problems: list[str] = []
        mode = default_mode_of(source)
        for entry in source.get("sources") or ():
            try:
                found, wait = await projection(entry, mode, request, access)
            except VolumeDriverError as error:
                problems.append(str(error))
                continue
            files.update(found)
            if wait is not None:
                waits.append(wait)
        if problems:
            raise VolumeDriverError(problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]")
        return files, min(waits, default=None)


async def projection(
    entry: Obj, mode: int, request: PublishRequest, access: VolumeAccess
) -> tuple[dict[str, FileContent], float | None]:
    """Return one projected source's files, and when to look again."""
    for key in KINDS:
        if entry.get(key) is not None:
            return await fetched(key, entry[key], mode, request, access), None
    if entry.get("downwardAPI") is not None:
        return pod_files(entry["downwardAPI"].get("items"), request, mode), None
    if entry.get("serviceAccountToken") is not None:
        return await token_file(entry["serviceAccountToken"], mode, request, access)
    given = next((key for key, value in entry.items() if value is not None), "")
    raise VolumeDriverError(f"projected source {given!r} is not served by this node")


async def fetched(
    key: str, source: Obj, mode: int, request: PublishRequest, access: VolumeAccess
) -> dict[str, FileContent]:
    """Return the files of a ConfigMap or Secret source."""
    kind = KINDS[key]
    name = source.get("secretName") or source.get("name") or ""
    try:
        obj = await access.fetch(kind, request.pod["metadata"]["namespace"], name)
    except ApiError as error:
        raise VolumeDriverError(str(error)) from error
    return keyed_files(kind, obj, source, mode)


async def token_file(
    source: Obj, mode: int, request: PublishRequest, access: VolumeAccess
) -> tuple[dict[str, FileContent], float]:
    """Return the service account token's file; with an fsGroup only that group may read it, not everybody."""
    seconds = source.get("expirationSeconds")
    try:
        token, wait = await access.token(
            request.pod, source.get("audience") or "", 3600 if seconds is None else seconds
        )
    except ApiError as error:
        raise VolumeDriverError(f"failed to fetch token: {error}") from error
    if request.fs_group is not None:
        mode = TOKEN_MODE_WITH_GROUP
    return {source["path"]: FileContent(token.encode(), mode)}, wait
