"""A whole control plane in this process: memory store, API application, controllers, and a kubelet that pretends."""

import asyncio

import pytest

from windlass.apimachinery.meta import set_condition
from windlass.apis.resources import NODES, PODS
from windlass.apis.scheme import builtin_scheme
from windlass.auth.authenticators import CertificateAuthenticator
from windlass.client.client import Client
from windlass.client.informer import InformerFactory
from windlass.client.recorder import EventRecorder
from windlass.client.transport import InProcessTransport
from windlass.clock import SystemClock, rfc3339
from windlass.errors import ConflictError, NotFoundError
from windlass.plugin.interfaces.authn import Decision
from windlass.plugin.interfaces.controller import ControllerContext
from windlass.store.memory import MemoryStore
from windlass.store.watchcache import WatchCache
from windlass_controllers.daemonset.nodes import node_of


class AllowEverybody:
    def authorize(self, *_):
        return Decision(allowed=True)


class Cluster:
    """What a test works with: a client, the controllers under test, and ways to wait."""

    def __init__(self, client, clock):
        self.client = client
        self.clock = clock
        self.informers = InformerFactory(client, clock)
        self.tasks = []
        self.image_fails = set()

    def start(self, coroutine):
        self.tasks.append(asyncio.ensure_future(coroutine))
        return self.tasks[-1]

    def run_controllers(self, *classes):
        for build in classes:
            recorder = EventRecorder(self.client, build.__name__, self.clock)
            self.start(recorder.run())
            self.start(build(ControllerContext(self.client, self.informers, recorder, self.clock)).run())

    async def stop(self):
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.tasks.clear()

    async def eventually(self, claim, seconds=60):
        """Ask again whenever something may have changed, until the claim holds."""
        async with asyncio.timeout(seconds):
            while True:
                found = await claim()
                if found:
                    return found
                await asyncio.sleep(0.02)

    async def items(self, resource, namespace="default", **options):
        return (await self.client.list(resource, namespace, **options))["items"]

    async def is_gone(self, resource, name, namespace="default"):
        try:
            await self.client.get(resource, name, namespace)
        except NotFoundError:
            return True
        return False

    async def kubelet(self, node="n1"):
        """Bind, run and end pods as a scheduler and an agent would."""
        queue = asyncio.Queue()
        pods = self.informers.informer(PODS)
        pods.on_event(lambda kind, old, new: queue.put_nowait(new) if new else None, replay=True)
        while True:
            pod = await queue.get()
            try:
                await self._handle(pod, node)
            except (ConflictError, NotFoundError):  # what lost a race comes again as another event
                continue

    async def _handle(self, pod, node):
        metadata = pod["metadata"]
        if metadata.get("deletionTimestamp"):
            await self.client.delete(PODS, metadata["name"], metadata["namespace"], grace_period_seconds=0,
                                     uid=metadata["uid"])
        elif not pod["spec"].get("nodeName"):
            await self.client.bind(metadata["namespace"], metadata["name"], node_of(pod) or node)
        elif (pod.get("status") or {}).get("phase") in {None, "Pending"}:
            if pod["spec"]["containers"][0]["image"] in self.image_fails:
                return
            now = rfc3339(self.clock.now())
            ready = set_condition(pod["status"].get("conditions"), {"type": "Ready", "status": "True"}, now)
            status = {**pod["status"], "phase": "Running", "conditions": ready}
            await self.client.update(PODS, {**pod, "status": status}, subresource="status")


@pytest.fixture
async def cluster():
    from windlass.api.app import build_app

    clock, scheme, store = SystemClock(), builtin_scheme(), MemoryStore()
    await store.start()
    cache = WatchCache(store, scheme, clock)
    following = asyncio.ensure_future(cache.run())
    await cache.wait_synced()
    app = build_app(
        scheme=scheme, store=store, cache=cache, authenticators=[CertificateAuthenticator()],
        authorizers=[AllowEverybody()], admission=[], clock=clock,
    )
    transport = InProcessTransport(app, user="admin", groups=["system:masters"])
    found = Cluster(Client(transport), clock)
    for namespace in ("default", "kube-system", "kube-node-lease"):
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        await found.client.raw("POST", "/api/v1/namespaces", body=body)
    await found.client.create(NODES, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}})
    found.start(found.informers.run())
    found.start(found.kubelet())
    yield found
    await found.stop()
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    await store.close()
