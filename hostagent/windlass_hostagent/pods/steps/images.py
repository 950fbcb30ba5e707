"""Step: make a container's image local, as its pull policy says. Pods that want the same image share one pull."""

import asyncio
from typing import Any

from windlass.clock import Clock
from windlass.errors import RuntimeDriverError
from windlass.plugin.interfaces.runtime import Image, RuntimeDriver
from windlass_hostagent.context import AgentContext

Obj = dict[str, Any]
PARALLEL_PULLS = 4


class ImagePuller:
    """Pulls each image once at a time. `run` owns the pulls, so that a pod that goes away only stops waiting."""

    def __init__(self, runtime: RuntimeDriver, clock: Clock) -> None:
        self._runtime = runtime
        self._clock = clock
        self._pulls: dict[str, asyncio.Future[float]] = {}
        self._queue: asyncio.Queue[tuple[str, asyncio.Future[float]]] = asyncio.Queue()

    async def run(self) -> None:
        """Serve pulls until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(PARALLEL_PULLS):
                group.create_task(self._serve())

    async def _serve(self) -> None:
        while True:
            image, future = await self._queue.get()
            started = self._clock.monotonic()
            try:
                await self._runtime.pull_image(image)
            except RuntimeDriverError as error:
                future.set_exception(error)
                future.exception()  # nobody may be waiting any more: that is no lost error
            else:
                future.set_result(self._clock.monotonic() - started)
            finally:
                del self._pulls[image]
                if not future.done():
                    future.cancel()

    async def pull(self, image: str) -> float:
        """Pull, or join a pull under way; return the seconds it took. Raises RuntimeDriverError."""
        future = self._pulls.get(image)
        if future is None:
            future = asyncio.get_running_loop().create_future()
            self._pulls[image] = future
            self._queue.put_nowait((image, future))
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
        seconds = await context.images.pull(image)
    except RuntimeDriverError as error:
        context.event(pod, "Warning", "Failed", f'Failed to pull image "{image}": {error}', name)
        context.event(pod, "Warning", "Failed", f"Error: {error.reason}", name)
        raise
    found = await context.images.status(image)
    size = found.size_bytes if found else 0
    message = f'Successfully pulled image "{image}" in {seconds:.3f}s. Image size: {size} bytes.'
    context.event(pod, "Normal", "Pulled", message, name)
