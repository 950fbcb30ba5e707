"""Mirror pods: what the API shows of this node's static pods. Deleting one changes nothing on the node: it comes back."""

import asyncio
from typing import Any

from windlass.apis.resources import PODS
from windlass.clock import Clock
from windlass.errors import AlreadyExistsError, ApiError, ConflictError, NotFoundError
from windlass.logs import get_logger
from windlass_hostagent.static.manifest import HASH, MIRROR, is_mirror

Obj = dict[str, Any]
RETRY_SECONDS = 5.0
log = get_logger(__name__)


def mirror_of(pod: Obj, node: Obj) -> Obj:
    """Build the mirror of a static pod, owned by its Node. Pure."""
    meta = pod["metadata"]
    owner = {
        "apiVersion": "v1", "kind": "Node", "name": node["metadata"]["name"], "uid": node["metadata"]["uid"],
        "controller": True,
    }  # fmt: skip
    kept = {key: meta[key] for key in ("name", "namespace", "labels") if key in meta}
    annotations = {**meta["annotations"], MIRROR: meta["annotations"][HASH]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**kept, "annotations": annotations, "ownerReferences": [owner]},
        "spec": pod["spec"],
    }


class MirrorKeeper:
    """Keeps one mirror per static pod, with its status. `note` never blocks; `run` does the writing."""

    def __init__(self, client: Any, node: Obj, clock: Clock) -> None:
        self._client = client
        self._node = node
        self._clock = clock
        self._wanted: dict[tuple[str, str], Obj] = {}
        self._open: set[tuple[str, str]] = set()
        self._wake = asyncio.Event()

    def note(self, pod: Obj) -> None:
        """Take a static pod or a newer status of it."""
        self._mark(pod, pod)

    def forget(self, pod: Obj) -> None:
        """Take the end of a static pod."""
        self._mark(pod, None)

    def seen(self, mirror: Obj) -> None:
        """Take what the API has: a mirror that was deleted or changed is put right."""
        self._open.add((mirror["metadata"]["namespace"], mirror["metadata"]["name"]))
        self._wake.set()

    def _mark(self, pod: Obj, wanted: Obj | None) -> None:
        key = pod["metadata"]["namespace"], pod["metadata"]["name"]
        if wanted is None:
            self._wanted.pop(key, None)
        else:
            self._wanted[key] = wanted
        self._open.add(key)
        self._wake.set()

    async def run(self) -> None:
        """Write until cancelled; what fails is tried again."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            failed = [key for key in sorted(self._take()) if not await self._try(key)]
            if failed:
                await self._clock.sleep(RETRY_SECONDS)
                self._open.update(failed)
                self._wake.set()

    def _take(self) -> set[tuple[str, str]]:
        taken, self._open = self._open, set()
        return taken

    async def _try(self, key: tuple[str, str]) -> bool:
        try:
            await self.reconcile(*key)
        except (ApiError, OSError) as error:
            log.warning("mirror_pod_not_written", namespace=key[0], pod=key[1], error=str(error))
            return False
        return True

    async def reconcile(self, namespace: str, name: str) -> None:
        """Bring one mirror in line. Raises ApiError."""
        pod = self._wanted.get((namespace, name))
        try:
            found: Obj | None = await self._client.get(PODS, name, namespace)
        except NotFoundError:
            found = None
        if found is not None and not is_mirror(found):
            log.warning("mirror_name_taken", namespace=namespace, pod=name)
            return
        stale = pod is None or (
            found is not None and found["metadata"]["annotations"][MIRROR] != pod["metadata"]["annotations"][HASH]
        )
        if found is not None and (stale or found["metadata"].get("deletionTimestamp")):
            await self._delete(found)
            found = None
        if pod is None:
            return
        if found is None:
            found = await self._create(pod)
        status = pod.get("status") or {}
        if found is not None and status and status != found.get("status"):
            body = {"metadata": {"uid": found["metadata"]["uid"]}, "status": status}
            await self._client.patch(PODS, name, body, namespace, subresource="status")

    async def _create(self, pod: Obj) -> Obj | None:
        try:
            return dict(await self._client.create(PODS, mirror_of(pod, self._node), pod["metadata"]["namespace"]))
        except AlreadyExistsError:
            self.seen(pod)
            return None

    async def _delete(self, mirror: Obj) -> None:
        meta = mirror["metadata"]
        try:
            await self._client.delete(PODS, meta["name"], meta["namespace"], grace_period_seconds=0, uid=meta["uid"])
        except (NotFoundError, ConflictError):
            log.debug("mirror_pod_already_gone", namespace=meta["namespace"], pod=meta["name"])
