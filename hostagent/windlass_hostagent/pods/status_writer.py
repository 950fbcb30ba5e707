"""Writes one pod's status: only when it changed, on top of the newest object, never twice at once."""

from typing import Any

from windlass.apis.resources import PODS
from windlass.errors import ApiError, ConflictError, NotFoundError
from windlass.logs import get_logger
from windlass_hostagent.context import AgentContext
from windlass_hostagent.static.manifest import is_static

Obj = dict[str, Any]
ATTEMPTS = 5
NULLABLE = ("podIP", "podIPs", "reason", "message")
log = get_logger(__name__)


def is_newer(new: Obj, old: Obj) -> bool:
    """Say whether an object is at least as new as another of the same uid."""
    return int(new["metadata"].get("resourceVersion") or 0) >= int(old["metadata"].get("resourceVersion") or 0)


def changed_fields(status: Obj, before: Obj) -> Obj:
    """Return the top-level fields of the status that differ, as a merge patch. Pure."""
    return {key: value for key, value in status.items() if before.get(key) != value}


class StatusWriter:
    """Builds are cheap and repeated; writes are rare."""

    def __init__(self, context: AgentContext) -> None:
        self._context = context

    async def write(self, pod: Obj, build: Any) -> Obj:
        """Bring the API's status to `build(pod)`; return the newest pod known. Raises ApiError but for NotFound.

        The patch carries uid and resourceVersion, so that nobody else's condition is overwritten unseen: on a
        conflict the pod is read again and the status built anew.
        """
        meta = pod["metadata"]
        if is_static(pod):
            shown = {**pod, "status": build(pod)}
            self._context.on_static_status(shown)
            return shown
        for _ in range(ATTEMPTS):
            patch = changed_fields(build(pod), pod.get("status") or {})
            if not patch:
                return pod
            body = {
                "metadata": {"uid": meta["uid"], "resourceVersion": pod["metadata"]["resourceVersion"]},
                "status": patch,
            }
            try:
                return await self._context.client.patch(
                    PODS, meta["name"], body, meta["namespace"], subresource="status"
                )
            except NotFoundError:
                return pod
            except ConflictError:
                fresh = await self._read(meta)
                if fresh is None:
                    return pod
                pod = fresh
        log.warning("pod_status_conflicts", namespace=meta["namespace"], pod=meta["name"])
        return pod

    async def _read(self, meta: Obj) -> Obj | None:
        """Return the newest version of the pod; None when it has gone or another one took its name."""
        try:
            fresh = await self._context.client.get(PODS, meta["name"], meta["namespace"])
        except NotFoundError:
            return None
        return fresh if fresh["metadata"]["uid"] == meta["uid"] else None

    async def finish(self, pod: Obj) -> None:
        """Tell the API that nothing of the pod is left: delete it for good, and only this one."""
        meta = pod["metadata"]
        if is_static(pod):
            return
        try:
            await self._context.client.delete(
                PODS, meta["name"], meta["namespace"], grace_period_seconds=0, uid=meta["uid"]
            )
        except (NotFoundError, ConflictError):
            log.debug("pod_already_gone", namespace=meta["namespace"], pod=meta["name"])
        except ApiError:
            log.warning("pod_delete_failed", namespace=meta["namespace"], pod=meta["name"])
            raise
