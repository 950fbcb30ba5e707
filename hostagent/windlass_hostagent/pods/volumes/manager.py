"""Publishes, refreshes and removes the volumes of this node's pods."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from windlass.clock import Clock
from windlass.errors import ApiError, RuntimeDriverError, VolumeDriverError
from windlass.logs import get_logger
from windlass.plugin.hostfs import trees
from windlass.plugin.interfaces.runtime import Mount
from windlass.plugin.interfaces.volume import NodeVolumeDriver, Published, PublishRequest, VolumeAccess
from windlass_hostagent.fetch import Key
from windlass_hostagent.pods.volumes.objects import WatchedObjects
from windlass_hostagent.pods.volumes.records import PodVolume, PodVolumes
from windlass_hostagent.pods.volumes.subpaths import bind_subpath
from windlass_hostagent.pods.volumes.tokens import PodTokens
from windlass_hostagent.pods.volumes.translate import plan_mounts

Obj = dict[str, Any]
VOLUMES, SUBPATHS = "volumes", "volume-subpaths"
IDLE_SECONDS = 3600.0
REFRESHES_AT_ONCE = 8
DRIVER_SECONDS = 120.0
STATS_SECONDS = 30.0
Tell = Callable[[Obj, str, str, str], None]
log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class VolumeNode:
    """What volumes need to know of their node. `tell(pod, type, reason, message)` records an event."""

    data_dir: Path
    host_ips: Sequence[str]
    allocatable: Mapping[str, str]
    memory_bytes: int
    tell: Tell


@dataclass(frozen=True, slots=True)
class Mounted:
    """Whether a pod's volumes are there, and if not, after how many seconds to try again."""

    ready: bool
    retry_seconds: float | None = None


class VolumeManager:
    """The volumes of all pods of a node. `drivers` by the name under which they were registered."""

    def __init__(self, node: VolumeNode, drivers: Mapping[str, NodeVolumeDriver], client: Any, clock: Clock) -> None:
        self._node = node
        self._drivers = dict(drivers)
        self._by_source = {source: name for name, driver in drivers.items() for source in driver.sources}
        self._clock = clock
        self._objects = WatchedObjects(client, clock, self._object_changed)
        self._tokens = PodTokens(client, clock)
        self._pods: dict[str, PodVolumes] = {}
        self._readers: dict[Key, set[tuple[str, str]]] = {}
        self._due = asyncio.Event()

    # -- called by the pod's worker

    async def mount(self, pod: Obj, ips: Sequence[str], wake: Callable[[], None]) -> Mounted:
        """Publish what is not there yet. An event tells what fails; other volumes and pods are not held up."""
        entry = self._entry(pod)
        entry.ips, entry.wake = ips, wake
        if entry.take(pod):
            self._due.set()
        if entry.ready:
            return Mounted(ready=True)
        async with entry.lock:
            await self._publish_due(entry, absent_only=True)
        if entry.due_at() is not None:
            self._due.set()
        if entry.ready:
            return Mounted(ready=True)
        waits = [v.retry_at - self._clock.monotonic() for v in entry.volumes.values() if v.published is None]
        return Mounted(ready=False, retry_seconds=max(0.0, min(waits)))

    def note(self, pod: Obj) -> None:
        """Take a newer version of a pod: never blocks."""
        entry = self._pods.get(pod["metadata"]["uid"])
        if entry is not None and entry.take(pod):
            self._due.set()

    async def container_mounts(self, pod: Obj, container: Obj, env: Mapping[str, str]) -> list[Mount]:
        """Return a container's mounts, parts of volumes (subPath) made ready. Raises RuntimeDriverError."""
        entry = self._entry(pod)
        published = {name: v.published for name, v in entry.volumes.items() if v.published is not None}
        found = []
        for index, planned in enumerate(plan_mounts(container, published, env)):
            mount = planned.mount
            if planned.subpath:
                where = (
                    self._pod_dir(pod["metadata"]["uid"]) / SUBPATHS / planned.volume / container["name"] / str(index)
                )
                await self._bind(entry, mount.host_path, planned.subpath, where)
                mount = Mount(
                    str(where), mount.container_path, mount.readonly, mount.propagation, mount.recursive_readonly
                )
            found.append(mount)
        return found

    async def unmount(self, uid: str) -> None:
        """Remove a pod's volumes. Safe without setup and to repeat. Raises VolumeDriverError naming what stays."""
        entry = self._pods.pop(uid, None)
        self._forget(uid)
        if entry is None:
            await self._remove(uid)
            return
        async with entry.lock:
            self._forget(uid)  # once more: a publication that was under way may have asked for objects
            try:
                await self._remove(uid)
            except VolumeDriverError as error:
                self._node.tell(entry.pod, "Warning", "FailedUnMount", f"UnmountVolume.TearDown failed: {error}")
                self._pods.setdefault(uid, entry)
                raise

    def _forget(self, uid: str) -> None:
        """Let go of what a pod's volumes read."""
        self._objects.drop(uid)
        self._tokens.forget(uid)
        for key, readers in list(self._readers.items()):
            self._readers[key] = {reader for reader in readers if reader[0] != uid}
            if not self._readers[key]:
                del self._readers[key]

    # -- called by the agent

    async def run(self) -> None:
        """Watch what volumes show and refresh them, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._objects.run())
            group.create_task(self._refresh())

    async def collect(self, is_known: Callable[[str], bool]) -> None:
        """Remove volumes of pods that are no longer on this node. What fails is logged, and tried at the next call."""
        root = self._node.data_dir / "pods"
        for uid in await asyncio.to_thread(_names, root):
            if uid in self._pods or is_known(uid):
                continue
            try:
                await self._remove(uid)
                await asyncio.to_thread(trees.remove, str(root / uid))
                log.info("orphan_volumes_removed", pod_uid=uid)
            except (VolumeDriverError, OSError) as error:
                log.warning("orphan_volumes_kept", pod_uid=uid, error=str(error))

    async def usage(self) -> dict[str, list[Obj]]:
        """Measure the volumes by pod uid, as `/stats/summary` lists them; file systems of the node's own are left out."""
        found: dict[str, list[Obj]] = {}
        for uid, entry in list(self._pods.items()):
            for name, volume in list(entry.volumes.items()):
                if volume.published is None or volume.driver is None:
                    continue
                try:
                    async with asyncio.timeout(STATS_SECONDS):
                        used = await volume.driver.node_get_volume_stats(volume.published.path)
                except Exception as error:  # noqa: BLE001 - one volume that cannot be measured must not hide the others
                    log.warning("volume_not_measured", pod_uid=uid, volume=name, error=repr(error))
                    continue
                if used.shared or used.used_bytes < 0:
                    continue
                shown = {"name": name, "usedBytes": used.used_bytes}
                numbers = {
                    "capacityBytes": used.capacity_bytes,
                    "inodesUsed": used.used_inodes,
                    "inodes": used.capacity_inodes,
                }
                shown.update({key: value for key, value in numbers.items() if value >= 0})
                found.setdefault(uid, []).append(shown)
        return found

    def statistics(self) -> dict[str, int]:
        """Return how much is being looked after."""
        return {
            "pods": len(self._pods),
            "volumes": sum(len(e.volumes) for e in self._pods.values()),
            "watched": self._objects.watched(),
        }

    # -- inside

    def _pod_dir(self, uid: str) -> Path:
        return self._node.data_dir / "pods" / uid

    def _entry(self, pod: Obj) -> PodVolumes:
        uid = pod["metadata"]["uid"]
        entry = self._pods.get(uid)
        if entry is None:
            volumes = {spec["name"]: self._volume(uid, spec) for spec in pod["spec"].get("volumes") or ()}
            entry = self._pods[uid] = PodVolumes(pod, volumes)
        return entry

    def _volume(self, uid: str, spec: Obj) -> PodVolume:
        source = next((key for key, value in spec.items() if key != "name" and value is not None), "emptyDir")
        wanted = str(spec[source].get("driver", "")) if source == "csi" else source
        name = self._by_source.get(wanted, "")
        target = self._pod_dir(uid) / VOLUMES / (name or "none") / spec["name"]
        return PodVolume(spec, source, self._drivers.get(name), target)

    async def _publish_due(self, entry: PodVolumes, *, absent_only: bool = False) -> None:
        now = self._clock.monotonic()
        due = [v for v in entry.volumes.values() if (at := v.due_at()) is not None and at <= now]
        if absent_only:
            due = [v for v in due if v.published is None]
        async with asyncio.TaskGroup() as group:
            for volume in due:
                group.create_task(self._publish(entry, volume))

    async def _publish(self, entry: PodVolumes, volume: PodVolume) -> None:
        """Publish one volume; a failure is told and backed off, content that is there stays."""
        name = volume.spec["name"]
        volume.stale = False
        try:
            async with asyncio.timeout(DRIVER_SECONDS):
                published = await self._ask_driver(entry, volume)
        except Exception as error:
            if not isinstance(error, VolumeDriverError | ApiError | OSError):
                log.exception("volume_driver_failed", volume=name, source=volume.source)
            text = str(error) or ("timed out" if isinstance(error, TimeoutError) else type(error).__name__)
            volume.failed(text, self._clock.monotonic())
            message = f'MountVolume.SetUp failed for volume "{name}" : {text}'
            self._node.tell(entry.pod, "Warning", "FailedMount", message)
            return
        stale = volume.stale
        volume.succeeded(published, self._clock.monotonic())
        volume.stale = stale

    async def _ask_driver(self, entry: PodVolumes, volume: PodVolume) -> Published:
        if volume.driver is None:
            raise VolumeDriverError(f"no volume plugin matched: no driver of this node serves {volume.source} volumes")
        volume.target.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        pod = entry.pod
        request = PublishRequest(
            pod=pod,
            volume=volume.spec,
            target=str(volume.target),
            fs_group=(pod["spec"].get("securityContext") or {}).get("fsGroup"),
            ips=entry.ips,
            host_ips=self._node.host_ips,
            allocatable=self._node.allocatable,
        )
        fetch = partial(self._fetch, pod["metadata"]["uid"], volume.spec["name"])
        access = VolumeAccess(fetch, self._tokens.get, self._node.memory_bytes)
        return await volume.driver.node_publish_volume(request, access)

    async def _fetch(self, uid: str, volume: str, kind: str, namespace: str, name: str) -> Obj | None:
        self._readers.setdefault((kind, namespace, name), set()).add((uid, volume))
        return await self._objects.fetch(uid, kind, namespace, name)

    def _object_changed(self, key: Key) -> None:
        for uid, name in self._readers.get(key, ()):
            entry = self._pods.get(uid)
            volume = entry.volumes.get(name) if entry else None
            if entry is None or volume is None:
                continue
            volume.changed()
            if volume.published is None:
                entry.wake()
        self._due.set()

    async def _refresh(self) -> None:
        """Publish again whatever is due, some at a time, until cancelled. One that hangs holds up its own pod only."""
        places = asyncio.Semaphore(REFRESHES_AT_ONCE)
        async with asyncio.TaskGroup() as group:
            while True:
                self._due.clear()
                now = self._clock.monotonic()
                wait = IDLE_SECONDS
                for entry in list(self._pods.values()):
                    at = entry.due_at()
                    # Pods that have never been mounted are their workers' affair.
                    if at is None or entry.refreshing or not entry.ready:
                        continue
                    if at <= now:
                        entry.refreshing = True
                        group.create_task(self._refresh_one(entry, places))
                    else:
                        wait = min(wait, at - now)
                await self._wait(wait)

    async def _refresh_one(self, entry: PodVolumes, places: asyncio.Semaphore) -> None:
        try:
            async with places, entry.lock:
                if self._pods.get(entry.pod["metadata"]["uid"]) is entry:
                    await self._publish_due(entry)
        finally:
            entry.refreshing = False
            self._due.set()

    async def _wait(self, seconds: float) -> None:
        sleeping = asyncio.ensure_future(self._clock.sleep(seconds))
        waking = asyncio.ensure_future(self._due.wait())
        try:
            await asyncio.wait((sleeping, waking), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            waking.cancel()
            await asyncio.gather(sleeping, waking, return_exceptions=True)

    async def _bind(self, entry: PodVolumes, volume: str, subpath: str, where: Path) -> None:
        async with entry.subpaths:
            try:
                await asyncio.to_thread(bind_subpath, volume, subpath, where)
            except (VolumeDriverError, OSError) as error:
                raise RuntimeDriverError(
                    f"failed to prepare subPath for volumeMount: {error}", reason="CreateContainerConfigError"
                ) from error

    async def _remove(self, uid: str) -> None:
        """Undo everything of a pod, by what is on the disk: nothing need be remembered."""
        folder = self._pod_dir(uid)
        if not any((folder / part).exists() for part in (VOLUMES, SUBPATHS)):
            return
        problems: list[str] = []
        try:
            await asyncio.to_thread(trees.remove, str(folder / SUBPATHS))
        except OSError as error:
            raise VolumeDriverError(str(error), reason="FailedUnMount") from error
        for driver_name in await asyncio.to_thread(_names, folder / VOLUMES):
            for name in await asyncio.to_thread(_names, folder / VOLUMES / driver_name):
                target = folder / VOLUMES / driver_name / name
                try:
                    await self._unpublish(driver_name, str(target))
                except VolumeDriverError as error:
                    problems.append(f'volume "{name}": {error}')
        if problems:
            raise VolumeDriverError("; ".join(problems), reason="FailedUnMount")
        try:
            await asyncio.to_thread(trees.remove, str(folder / VOLUMES))
        except OSError as error:
            raise VolumeDriverError(str(error), reason="FailedUnMount") from error

    async def _unpublish(self, driver_name: str, target: str) -> None:
        driver = self._drivers.get(driver_name)
        if driver is None:
            raise VolumeDriverError(f"driver {driver_name} is no longer installed", reason="FailedUnMount")
        try:
            async with asyncio.timeout(DRIVER_SECONDS):
                await driver.node_unpublish_volume(target)
        except VolumeDriverError:
            raise
        except Exception as error:
            log.warning("volume_driver_failed", driver=driver_name, target=target, error=repr(error))
            raise VolumeDriverError(f"driver {driver_name}: {error!r}", reason="FailedUnMount") from error


def _names(path: Path) -> list[str]:
    """List a directory; nothing when there is none."""
    try:
        return sorted(entry.name for entry in path.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
