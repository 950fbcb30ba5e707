"""Step: make a container's image local, as its pull policy says. Pods that want the same image share one pull."""

import asyncio
from collections.abc import Sequence
from typing import Any

from windlass.clock import Clock
from windlass.errors import ApiError, RuntimeDriverError
from windlass.plugin.interfaces.runtime import Image, RegistryAuth, RuntimeDriver
from windlass_hostagent.context import AgentContext
from windlass_hostagent.pods.pull_secrets import credentials

Obj = dict[str, Any]
Wanted = tuple[str, tuple[RegistryAuth, ...]]
PARALLEL_PULLS = 4


class ImagePuller:
    """Pulls each image once at a time. `run` owns the pulls, so that a pod that goes away only stops waiting.

    Pods share a pull only when they bring the same credentials: nobody gets an image by another's right.
    """

    def __init__(self, runtime: RuntimeDriver, clock: Clock) -> None:
        self._runtime = runtime
        self._clock = clock
        self._pulls: dict[Wanted, asyncio.Future[float]] = {}
        self._queue: asyncio.Queue[tuple[Wanted, asyncio.Future[float]]] = asyncio.Queue()

    async def run(self) -> None:
        """Serve pulls until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(PARALLEL_PULLS):
                group.create_task(self._serve())

    async def _serve(self) -> None:
        while True:
            wanted, future = await self._queue.get()
            started = self._clock.monotonic()
            try:
                await self._pull(*wanted)
            except RuntimeDriverError as error:
                future.set_exception(error)
                future.exception()  # nobody may be waiting any more: that is no lost error
            else:
                future.set_result(self._clock.monotonic() - started)
            finally:
                del self._pulls[wanted]
                if not future.done():
                    future.cancel()

    async def _pull(self, image: str, auths: Sequence[RegistryAuth]) -> None:
        """Try each of the credentials, without any when there are none. Raises the last try's error."""
        problem: RuntimeDriverError | None = None
        for auth in auths or (None,):
            try:
                await self._runtime.pull_image(image, auth)
            except RuntimeDriverError as error:
                problem = error
            else:
                return
        if problem is not None:
            raise problem

    async def pull(self, image: str, auths: Sequence[RegistryAuth] = ()) -> float:
        """Pull, or join a pull under way; return the seconds it took. Raises RuntimeDriverError."""
        wanted = image, tuple(auths)
        future = self._pulls.get(wanted)
        if future is None:
            future = asyncio.get_running_loop().create_future()
            self._pulls[wanted] = future
            self._queue.put_nowait((wanted, future))
        return await asyncio.shield(future)

    async def status(self, image: str) -> Image | None:
        """Look for a local image."""
        return await self._runtime.image_status(image)


def pull_policy(container: Obj) -> str:
    """Return the pull policy, with the API's default for objects that were never defaulted."""
    policy = container.get("imagePullPolicy")
    if policy:
        return str(policy)
    tag = container["image"].rpartition("/")[2].partition("@")[0].partition(":")[2]
    pinned = "@" in container["image"] or tag not in ("", "latest")
    return "IfNotPresent" if pinned else "Always"


async def pull_credentials(context: AgentContext, pod: Obj, image: str) -> list[RegistryAuth]:
    """Read the pod's pull secrets; one that is absent or unreadable is named in an event and does not stop the pull."""
    namespace = pod["metadata"]["namespace"]
    secrets: list[Obj] = []
    missing: list[str] = []
    for reference in pod["spec"].get("imagePullSecrets") or ():
        name = reference.get("name") or ""
        try:
            secret = await context.fetch("Secret", namespace, name) if name else None
        except ApiError:
            secret = None
        if secret is None:
            missing.append(name)
        else:
            secrets.append(secret)
    if missing:
        message = (
            f"Unable to retrieve some image pull secrets ({', '.join(missing)}); "
            "attempting to pull the image may not succeed."
        )
        context.event(pod, "Warning", "FailedToRetrieveImagePullSecret", message)
    return list(credentials(image, secrets))


async def ensure_image(context: AgentContext, pod: Obj, container: Obj) -> None:
    """Make the image local. Raises RuntimeDriverError: ErrImageNeverPull, ErrImagePull, InvalidImageName."""
    image, name = container["image"], container["name"]
    policy = pull_policy(container)
    if policy != "Always":
        if await context.images.status(image) is not None:
            message = f'Container image "{image}" already present on machine'
            context.event(pod, "Normal", "Pulled", message, name)
            return
        if policy == "Never":
            message = f'Container image "{image}" is not present with pull policy of Never'
            context.event(pod, "Warning", "ErrImageNeverPull", message, name)
            raise RuntimeDriverError(message, reason="ErrImageNeverPull")
    context.event(pod, "Normal", "Pulling", f'Pulling image "{image}"', name)
    try:
        seconds = await context.images.pull(image, await pull_credentials(context, pod, image))
    except RuntimeDriverError as error:
        context.event(pod, "Warning", "Failed", f'Failed to pull image "{image}": {error}', name)
        context.event(pod, "Warning", "Failed", f"Error: {error.reason}", name)
        raise
    found = await context.images.status(image)
    size = found.size_bytes if found else 0
    message = f'Successfully pulled image "{image}" in {seconds:.3f}s. Image size: {size} bytes.'
    context.event(pod, "Normal", "Pulled", message, name)
