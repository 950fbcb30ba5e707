"""R01 to R04: servers killed and frozen under writes."""

import asyncio
from collections import Counter

import pytest

from windlass.errors import StoreUnavailableError, UnknownOutcomeError
from windlass.store.interface import Change

pytestmark = [
    pytest.mark.zookeeper,
    # kazoo leaves the socket of a failed connection attempt to the garbage collector.
    pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"),
]

GUARD_SECONDS = 60  # catches a hang; says nothing about speed


class Workload:
    """Writers and one follower of the same store; remembers what was acknowledged and what was seen."""

    def __init__(self, store, writers=8):
        self.store = store
        self.writers = writers
        self.acknowledged = {}
        self.doubtful = set()
        self.seen = []
        self.outcomes = Counter()
        self.stopped = False

    async def write(self, writer):
        number = 0
        while not self.stopped:
            key, number = f"a/b/w{writer}/{number}", number + 1
            try:
                self.acknowledged[key] = await self.store.create(key, b"{}")
                self.outcomes["written"] += 1
            except StoreUnavailableError:
                self.outcomes["unavailable"] += 1
                await asyncio.sleep(0.02)
            except UnknownOutcomeError:
                self.outcomes["unknown"] += 1
                self.doubtful.add(key)

    async def follow(self):
        async for item in self.store.watch(0):
            if isinstance(item, Change):
                self.seen.append(item)

    async def resumes(self, timeout):
        """Wait until a write that begins now succeeds."""
        before = self.outcomes["written"]
        async with asyncio.timeout(timeout):
            while self.outcomes["written"] < before + 2 * self.writers:
                await asyncio.sleep(0.02)

    async def run(self, disturb):
        async with asyncio.TaskGroup() as group:
            following = group.create_task(self.follow())
            for writer in range(self.writers):
                group.create_task(self.write(writer))
            await self.resumes(GUARD_SECONDS)
            await disturb(self)
            self.stopped = True
            end = await self.barrier()
            async with asyncio.timeout(GUARD_SECONDS):
                while not self.seen or self.seen[-1].revision < max([*self.acknowledged.values(), 0]):
                    await asyncio.sleep(0.02)
            following.cancel()
        await self.check(end)

    async def barrier(self):
        while True:
            try:
                return await self.store.barrier()
            except StoreUnavailableError:
                await asyncio.sleep(0.1)

    async def check(self, end):
        revisions = [change.revision for change in self.seen]
        assert revisions == sorted(set(revisions))
        watched = {change.key: change.revision for change in self.seen}
        stored = {item.key: item.revision for item in (await self.store.list("")).items}
        for key, revision in self.acknowledged.items():
            assert watched.get(key) == revision
            assert stored.get(key) == revision
        assert set(stored) - set(self.acknowledged) <= self.doubtful
        assert end


async def test_killing_the_leader(opened, ensemble):
    """R01: every acknowledged write is readable, the others are all or nothing, writes resume."""

    async def disturb(load):
        for _ in range(2):
            leader = ensemble.leader()
            leader.kill()
            await load.resumes(GUARD_SECONDS)
            leader.start()
            await asyncio.to_thread(ensemble.wait_serving)

    await Workload(await opened()).run(disturb)


async def test_killing_the_follower_that_we_use(opened, ensemble):
    """R02: the watch has no gap, no duplicate, and never goes back."""

    async def disturb(load):
        for server in [server for server in ensemble.servers if server.mode() == "follower"] * 2:
            server.kill()
            await load.resumes(GUARD_SECONDS)
            server.start()
            await asyncio.to_thread(ensemble.wait_serving)

    await Workload(await opened(segment_entries=256)).run(disturb)


async def test_two_of_three_down(opened, ensemble):
    """R03: refused at once or within the deadline, and all well again by itself."""

    async def disturb(load):
        victims = ensemble.servers[:2]
        for server in victims:
            server.kill()
        async with asyncio.timeout(GUARD_SECONDS):
            while load.outcomes["unavailable"] < 50:
                await asyncio.sleep(0.02)
        with pytest.raises(StoreUnavailableError):
            await load.store.ping()
        for server in victims:
            server.start()
        await asyncio.to_thread(ensemble.wait_serving)
        await load.resumes(GUARD_SECONDS)

    await Workload(await opened(commit_timeout_seconds=5)).run(disturb)


async def test_freezing_the_leader(opened, ensemble):
    """R04: one leader at a time; what the old one acknowledged stands."""

    async def disturb(load):
        import signal

        leader = ensemble.leader()
        leader.signal(signal.SIGSTOP)
        try:
            await load.resumes(GUARD_SECONDS)
        finally:
            leader.signal(signal.SIGCONT)
        await load.resumes(GUARD_SECONDS)

    await Workload(await opened(commit_timeout_seconds=15)).run(disturb)
