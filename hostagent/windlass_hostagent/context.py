"""What every part of the agent shares: the node, the drivers, the API. Made once, in `agent.py`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from windlass.clock import Clock
from windlass.plugin.interfaces.network import NetworkDriver
from windlass.plugin.interfaces.runtime import RuntimeDriver
from windlass_hostagent.pods.options import PodOptions
from windlass_hostagent.pods.status import NodeFacts

if TYPE_CHECKING:
    from windlass.client.client import Client
    from windlass.client.informer import Informer
    from windlass_hostagent.pods.steps.images import ImagePuller
    from windlass_hostagent.pods.volumes.manager import VolumeManager

Obj = dict[str, Any]


class Recorder(Protocol):
    """What the agent needs of `windlass.client.recorder.EventRecorder`."""

    def event(self, obj: Mapping[str, Any], event_type: str, reason: str, message: str) -> None:
        """Note an event; never blocks."""
        ...


@dataclass(frozen=True, slots=True)
class NodeCapacity:
    """What the machine has. Quantities as in the Node object; `memory_bytes` for arithmetic."""

    cpu: str
    memory: str
    ephemeral_storage: str
    pods: str
    memory_bytes: int

    def resources(self) -> dict[str, str]:
        """Return `status.capacity`."""
        return {
            "cpu": self.cpu,
            "memory": self.memory,
            "ephemeral-storage": self.ephemeral_storage,
            "pods": self.pods,
        }


@dataclass(slots=True)
class AgentContext:
    """Shared parts. `fetch` reads a ConfigMap or Secret by (kind, namespace, name), None when there is none.

    `node` is the Node object as it was last read, None before registration; `services` knows all Services,
    `endpoint_slices` all EndpointSlices.
    """

    node_name: str
    host_ips: Sequence[str]
    client: "Client"
    runtime: RuntimeDriver
    runtime_name: str
    network: NetworkDriver | None
    recorder: Recorder
    clock: Clock
    capacity: NodeCapacity
    images: "ImagePuller"
    fetch: Callable[[str, str, str], Any]
    on_sandbox: Callable[[str, str], None] = field(default=lambda _sandbox_id, _uid: None)
    node: Obj | None = None
    on_static_status: Callable[[Obj], None] = field(default=lambda _pod: None)
    allocatable: Mapping[str, str] = field(default_factory=dict)
    data_dir: Path = Path("/var/lib/windlass")
    volumes: "VolumeManager | None" = None
    options: PodOptions = field(default_factory=PodOptions)
    services: "Informer | None" = None
    endpoint_slices: "Informer | None" = None

    @property
    def facts(self) -> NodeFacts:
        """What pod statuses say about this node."""
        return NodeFacts(self.host_ips, self.runtime_name)

    def event(self, pod: Obj, kind: str, reason: str, message: str, container: str = "") -> None:
        """Record an event about a pod, or about one container of it."""
        meta = pod["metadata"]
        reference = {
            "apiVersion": "v1",
            "kind": "Pod",
            "name": meta["name"],
            "namespace": meta["namespace"],
            "uid": meta["uid"],
            "resourceVersion": meta.get("resourceVersion", ""),
        }
        if container:
            spec = pod["spec"]
            fields = ("initContainers", "ephemeralContainers")
            group = next((f for f in fields if any(c["name"] == container for c in spec.get(f) or ())), "containers")
            reference["fieldPath"] = f"spec.{group}{{{container}}}"
        self.recorder.event(reference, kind, reason, message)
