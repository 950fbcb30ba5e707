"""Silence between an API server and ZooKeeper, and between a ZooKeeper follower and its leader.

Everything runs in a network namespace of the test's own, where nft drops packets: no reset, no error, only silence.
"""

import asyncio
import ctypes
import os
import re
import subprocess
from collections import Counter, defaultdict
from contextlib import suppress

import pytest

from windlass.apis.resources import CONFIGMAPS
from windlass.client.client import Client, Fence
from windlass.client.election import ElectionTiming, LeaderElector
from windlass.clock import SystemClock
from windlass.errors import ApiError, ConflictError
from windlass.testing.zookeeper import Ensemble

pytestmark = [pytest.mark.zookeeper, pytest.mark.root]
CLONE_NEWNET = 0x40000000
GUARD_SECONDS = 90
REQUEST_GUARD_SECONDS = 45
LEASE_SECONDS = 6.0
CLIENTS = 64


class Network:
    """A network namespace that this thread, and all that it starts, is in."""

    def __init__(self):
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._outside = os.open("/proc/thread-self/ns/net", os.O_RDONLY)

    def enter(self):
        assert self._libc.unshare(CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)

    def leave(self):
        assert self._libc.setns(self._outside, CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        os.close(self._outside)

    def drop(self, *matches):
        """Drop silently, in either direction, what matches."""
        rules = "\n".join(f"add rule inet cut out {match} drop" for match in matches)
        chain = "add table inet cut\nadd chain inet cut out { type filter hook output priority 0; }"
        subprocess.run(["nft", "-f", "-"], input=f"{chain}\n{rules}\n", text=True, check=True)

    def heal(self):
        subprocess.run(["nft", "delete", "table", "inet", "cut"], check=True)


@pytest.fixture(scope="module")
def network():
    network = Network()
    network.enter()
    yield network
    network.leave()


@pytest.fixture
def drop(network):
    """`drop(*matches)`; healed after the test, or by `drop.heal()`."""
    state = {"cut": False}

    def cut(*matches):
        network.drop(*matches)
        state["cut"] = True

    def heal():
        if state["cut"]:
            network.heal()
        state["cut"] = False

    cut.heal = heal
    yield cut
    heal()


@pytest.fixture(scope="module")
def ensemble(network, tmp_path_factory):
    ensemble = Ensemble(tmp_path_factory.mktemp("zk"), 3)
    ensemble.start()
    yield ensemble
    ensemble.stop()


@pytest.fixture(scope="module")
def follower(ensemble):
    """The ZooKeeper server that `near` uses, and nobody else."""
    return next(server for server in ensemble.servers if server.mode() == "follower")


@pytest.fixture(scope="module")
def near(replicas, ensemble, follower, tmp_path_factory):
    """The API server that will be cut off."""
    return replicas(tmp_path_factory.mktemp("cluster"), store=f"zookeeper://{follower.host}/cut")


@pytest.fixture(scope="module")
def far(replicas, ensemble, follower, near):
    """Another replica on the other servers of the ensemble."""
    others = ",".join(server.host for server in ensemble.servers if server is not follower)
    return replicas(None, beside=near, store=f"zookeeper://{others}/cut")


@pytest.fixture
async def clients(near, far):
    both = Client(near.transport()), Client(far.transport())
    yield both
    for client in both:
        await client.close()


class Leaders:
    """Candidates for one Lease that write as fast as they may while they lead; what happened, in order."""

    def __init__(self, lease):
        self.lease = lease
        self.told = []
        self._wrote = defaultdict(asyncio.Event)
        self._tasks = []

    def candidate(self, name, client):
        elector = LeaderElector(
            client, "kube-system", self.lease, name, SystemClock(), timing=ElectionTiming.of_lease(LEASE_SECONDS)
        )

        async def lead(fenced):
            self.told.append((name, "leads"))
            try:
                await self._write(name, fenced)
            finally:
                self.told.append((name, "ended"))

        self._tasks.append(asyncio.create_task(elector.run(lead)))

    async def _write(self, name, client):
        number = 0
        while True:
            number += 1
            body = {"metadata": {"name": f"{self.lease}-{name}-{number}", "labels": {"of": self.lease, "epoch": name}}}
            with suppress(ApiError):
                await client.create(CONFIGMAPS, body, "default")
                self._wrote[name].set()
            await asyncio.sleep(0.02)

    async def until_written(self, name):
        """Return when a candidate has written as a leader."""
        async with asyncio.timeout(GUARD_SECONDS):
            await self._wrote[name].wait()

    async def until(self, name, what):
        async with asyncio.timeout(GUARD_SECONDS):
            while (name, what) not in self.told:
                await asyncio.sleep(0.02)

    async def stop(self):
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class Load:
    """Clients that ask again a tenth of a second after each answer: 640 requests a second and fewer."""

    def __init__(self, client):
        self._client = client
        self.answers = Counter()
        self._tasks = []

    def start(self, count):
        self._tasks = [asyncio.create_task(self._ask(number)) for number in range(count)]

    async def _ask(self, number):
        while True:
            try:
                async with asyncio.timeout(REQUEST_GUARD_SECONDS):
                    if number % 4:
                        await self._client.get(CONFIGMAPS, "none", "default")
                    else:
                        await self._client.create(CONFIGMAPS, {"metadata": {"generateName": "load-"}}, "default")
                self.answers[200] += 1
            except ApiError as error:
                self.answers[error.code] += 1
            except TimeoutError:
                self.answers["never"] += 1
            await asyncio.sleep(0.1)

    async def stop(self):
        """Every request that is under way ends; nobody is cancelled in the middle of one."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def ready(client):
    async with asyncio.timeout(GUARD_SECONDS):
        while True:
            try:
                await client.raw("GET", "/readyz")
            except ApiError:
                await asyncio.sleep(0.1)
            else:
                return


@pytest.mark.parametrize(("lease", "load_clients"), [("quiet", 0), ("busy", CLIENTS)])
async def test_a_leader_whose_server_is_cut_off_ends_before_another_leads(
    drop, near, follower, clients, lease, load_clients
):
    """R05, R06: by order of events, not by time; nothing of the old epoch is written after the new one began.

    Under load (R06) every request is answered, the server notices the silence, and makes no threads for those who wait.
    """
    leaders, load = Leaders(lease), Load(clients[0])
    suspended = near.log_file.read_text().count("SUSPENDED")
    try:
        load.start(load_clients)
        leaders.candidate("one", clients[0])
        await leaders.until_written("one")
        leaders.candidate("two", clients[1])
        threads = near.threads()
        drop(f"tcp dport {follower.client_port}", f"tcp sport {follower.client_port}")
        await leaders.until("one", "ended")
        near_ready = await asyncio.to_thread(near.request, "GET", "/readyz")
        near_live = await asyncio.to_thread(near.request, "GET", "/livez")
        await leaders.until_written("two")
        during = near.threads()
        drop.heal()
        await ready(clients[0])
        stale = clients[0].fenced(Fence("kube-system", lease, "one", 0))
        with pytest.raises(ConflictError, match="fenced off"):
            await stale.create(CONFIGMAPS, {"metadata": {"name": f"{lease}-stale"}}, "default")
    finally:
        await load.stop()
        await leaders.stop()
    assert leaders.told[:3] == [("one", "leads"), ("one", "ended"), ("two", "leads")]
    assert (near_ready.status, near_live.status) == (500, 200) or near_ready.status == 503
    assert near.log_file.read_text().count("SUSPENDED") > suspended
    written = (await clients[1].list(CONFIGMAPS, "default", label_selector=f"of={lease}"))["items"]
    epochs = [item["metadata"]["labels"]["epoch"] for item in sorted(written, key=version)]
    assert epochs == sorted(epochs), "the old epoch wrote after the new one"
    assert {"one", "two"} == set(epochs)
    if load_clients:
        assert load.answers["never"] == 0
        assert sum(load.answers[code] for code in (500, 503, 504)) > load_clients, load.answers
        assert set(load.answers) <= {200, 404, 429, 500, 503, 504, "never"}, load.answers
        assert during <= threads + 8


def version(obj):
    return int(obj["metadata"]["resourceVersion"])


def quorum_connection(ensemble, follower):
    """The follower's local port of its connection to the leader, and the leader's port."""
    leader = ensemble.leader()
    config = (follower.directory / "zoo.cfg").read_text()
    quorum_port = re.search(rf"^server\.{leader.number}=127\.0\.0\.1:(\d+):", config, re.MULTILINE)[1]
    listed = subprocess.run(["ss", "-tnpH", "state", "established"], capture_output=True, text=True, check=True).stdout
    found = re.search(
        rf"127\.0\.0\.1\]?:(\d+)\s+\S*127\.0\.0\.1\]?:{quorum_port}\s.*pid={follower.process.pid},", listed
    )
    assert found, listed
    return found[1], quorum_port


READS = (
    "/api/v1/namespaces/default/configmaps/watched?resourceVersion={version}",
    "/api/v1/namespaces/default/configmaps?resourceVersion={version}&resourceVersionMatch=NotOlderThan",
    "/api/v1/namespaces/default/configmaps?labelSelector=read%3Dfresh",
    "/api/v1/namespaces/default/configmaps/watched",
)


def held_fresh(answer, asked):
    """Fresh, or an honest 503 or 504; never older."""
    if answer.status != 200:
        answer.expect(500, 503, 504)
        return 0
    assert version(answer.json) >= asked
    return 1


async def test_a_replica_on_a_follower_without_its_leader_says_nothing_old(drop, near, far, ensemble, follower):
    """R18: write through one replica, read with resourceVersion>=x through the other: fresh, or it waits, or 504."""
    configmaps = "/api/v1/namespaces/default/configmaps"
    await asyncio.to_thread(far.request, "POST", configmaps, {"metadata": {"name": "watched"}})
    local, quorum = quorum_connection(ensemble, follower)

    def write(number):
        return version(far.patch(f"{configmaps}/watched", {"data": {"n": str(number)}}).expect(200))

    def read(asked):
        return sum(held_fresh(near.request("GET", path.format(version=asked)), asked) for path in READS)

    assert await asyncio.to_thread(lambda: read(write(0))) == len(READS)
    drop(f"tcp sport {local}", f"tcp dport {local}", f"tcp dport {quorum} tcp flags & (syn | ack) == syn")
    fresh = [await asyncio.to_thread(lambda number=number: read(write(number))) for number in range(1, 4)]
    assert fresh[-1] < len(READS), "the follower was not cut off"
    drop.heal()
    async with asyncio.timeout(GUARD_SECONDS):
        while await asyncio.to_thread(lambda: read(write(9))) < len(READS):
            await asyncio.sleep(0.2)
