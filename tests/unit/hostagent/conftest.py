"""A node in a box: the pod manager with the hollow runtime, a clock that stands still, and an API of a few lines."""

import asyncio
import copy

import pytest

from windlass.errors import ConflictError, NotFoundError
from windlass.testing.clock import FakeClock
from windlass_hostagent.context import AgentContext, NodeCapacity
from windlass_hostagent.pods.manager import PodManager
from windlass_hostagent.pods.steps.images import ImagePuller
from windlass_runtime.hollow.driver import build


class FakeApi:
    """The few verbs that the agent uses, with versions, uid preconditions and graceful deletion."""

    def __init__(self):
        self.objects = {}
        self.version = 0
        self.on_event = None
        self.patches = []

    def put(self, resource, obj, event="MODIFIED"):
        self.version += 1
        meta = obj["metadata"]
        key = (resource.plural, meta.get("namespace", ""), meta["name"])
        old = self.objects.get(key)
        new = {**obj, "metadata": {**meta, "resourceVersion": str(self.version)}}
        self.objects[key] = new
        if resource.plural == "pods" and self.on_event:
            self.on_event("ADDED" if old is None else event, old, new)
        return copy.deepcopy(new)

    def stored(self, plural, name, namespace="default"):
        return self.objects.get((plural, namespace, name))

    async def get(self, resource, name, namespace=""):
        found = self.objects.get((resource.plural, namespace, name))
        if found is None:
            raise NotFoundError(f'{resource.plural} "{name}" not found')
        return copy.deepcopy(found)

    async def patch(self, resource, name, patch, namespace="", *, patch_type="", subresource=""):
        found = await self.get(resource, name, namespace)
        meta = patch.get("metadata", {})
        for field in ("uid", "resourceVersion"):
            if field in meta and meta[field] != found["metadata"][field]:
                raise ConflictError(f"{field} differs")
        self.patches.append(patch)
        return self.put(resource, {**found, "status": {**found.get("status", {}), **patch["status"]}})

    async def delete(self, resource, name, namespace="", *, grace_period_seconds=None, uid=""):
        found = await self.get(resource, name, namespace)
        if uid and uid != found["metadata"]["uid"]:
            raise ConflictError("uid differs")
        assert grace_period_seconds == 0
        del self.objects[resource.plural, namespace, name]
        if self.on_event:
            self.on_event("DELETED", found, None)


class FakeRecorder:
    def __init__(self):
        self.events = []

    def event(self, obj, event_type, reason, message):
        self.events.append((event_type, reason, message))

    def reasons(self):
        return [reason for _, reason, _ in self.events]


class Node:
    """The box. `start` begins an agent; `crash` ends it as SIGKILL would, leaving runtime and API as they are."""

    def __init__(self, runtime_config=None, runtime=None, api=None, *, data_dir):
        self.clock = FakeClock() if runtime is None else runtime._clock
        self.api = api or FakeApi()
        self.runtime = runtime or build({"clock": self.clock, "node_name": "n1", **(runtime_config or {})})
        self.recorder = FakeRecorder()
        capacity = NodeCapacity("2", "4Gi", "10Gi", "110", 4 << 30)
        self.context = AgentContext(
            node_name="n1",
            host_ips=("192.0.2.1",),
            client=self.api,
            runtime=self.runtime,
            runtime_name="hollow",
            network=None,
            recorder=self.recorder,
            clock=self.clock,
            capacity=capacity,
            images=ImagePuller(self.runtime, self.clock),
            fetch=self.fetch,
            allocatable=capacity.resources(),
            data_dir=data_dir,
        )
        self.manager = PodManager(self.context)
        self.tasks = []

    async def fetch(self, kind, namespace, name):
        return self.api.stored({"ConfigMap": "configmaps", "Secret": "secrets"}[kind], name, namespace)

    async def start(self):
        async def synced():
            for (plural, _, _), obj in list(self.api.objects.items()):
                if plural == "pods":
                    self.manager.on_event("ADDED", None, obj)
            self.api.on_event = self.manager.on_event

        self.tasks = [
            asyncio.ensure_future(self.context.images.run()),
            asyncio.ensure_future(self.manager.run(synced)),
        ]
        await self.settle()

    async def crash(self):
        self.api.on_event = None
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def settle(self):
        for _ in range(4):
            await self.clock.settle()

    async def advance(self, seconds):
        await self.settle()
        await self.clock.advance(seconds)
        await self.settle()


def make_pod(name="web", *, containers=None, uid="uid-1", annotations=None, **spec):
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "uid": uid, "annotations": annotations or {}},
        "spec": {
            "nodeName": "n1",
            "restartPolicy": "Always",
            "containers": containers or [{"name": "main", "image": "app:1", "imagePullPolicy": "IfNotPresent"}],
            **spec,
        },
        "status": {"phase": "Pending"},
    }


@pytest.fixture
def pod():
    return make_pod


@pytest.fixture
async def boxes(tmp_path):
    made = []

    def make(*args, **options):
        made.append(Node(*args, data_dir=tmp_path, **options))
        return made[-1]

    yield make
    for node in made:
        await node.crash()
