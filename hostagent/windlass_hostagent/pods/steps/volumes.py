"""Step: a pod's volumes. Mounted before its containers, removed after them; both safe to repeat."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from windlass.plugin.interfaces.runtime import Mount
from windlass_hostagent.context import AgentContext
from windlass_hostagent.pods.volumes.manager import Mounted

Obj = dict[str, Any]
READY = Mounted(ready=True)


async def mount(context: AgentContext, pod: Obj, ips: Sequence[str], wake: Callable[[], None]) -> Mounted:
    """Bring the pod's volumes. Not ready: an event has said why, the containers have to wait."""
    if context.volumes is None or not pod["spec"].get("volumes"):
        return READY
    return await context.volumes.mount(pod, ips, wake)


async def container_mounts(context: AgentContext, pod: Obj, container: Obj, env: Mapping[str, str]) -> Sequence[Mount]:
    """Return what a container mounts. Raises RuntimeDriverError whose reason is shown as waiting."""
    if context.volumes is None or not (container.get("volumeMounts") or container.get("volumeDevices")):
        return ()
    return await context.volumes.container_mounts(pod, container, env)


async def unmount(context: AgentContext, pod: Obj) -> None:
    """Remove the pod's volumes, also when they were never mounted. Raises VolumeDriverError for what is still in use."""
    if context.volumes is not None:
        await context.volumes.unmount(pod["metadata"]["uid"])
