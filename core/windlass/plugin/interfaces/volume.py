"""Volumes, with CSI's verbs.

A driver is one object with one or more capabilities, each a Protocol here. Whoever asks for a capability looks whether
the driver has it (`isinstance`): a driver that cannot make volumes simply lacks `create_volume`.

Life of a volume on a node (`NodeVolumeDriver`): `node_stage_volume` (once per node and volume, where the driver says
that it stages) -> `node_publish_volume` (once per pod, into a directory of that pod that the driver fills or mounts)
-> ... `node_unpublish_volume` -> `node_unstage_volume`. Drivers of ephemeral volumes (emptyDir, configMap, ...) have no
staging.

Life of a volume that is made on demand (`VolumeProvisioner`, on top): a claim names a StorageClass whose `provisioner`
is the driver's; the agent of the chosen node asks for `create_volume`, writes the PersistentVolume with the source that
it returned, and the node verbs take over. When the volume is released and its reclaim policy says Delete,
`delete_volume`. A driver whose volumes grow has `expand_volume` (`VolumeExpander`) and, if there is a file system to
grow after that, `node_expand_volume` (`NodeVolumeExpander`), which is called while the volume is staged.

Example: claim of 1Gi, class `fast` with provisioner `windlass.dev/loop` -> create_volume(name="pvc-<uid>",
capacity_bytes=1<<30) -> CreatedVolume(source={"csi": {"driver": "windlass.dev/loop", "volumeHandle": "pvc-<uid>"}})
-> node_stage_volume(pv, "/.../staging") -> node_publish_volume(request with staging) for each pod.

Every verb is idempotent; every undo is safe without the do. A driver never follows a symlink out of the directory that
it was given. `windlass.plugin.hostfs` has what drivers need of the host for that.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

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


@dataclass(frozen=True, slots=True)
class CreateVolumeRequest:
    """A volume to make. `name` is unique and the key of idempotence: a second request with it finds the first's volume.

    `parameters` are the StorageClass's. `source`, for a clone, is the PersistentVolume to start as a copy of.
    """

    name: str
    capacity_bytes: int
    access_modes: Sequence[str] = ()
    volume_mode: str = "Filesystem"
    parameters: Mapping[str, str] = field(default_factory=dict)
    source: Obj | None = None


@dataclass(frozen=True, slots=True)
class CreatedVolume:
    """What was made. `source` goes into the PersistentVolume's spec as it is: `{"local": {...}}`, `{"csi": {...}}`.

    `node_local` says that only this node reaches the volume: the PersistentVolume gets a node affinity.
    """

    capacity_bytes: int
    source: Obj
    node_local: bool = True


@runtime_checkable
class VolumeProvisioner(Protocol):
    """Makes and removes volumes, on the node that was chosen for the first pod. Errors are VolumeDriverError.

    `provisioner` is the name that StorageClasses write. A volume that does not fit is refused with reason
    `ResourceExhausted`: another node may then be chosen. Nothing of a volume that could not be made stays behind.
    """

    provisioner: str

    async def create_volume(self, request: CreateVolumeRequest) -> CreatedVolume:
        """Make the volume, at least as large as asked, empty or a copy of the source."""
        ...

    async def delete_volume(self, persistent_volume: Obj) -> None:
        """Remove the volume and its content; fine when it is gone already, refused while it is staged here."""
        ...

    async def get_capacity(self, parameters: Mapping[str, str]) -> int:
        """Return how many bytes could still be promised to new volumes of a class."""
        ...


@runtime_checkable
class VolumeExpander(Protocol):
    """Makes volumes larger, whether they are in use or not; never smaller."""

    async def expand_volume(self, persistent_volume: Obj, capacity_bytes: int) -> int:
        """Grow the volume, on the node that made it; return its size in bytes, which may be more."""
        ...


@runtime_checkable
class NodeVolumeExpander(Protocol):
    """Has file systems to grow on the node after `expand_volume`. Without it the volume is as large at once."""

    async def node_expand_volume(self, persistent_volume: Obj, staging: str) -> None:
        """Grow a staged volume's file system to the volume's size while pods use it."""
        ...
