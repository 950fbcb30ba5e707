"""What must exist before anything else: the system's namespaces and priority classes."""

from collections.abc import Iterator
from typing import Any

import orjson

from windlass.apimachinery.meta import new_uid
from windlass.clock import Clock, rfc3339
from windlass.errors import KeyExistsError
from windlass.logs import get_logger
from windlass.store.interface import Store
from windlass.store.transfer import check_whole

SYSTEM_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
SYSTEM_PRIORITIES = {"system-node-critical": 2_000_001_000, "system-cluster-critical": 2_000_000_000}
log = get_logger(__name__)


async def create_system_objects(store: Store, clock: Clock) -> None:
    """Create the system's objects where they are absent. Safe in any number of processes at once.

    Raises StoreUnavailableError, too, while a restore into the store is not finished.
    """
    await check_whole(store)
    for key, obj in _system_objects():
        if await store.get(key) is not None:
            continue
        obj["metadata"] |= {"uid": new_uid(), "creationTimestamp": rfc3339(clock.now())}
        try:
            await store.create(key, orjson.dumps(obj))
        except KeyExistsError:
            log.debug("made_by_another_server", key=key)


def _system_objects() -> Iterator[tuple[str, dict[str, Any]]]:
    for name in SYSTEM_NAMESPACES:
        yield (
            f"core/namespaces/_/{name}",
            {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
                "spec": {"finalizers": ["kubernetes"]},
                "status": {"phase": "Active"},
            },
        )
    for name, value in SYSTEM_PRIORITIES.items():
        yield (
            f"scheduling.k8s.io/priorityclasses/_/{name}",
            {
                "apiVersion": "scheduling.k8s.io/v1",
                "kind": "PriorityClass",
                "metadata": {"name": name, "generation": 1},
                "value": value,
                "globalDefault": False,
                "preemptionPolicy": "PreemptLowerPriority",
                "description": "Used for system critical pods that must not be moved from their current node."
                if "node" in name
                else "Used for system critical pods that must run in the cluster, but can be moved to another node.",
            },
        )
