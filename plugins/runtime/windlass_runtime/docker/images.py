"""Docker's images: look, pull, import, list, remove."""

import io
import json
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

import docker

from windlass.errors import RuntimeDriverError
from windlass.logs import get_logger
from windlass.plugin.interfaces.runtime import Image, RegistryAuth
from windlass_runtime import pause
from windlass_runtime.archive import ArchivedImage, ArchiveError, ImageArchive, normal_name
from windlass_runtime.docker.engine import UNAVAILABLE, DockerApiError, DockerEngine, NotFound

PULL_SECONDS = 600.0
"""Longest pull; a registry that is silent for a whole call's time-out ends it sooner."""
MAX_UNPACKED = 64 << 30
"""More than this no compressed stream of an archive may unpack to."""
log = get_logger(__name__)


def _image(row: dict[str, Any]) -> Image:
    user = str((row.get("Config") or {}).get("User") or "")
    tags = tuple(row.get("RepoTags") or ())
    return Image(row["Id"], tags, int(row.get("Size") or 0), pinned=pause.IMAGE in tags, user=user)


async def status(engine: DockerEngine, image: str) -> Image | None:
    """Describe a local image; None when it is not here."""
    try:
        return _image(await engine.request("GET", f"/images/{quote(image)}/json"))
    except NotFound:
        return None
    except DockerApiError as error:
        reason = "InvalidImageName" if error.status_code == 400 else "ErrImageInspect"
        raise RuntimeDriverError(f'cannot look for image "{image}": {error.explanation}', reason=reason) from error


def auth_config(auth: RegistryAuth | None) -> dict[str, str] | None:
    """Translate credentials for the SDK. Pure; None pulls as anybody."""
    if auth is None or not (auth.username or auth.identity_token):
        return None
    config = {"serveraddress": auth.server_address}
    if auth.identity_token:
        return {**config, "identitytoken": auth.identity_token}
    return {**config, "username": auth.username, "password": auth.password}


def _pull(client: docker.APIClient, image: str, auth: dict[str, str] | None) -> None:
    """Pull in a thread, reading the progress to its end. Raises RuntimeDriverError(ErrImagePull)."""
    for step in client.pull(image, stream=True, decode=True, auth_config=auth):
        if "error" in step:
            raise RuntimeDriverError(str(step["error"]), reason="ErrImagePull")


async def pull(engine: DockerEngine, image: str, auth: RegistryAuth | None = None) -> str:
    """Pull and return the image's id. Raises RuntimeDriverError with ErrImagePull or InvalidImageName."""
    try:
        await engine.call(lambda c: _pull(c, image, auth_config(auth)), seconds=PULL_SECONDS)
    except DockerApiError as error:
        reason = "InvalidImageName" if error.status_code == 400 else "ErrImagePull"
        raise RuntimeDriverError(str(error.explanation), reason=reason) from error
    except RuntimeDriverError as error:
        reason = "ErrImagePull" if error.reason == UNAVAILABLE else error.reason
        raise RuntimeDriverError(str(error), reason=reason) from error
    found = await status(engine, image)
    if found is None:
        raise RuntimeDriverError(f'image "{image}" is not here after its pull', reason="ErrImagePull")
    return found.id


@contextmanager
def _loadable(archive: str) -> Iterator[IO[bytes]]:
    """Open an archive as Docker's loader wants it: an OCI layout is written anew. Blocking; raises ArchiveError."""
    with ImageArchive.opened(Path(archive), limit=MAX_UNPACKED) as found:
        images = found.images()
        with tempfile.TemporaryFile() as copy, tarfile.open(archive) as tar:
            if any(member.name.removeprefix("./") == "manifest.json" for member in tar):
                with Path(archive).open("rb") as plain:
                    yield plain
                return
            _write_saved(found.file, images, tar, copy)
            copy.seek(0)
            yield copy


def _write_saved(file: IO[bytes], images: Sequence[ArchivedImage], tar: tarfile.TarFile, copy: IO[bytes]) -> None:
    """Write images as `docker save` does: their configurations byte by byte, for their digests are the images' ids."""
    rows = []
    with tarfile.open(fileobj=copy, mode="w") as out:
        for number, image in enumerate(images):
            config = tar.extractfile(f"blobs/sha256/{image.id.removeprefix('sha256:')}")
            data = config.read() if config else b""
            names = [f"{number}-{place}.layer" for place in range(len(image.layers))]
            _add(out, f"{number}.json", len(data), io.BytesIO(data))
            for name, layer in zip(names, image.layers, strict=True):
                file.seek(layer.offset)
                _add(out, name, layer.size, file)
            tags = [normal_name(name) for name in image.names]
            rows.append({"Config": f"{number}.json", "RepoTags": tags, "Layers": names})
        manifest = json.dumps(rows).encode()
        _add(out, "manifest.json", len(manifest), io.BytesIO(manifest))


def _add(out: tarfile.TarFile, name: str, size: int, content: IO[bytes]) -> None:
    info = tarfile.TarInfo(name)
    info.size = size
    out.addfile(info, content)


def _load(client: docker.APIClient, archive: str) -> list[str]:
    """Load in a thread; return what Docker says it has loaded."""
    names: list[str] = []
    with _loadable(archive) as data:
        for step in client.load_image(data):  # type: ignore[no-untyped-call]
            if "error" in step:
                raise ArchiveError(str(step["error"]))
            names += loaded_names(str(step.get("stream", "")))
    return names


def loaded_names(text: str) -> list[str]:
    """Read `Loaded image: NAME` and `Loaded image ID: ID`. Pure."""
    return [line.split(": ", 1)[1] for line in text.splitlines() if line.startswith("Loaded image") and ": " in line]


async def load(engine: DockerEngine, archive: str) -> Sequence[str]:
    """Load an archive and return the names it brought. Raises ArchiveError."""
    try:
        return await engine.call(lambda c: _load(c, archive), seconds=PULL_SECONDS)
    except DockerApiError as error:
        raise ArchiveError(str(error.explanation)) from error
    except OSError as error:
        raise ArchiveError(f"cannot read {archive}: {error}") from error


async def list_all(engine: DockerEngine) -> Sequence[Image]:
    """List local images."""
    return [_image(row) for row in await engine.call(lambda c: c.images())]


async def remove(engine: DockerEngine, image: str) -> None:
    """Remove a local image; unknown ones are fine."""
    try:
        await engine.call(lambda c: c.remove_image(image))
    except NotFound:
        log.debug("image_already_removed", image=image)
    except DockerApiError as error:
        raise RuntimeDriverError(f'cannot remove image "{image}": {error.explanation}') from error
