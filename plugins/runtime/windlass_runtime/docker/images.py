"""Docker's images: look, pull, list, remove."""

from collections.abc import Sequence
from typing import Any

import docker

from windlass.errors import RuntimeDriverError
from windlass.logs import get_logger
from windlass.plugin.interfaces.runtime import Image, RegistryAuth
from windlass_runtime import pause
from windlass_runtime.docker.engine import UNAVAILABLE, DockerApiError, DockerEngine, NotFound

PULL_SECONDS = 600.0
"""Longest pull; a registry that is silent for a whole call's time-out ends it sooner."""
log = get_logger(__name__)


def _image(row: dict[str, Any]) -> Image:
    tags = tuple(row.get("RepoTags") or ())
    return Image(row["Id"], tags, int(row.get("Size") or 0), pinned=pause.IMAGE in tags)


async def status(engine: DockerEngine, image: str) -> Image | None:
    """Describe a local image; None when it is not here."""
    try:
        return _image(await engine.call(lambda c: c.inspect_image(image)))  # type: ignore[no-untyped-call]
    except NotFound:
        return None
    except DockerApiError as error:
        reason = "InvalidImageName" if error.status_code == 400 else "ErrImageInspect"
        raise RuntimeDriverError(f'cannot look for image "{image}": {error.explanation}', reason=reason) from error


def _pull(client: docker.APIClient, image: str, auth: RegistryAuth | None) -> None:
    """Pull in a thread, reading the progress to its end. Raises RuntimeDriverError(ErrImagePull)."""
    for step in client.pull(image, stream=True, decode=True, auth_config=_auth_config(auth) if auth else None):
        if "error" in step:
            raise RuntimeDriverError(str(step["error"]), reason="ErrImagePull")


def _auth_config(auth: RegistryAuth) -> dict[str, str]:
    """Write credentials as Docker's X-Registry-Auth has them. Pure."""
    if auth.identity_token:
        return {"identitytoken": auth.identity_token, "serveraddress": auth.server_address}
    return {"username": auth.username, "password": auth.password, "serveraddress": auth.server_address}


async def pull(engine: DockerEngine, image: str, auth: RegistryAuth | None = None) -> str:
    """Pull and return the image's id. Raises RuntimeDriverError with ErrImagePull or InvalidImageName."""
    try:
        await engine.call(lambda c: _pull(c, image, auth), seconds=PULL_SECONDS)
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
