"""Volumes, with CSI's verbs.

Life of a volume on a node: `node_stage_volume` (once per node and volume, where the driver says that it stages) ->
`node_publish_volume` (once per pod, into a directory of that pod that the driver fills or mounts) -> ...
`node_unpublish_volume` -> `node_unstage_volume`. Drivers of ephemeral volumes (emptyDir, configMap, ...) have no staging
and no controller verbs. Every verb is idempotent; every undo is safe without the do. A driver never follows a symlink
out of the directory that it was given. `windlass.plugin.hostfs` has what drivers need of the host for that.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

Obj = dict[str, Any]


@dataclass(frozen=True, slots=True)
class VolumeAccess:
    """What node drivers may ask of the agent while they publish.

    `fetch` reads a ConfigMap or Secret by (kind, namespace, name) as the node, None when there is none; the agent
    publishes again when it changes. `token` returns a service account token for (pod, audience, expiration_seconds) and
    after how many seconds to ask again; the same token until then. Both raise ApiError. `memory_bytes` is the node's
    memory.
    """

    fetch: Callable[[str, str, str], Awaitable[Obj | None]]
    token: Callable[[Obj, str, int], Awaitable[tuple[str, float]]]
    memory_bytes: int = 0


@dataclass(frozen=True, slots=True)
class PublishRequest:
    """One volume of one pod. `volume` is the entry of `spec.volumes`, `target` the directory to fill or mount on.

    The parent of `target` is there, `target` itself is the driver's to make. `fs_group` None leaves ownership alone.
    `persistent_volume` is the PersistentVolume behind a claim, else None; `staging` the directory of
    `node_stage_volume`, empty without staging. `ips`, `host_ips` and `allocatable` are facts for the downward API.
    """

    pod: Obj
    volume: Obj
    target: str
    readonly: bool = False
    fs_group: int | None = None
    persistent_volume: Obj | None = None
    staging: str = ""
    ips: Sequence[str] = ()
    host_ips: Sequence[str] = ()
    allocatable: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Published:
    """Where a published volume is. `path` is what is bind-mounted into containers (often `target` itself).

    `refresh_seconds` is when to publish again so that content stays fresh (rotated tokens); None means only when what
    was fetched, or the pod's labels or annotations, have changed. `readonly` volumes are mounted read-only whatever the
    container asks. `size_limit_bytes` is what the pod may store there before it is evicted, 0 for no limit.
    """

    path: str
    refresh_seconds: float | None = None
    readonly: bool = False
    size_limit_bytes: int = 0


@dataclass(frozen=True, slots=True)
class VolumeUsage:
    """What a volume uses and may use; -1 where the driver cannot tell.

    `shared` says that the numbers are those of a whole file system that others use too.
    """

    used_bytes: int = -1
    capacity_bytes: int = -1
    used_inodes: int = -1
    capacity_inodes: int = -1
    shared: bool = False


class NodeVolumeDriver(Protocol):
    """Volumes of one sort on one node. Errors are VolumeDriverError with the reason that users know.

    `sources` are the keys of a pod's volume entry that this driver serves (`emptyDir`, `configMap`, ...), or CSI
    driver names for persistent volumes. No verb blocks the loop.
    """

    sources: Sequence[str]
    stages: bool

    async def node_stage_volume(self, persistent_volume: Obj, staging: str) -> None:
        """Make the volume ready on this node, once for all its pods."""
        ...

    async def node_unstage_volume(self, persistent_volume: Obj, staging: str) -> None:
        """Undo it."""
        ...

    async def node_publish_volume(self, request: PublishRequest, access: VolumeAccess) -> Published:
        """Bring the volume into the pod's directory; a second call refreshes its content atomically."""
        ...

    async def node_unpublish_volume(self, target: str) -> None:
        """Undo it, by the path alone: the pod and its spec may be gone."""
        ...

    async def node_get_volume_stats(self, path: str) -> VolumeUsage:
        """Measure it. `path` is that of `Published`."""
        ...
