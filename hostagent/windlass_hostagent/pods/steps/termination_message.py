"""Step: the file in which a container may say why it ended, and what it said: bounded, whatever it wrote."""

import os
import shutil
import stat
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

from windlass.errors import RuntimeDriverError
from windlass.logs import get_logger
from windlass.plugin.interfaces.runtime import ContainerStatus, Mount
from windlass_hostagent.context import AgentContext
from windlass_hostagent.pods.steps.node_files import remove_node_files

Obj = dict[str, Any]
DEFAULT_PATH = "/dev/termination-log"
MAX_FILE_BYTES = 4096
MAX_POD_BYTES = 12 * 1024
"""All containers of a pod share this much: twenty chatty ones must not fill its status."""
MAX_LOG_BYTES = 2048
MAX_LOG_LINES = 80
log = get_logger(__name__)


def attempt_dir(context: AgentContext, uid: str, container: str, attempt: int) -> Path:
    """Return the directory of one attempt of one container on this node."""
    return context.data_dir / "pods" / uid / "containers" / container / str(attempt)


def prepare_message_log(context: AgentContext, pod: Obj, container: Obj, attempt: int) -> Mount:
    """Make the file, writable by any user of the container, and return its mount. Safe to repeat.

    Two small calls to the local disk, not worth a thread: pods start in bursts.
    """
    folder = attempt_dir(context, pod["metadata"]["uid"], container["name"], attempt)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "termination-log"
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666))
    path.chmod(0o666)
    return Mount(str(path), container.get("terminationMessagePath") or DEFAULT_PATH)


def _read_file(path: Path, limit: int) -> str:
    """Read the first bytes of a plain file; empty when there is none, or when it is something else by now."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return ""
        return file.read(limit).decode(errors="replace")


async def _log_tail(context: AgentContext, container_id: str, limit: int) -> str:
    """Return the end of the container's log."""
    kept: list[bytes] = []
    size = 0
    try:
        lines = context.runtime.container_logs(container_id, follow=False, tail=MAX_LOG_LINES)
        async with aclosing(lines) as found:  # type: ignore[type-var]
            async for line in found:
                kept.append(line.content[-limit:])
                size += len(kept[-1])
                while size - len(kept[0]) >= limit:
                    size -= len(kept.pop(0))
    except RuntimeDriverError as error:
        log.warning("termination_log_unreadable", container=container_id, error=str(error))
    return b"".join(kept)[-limit:].decode(errors="replace")


async def read_message(context: AgentContext, pod: Obj, container: Obj, ended: ContainerStatus) -> str:
    """Return what an ended container has to say: the runtime's own words, then its file, else (if asked) its log."""
    spec = pod["spec"]
    count = sum(len(spec.get(f) or ()) for f in ("initContainers", "containers", "ephemeralContainers"))
    limit = min(MAX_FILE_BYTES, MAX_POD_BYTES // max(1, count))
    folder = attempt_dir(context, pod["metadata"]["uid"], ended.name, ended.attempt)
    text = _read_file(folder / "termination-log", limit)
    fall_back = container.get("terminationMessagePolicy") == "FallbackToLogsOnError"
    if not text and fall_back and ended.exit_code != 0 and ended.started_at > 0:
        text = await _log_tail(context, ended.id, min(MAX_LOG_BYTES, limit))
    return ": ".join(part for part in (ended.message, text) if part)


def remove_attempt(context: AgentContext, uid: str, container: str, attempt: int) -> None:
    """Remove what is kept of one attempt. Blocks; safe to repeat."""
    shutil.rmtree(attempt_dir(context, uid, container, attempt), ignore_errors=True)


def remove_pod_files(context: AgentContext, uid: str) -> None:
    """Remove the containers' files of a pod, and its directory when nothing else is in it. Blocks; safe to repeat."""
    folder = context.data_dir / "pods" / uid
    shutil.rmtree(folder / "containers", ignore_errors=True)
    remove_node_files(context, uid)
    with suppress(OSError):  # volumes may still be there: their own teardown removes them
        folder.rmdir()
