"""Which container or sandbox a request means. Names only ever select among labels; they never become a path (N69)."""

from collections.abc import Mapping, Sequence

from windlass.errors import BadRequestError, NotFoundError
from windlass.plugin.interfaces.runtime import ContainerState, ContainerStatus, RuntimeDriver, SandboxStatus
from windlass_hostagent.pods.observation import LABEL_NAME, LABEL_NAMESPACE, LABEL_UID


def is_of_pod(labels: Mapping[str, str], namespace: str, pod: str, uid: str) -> bool:
    """Whether labels are those of a pod; '' as the uid means any. Pure."""
    named = labels.get(LABEL_NAME) == pod and labels.get(LABEL_NAMESPACE) == namespace
    return named and (not uid or labels.get(LABEL_UID) == uid)


def newest(found: Sequence[ContainerStatus]) -> ContainerStatus | None:
    """Return the newest of a container's attempts. Pure."""
    return max(found, key=lambda c: (c.created_at, c.attempt), default=None)


async def find_running_container(
    runtime: RuntimeDriver, namespace: str, pod: str, container: str, uid: str = ""
) -> ContainerStatus:
    """Return a container that runs. Raises NotFoundError for an unknown one, BadRequestError for one that does not run."""
    mine = [
        c for c in await runtime.list_containers() if c.name == container and is_of_pod(c.labels, namespace, pod, uid)
    ]
    chosen = newest([c for c in mine if c.state is ContainerState.RUNNING])
    if chosen is not None:
        return chosen
    if mine:
        raise BadRequestError(f'container "{container}" in pod "{pod}" is not running')
    raise NotFoundError(f'container not found ("{container}")')


async def find_ready_sandbox(runtime: RuntimeDriver, namespace: str, pod: str, uid: str = "") -> SandboxStatus:
    """Return a pod's sandbox. Raises NotFoundError when the pod does not run here."""
    mine = [s for s in await runtime.list_pod_sandboxes() if s.ready and is_of_pod(s.labels, namespace, pod, uid)]
    if not mine:
        raise NotFoundError(f'pod "{pod}" does not run on this node')
    return max(mine, key=lambda s: (s.created_at, s.attempt))
