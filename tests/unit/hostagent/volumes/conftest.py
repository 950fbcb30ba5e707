"""Volumes of a node in a box: the real drivers, an API of a few lines, a clock that stands still."""

import asyncio
import copy
from contextlib import asynccontextmanager

import pytest

from windlass.client.client import WatchEvent
from windlass.clock import rfc3339
from windlass.errors import ForbiddenError, NotFoundError
from windlass.plugin.hostfs import mounts
from windlass.testing.clock import FakeClock
from windlass_hostagent.pods.volumes.manager import VolumeManager, VolumeNode
from windlass_storage.plugin import register_volume_drivers


class FakeClient:
    """ConfigMaps and Secrets with watches of single objects, and tokens."""

    def __init__(self, clock):
        self.clock = clock
        self.objects = {}
        self.version = 0
        self.watchers = {}
        self.requests = []
        self.forbidden = set()
        self.tokens = 0

    @staticmethod
    def key(resource, namespace, field_selector):
        assert field_selector.startswith("metadata.name="), "a node may not watch a collection"
        return resource.plural, namespace, field_selector.removeprefix("metadata.name=")

    def put(self, plural, name, namespace="default", **fields):
        self.version += 1
        key = (plural, namespace, name)
        kind = "added" if key not in self.objects else "modified"
        meta = {"name": name, "namespace": namespace, "uid": f"uid-{name}", "resourceVersion": str(self.version)}
        self.objects[key] = {"metadata": meta, **fields}
        self.tell(key, kind.upper())

    def remove(self, plural, name, namespace="default"):
        self.version += 1
        key = (plural, namespace, name)
        obj = self.objects.pop(key)
        self.tell(key, "DELETED", obj)

    def tell(self, key, kind, obj=None):
        for queue in self.watchers.get(key, ()):
            queue.put_nowait(WatchEvent(kind, copy.deepcopy(obj or self.objects[key])))

    async def get(self, resource, name, namespace=""):
        self.requests.append(("get", resource.plural, name))
        await asyncio.sleep(0)
        if name in self.forbidden:
            raise ForbiddenError(f"{resource.plural} {name} is forbidden")
        found = self.objects.get((resource.plural, namespace, name))
        if found is None:
            raise NotFoundError("not found")
        return copy.deepcopy(found)

    async def list(self, resource, namespace="", *, field_selector="", **_):
        key = self.key(resource, namespace, field_selector)
        self.requests.append(("list", key[0], key[2]))
        items = [copy.deepcopy(self.objects[key])] if key in self.objects else []
        return {"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": str(self.version)}, "items": items}

    async def watch(self, resource, namespace="", *, field_selector="", **_):
        key = self.key(resource, namespace, field_selector)
        queue = asyncio.Queue()
        self.watchers.setdefault(key, []).append(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self.watchers[key].remove(queue)

    async def create(self, resource, obj, namespace="", *, subresource="", name=""):
        assert (resource.plural, subresource) == ("serviceaccounts", "token")
        self.tokens += 1
        expiry = self.clock.now().timestamp() + obj["spec"]["expirationSeconds"]
        stamp = rfc3339(type(self.clock.now()).fromtimestamp(expiry, self.clock.now().tzinfo))
        self.requests.append(("token", namespace, name, obj["spec"]["boundObjectRef"]["uid"]))
        return {"status": {"token": f"token-{self.tokens}", "expirationTimestamp": stamp}}


class Box:
    def __init__(self, data_dir, drivers=None):
        self.data_dir = data_dir
        self.clock = FakeClock()
        self.client = FakeClient(self.clock)
        self.events = []
        self.woken = []
        self.drivers = drivers or {r.name: r.build({}) for r in register_volume_drivers()}
        self.manager = self.make()

    def make(self):
        node = VolumeNode(
            data_dir=self.data_dir,
            host_ips=("192.0.2.1",),
            allocatable={"cpu": "2"},
            memory_bytes=1 << 30,
            tell=lambda pod, kind, reason, message: self.events.append((pod["metadata"]["name"], reason, message)),
        )
        return VolumeManager(node, self.drivers, self.client, self.clock)

    async def mount(self, pod):
        return await self.manager.mount(pod, ("10.0.0.2",), lambda: self.woken.append(pod["metadata"]["name"]))

    def volume(self, driver, name="vol", uid="uid-1"):
        return self.data_dir / "pods" / uid / "volumes" / driver / name

    @asynccontextmanager
    async def running(self):
        task = asyncio.ensure_future(self.manager.run())
        await self.settle()
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def settle(self):
        """Let tasks and the threads that they wait for come to rest."""
        for _ in range(20):
            await self.clock.settle()
            await asyncio.to_thread(lambda: None)

    async def advance(self, seconds):
        await self.clock.advance(seconds)
        await self.settle()

    async def until(self, probe):
        async with asyncio.timeout(30):
            while not probe():
                await self.settle()

    def mounted(self):
        return mounts.mounts_at_or_below(str(self.data_dir))


@pytest.fixture
def box(tmp_path):
    made = Box(tmp_path)
    yield made
    mounts.unmount_all(str(tmp_path))


@pytest.fixture
def pod():
    def make(*sources, name="web", uid="uid-1", labels=None, mounts=(), **spec):
        volumes = [{"name": "vol" if i == 0 else f"vol{i}", **source} for i, source in enumerate(sources)]
        meta = {"name": name, "namespace": "default", "uid": uid, "labels": labels or {}}
        container = {"name": "main", "image": "i", "volumeMounts": list(mounts)}
        return {"metadata": meta, "spec": {"volumes": volumes, "containers": [container], **spec}}

    return make
