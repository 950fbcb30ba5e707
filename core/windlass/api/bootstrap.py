"""What must exist before anything else: the system's namespaces."""

import orjson

from windlass.apimachinery.meta import new_uid
from windlass.clock import Clock, rfc3339
from windlass.errors import KeyExistsError
from windlass.logs import get_logger
from windlass.store.interface import Store

SYSTEM_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
log = get_logger(__name__)


async def create_system_namespaces(store: Store, clock: Clock) -> None:
    """Create the system's namespaces where they are absent. Safe in any number of processes at once."""
    for name in SYSTEM_NAMESPACES:
        key = f"core/namespaces/_/{name}"
        if await store.get(key) is not None:
            continue
        namespace = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": name,
                "uid": new_uid(),
                "creationTimestamp": rfc3339(clock.now()),
                "labels": {"kubernetes.io/metadata.name": name},
            },
            "spec": {"finalizers": ["kubernetes"]},
            "status": {"phase": "Active"},
        }
        try:
            await store.create(key, orjson.dumps(namespace))
        except KeyExistsError:
            log.debug("namespace_made_by_another_server", name=name)
