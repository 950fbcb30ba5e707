"""A node's volumes against the real API application, as a node may use it: watches of single objects, tokens, refusals."""

import asyncio
import base64
from pathlib import Path

import pytest

from windlass.admission.plugin import register_admission_plugins
from windlass.api.app import build_app
from windlass.api.bootstrap import create_system_objects
from windlass.apis.resources import CONFIGMAPS, PODS, SECRETS, SERVICEACCOUNTS
from windlass.apis.scheme import builtin_scheme
from windlass.auth.plugin import register_authenticators, register_authorizers
from windlass.auth.service_accounts.tokens import ServiceAccountTokens
from windlass.client.client import Client
from windlass.client.transport import InProcessTransport
from windlass.clock import SystemClock
from windlass.plugin.hostfs import mounts
from windlass.plugin.interfaces.authn import Credentials
from windlass.registry.backend import CacheReader
from windlass.store.memory import MemoryStore
from windlass.store.watchcache import WatchCache
from windlass_hostagent.pods.volumes.manager import VolumeManager, VolumeNode
from windlass_storage.plugin import register_volume_drivers

pytestmark = pytest.mark.root
SECONDS = 60


class Node:
    """An API server and the volumes of node n1."""

    def __init__(self, app, authenticators, data_dir):
        self.admin = Client(InProcessTransport(app, user="admin", groups=["system:masters"]))
        self.authenticators = authenticators
        self.events = []
        self.woken = 0
        self.pods_dir = data_dir / "pods"
        as_node = Client(InProcessTransport(app, user="system:node:n1", groups=["system:nodes"]))
        node = VolumeNode(data_dir, ("192.0.2.1",), {}, 1 << 30, lambda _pod, *event: self.events.append(event))
        self.volumes = VolumeManager(
            node, {r.name: r.build({}) for r in register_volume_drivers()}, as_node, SystemClock()
        )

    async def pod(self, *sources, name="web", node="n1", **spec):
        volumes = [{"name": "vwx"[i], **source} for i, source in enumerate(sources)]
        body = {
            "metadata": {"name": name},
            "spec": {"containers": [{"name": "main", "image": "i"}], "volumes": volumes, **spec},
        }
        await self.admin.create(PODS, body, "default")
        await self.admin.bind("default", name, node)
        return await self.admin.get(PODS, name, "default")

    async def mount(self, pod):
        def wake():
            self.woken += 1

        return await self.volumes.mount(pod, (), wake)

    def path(self, pod, driver, name="v"):
        return self.pods_dir / pod["metadata"]["uid"] / "volumes" / driver / name

    async def until(self, probe):
        async with asyncio.timeout(SECONDS):
            while not probe():
                await asyncio.sleep(0.02)

    def who(self, token, audiences=()):
        credentials = Credentials(None, token, audiences)
        found = [a.authenticate(credentials) for a in self.authenticators]
        return next(user for user in found if user is not None)


@pytest.fixture
async def node(tmp_path):
    clock, scheme, store = SystemClock(), builtin_scheme(), MemoryStore()
    await store.start()
    await create_system_objects(store, clock)
    cache = WatchCache(store, scheme, clock)
    following = asyncio.ensure_future(cache.run())
    await cache.wait_synced()
    identities = {"pki_dir": str(tmp_path / "pki"), "reader": CacheReader(cache, scheme), "clock": clock}

    def built(registrations):
        return [driver for driver in (item.build(identities) for item in registrations) if driver is not None]

    authenticators = built(register_authenticators())
    app = build_app(
        scheme=scheme, store=store, cache=cache, authenticators=authenticators, authorizers=built(register_authorizers()),
        admission=built(register_admission_plugins()), clock=clock, tokens=ServiceAccountTokens(tmp_path / "pki", clock),
    )  # fmt: skip
    made = Node(app, authenticators, tmp_path / "agent")
    running = asyncio.ensure_future(made.volumes.run())
    yield made
    for task in (running, following):
        task.cancel()
    await asyncio.gather(running, following, return_exceptions=True)
    await store.close()
    mounts.unmount_all(str(tmp_path))


async def test_what_pods_refer_to_is_followed_as_the_node(node):
    await node.admin.create(CONFIGMAPS, {"metadata": {"name": "config"}, "data": {"k": "1"}}, "default")
    pod = await node.pod({"configMap": {"name": "config"}}, {"secret": {"secretName": "late"}})
    assert not (await node.mount(pod)).ready
    assert node.events == [
        ("Warning", "FailedMount", 'MountVolume.SetUp failed for volume "w" : secret "late" not found')
    ]
    secret = {"metadata": {"name": "late"}, "data": {"k": base64.b64encode(b"s").decode()}}
    await node.admin.create(SECRETS, secret, "default")
    await node.until(lambda: node.woken)
    assert (await node.mount(pod)).ready
    key = node.path(pod, "configmap") / "k"
    for value in ("2", "3"):
        await node.admin.patch(CONFIGMAPS, "config", {"data": {"k": value}}, "default")
        await node.until(lambda value=value: key.read_text() == value)
    await node.admin.delete(CONFIGMAPS, "config", "default")
    await node.until(lambda: 'configmap "config" not found' in node.events[-1][2])
    assert key.read_text() == "3"
    await node.admin.create(CONFIGMAPS, {"metadata": {"name": "config"}, "data": {"k": "4"}}, "default")
    await node.until(lambda: key.read_text() == "4")
    await node.volumes.unmount(pod["metadata"]["uid"])
    assert node.volumes.statistics() == {"pods": 0, "volumes": 0, "watched": 0}


async def test_a_pod_of_another_node_gives_nothing(node):
    """S50: what no pod of this node refers to is refused, and the refusal is what the event says."""
    await node.admin.create(SECRETS, {"metadata": {"name": "far"}, "data": {}}, "default")
    pod = await node.pod({"secret": {"secretName": "far"}}, node="n2")
    assert not (await node.mount(pod)).ready
    assert "forbidden" in node.events[0][2]
    await node.volumes.unmount(pod["metadata"]["uid"])


async def test_a_projected_token_is_bound_to_its_pod(node):
    """C154."""
    await node.admin.create(SERVICEACCOUNTS, {"metadata": {"name": "app"}}, "default")
    source = {"serviceAccountToken": {"path": "token", "audience": "vault", "expirationSeconds": 600}}
    pod = await node.pod({"projected": {"sources": [source]}}, serviceAccountName="app")
    assert (await node.mount(pod)).ready, node.events
    token = Path(node.path(pod, "projected") / "token").read_text()
    user = node.who(token, ("vault",))
    assert user.name == "system:serviceaccount:default:app"
    assert user.extra["authentication.kubernetes.io/pod-uid"] == [pod["metadata"]["uid"]]
    await node.volumes.unmount(pod["metadata"]["uid"])


async def test_a_missing_account_is_named(node):
    source = {"serviceAccountToken": {"path": "token"}}
    pod = await node.pod({"projected": {"sources": [source]}}, serviceAccountName="nobody")
    assert not (await node.mount(pod)).ready
    assert 'serviceaccounts "nobody" not found' in node.events[0][2]
    await node.volumes.unmount(pod["metadata"]["uid"])
