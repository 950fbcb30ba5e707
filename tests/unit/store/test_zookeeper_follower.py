"""The follower between what this process offers it and what it reads: the order is the log's, whoever wrote."""

import asyncio
from types import SimpleNamespace

import pytest
from kazoo.exceptions import NoNodeError
from kazoo.protocol.serialization import Exists, GetData

from windlass.store.interface import Change, ChangeType
from windlass.store.zookeeper.changelog import Place
from windlass.store.zookeeper.connection import Answer
from windlass.store.zookeeper.follower import Follower
from windlass.store.zookeeper.layout import EntryNode, Paths, encode_entry

GUARD_SECONDS = 30
PATHS = Paths("/t")


def entry(number, *, blob=""):
    return EntryNode(ChangeType.PUT, f"a/b/c/{number}", 0, 0, f"id-{number}", b"%d" % number, blob)


def revision(number):
    return 100 + number


class Ensemble:
    """Entries of one open segment, and what was asked of them. Stands for the connection and the log."""

    def __init__(self):
        self.entries, self.read, self.watchers = {}, [], {}

    def write(self, number, *, blob=""):
        """Another process commits an entry."""
        path = PATHS.entry(0, number)
        self.entries[path] = (encode_entry(entry(number, blob=blob)), SimpleNamespace(czxid=revision(number)))
        for watcher in self.watchers.pop(path, ()):
            watcher(None)

    async def answers(self, requests):
        await asyncio.sleep(0)
        return [self._answer(request) for request in requests]

    async def call(self, request):
        return (await self.answers([request]))[0].get()

    def _answer(self, request):
        if request.path == PATHS.segment(0):
            return Answer((b"", SimpleNamespace(version=0)), 0, None)
        if request.path.startswith("/t/blobs/"):
            return Answer((b"large", SimpleNamespace()), 0, None)
        self.read.append(request.path)
        found = self.entries.get(request.path)
        if isinstance(request, Exists):
            if found is None and request.watcher:
                self.watchers.setdefault(request.path, []).append(request.watcher)
            return Answer(found and found[1], 0, None)
        assert isinstance(request, GetData)
        return Answer(found, 0, None) if found else Answer(None, 0, NoNodeError())

    def call_on_loop(self, callback, *arguments):
        callback(*arguments)

    async def locate(self, _since):
        return Place(0, 0)

    def note_entry(self, segment, sequence):
        pass


@pytest.fixture
async def followed():
    """Follow an ensemble: (ensemble, follower, take), where `take(n)` waits for n changes."""
    ensemble = Ensemble()
    follower = Follower(ensemble, ensemble, PATHS, lambda *_: None)
    items = follower.follow(0)

    async def take(count):
        found = []
        async with asyncio.timeout(GUARD_SECONDS):
            while len(found) < count:
                item = await anext(items)
                if isinstance(item, Change):
                    found.append(item)
        return [(change.key, change.revision) for change in found]

    async with asyncio.timeout(GUARD_SECONDS):
        await anext(items)  # it has read to the end of what there is: nothing
    ensemble.read.clear()
    yield ensemble, follower, take
    await items.aclose()


def expected(*numbers):
    return [(f"a/b/c/{number}", revision(number)) for number in numbers]


async def test_what_was_committed_here_is_not_read_back(followed):
    ensemble, follower, take = followed
    for number in range(50):
        follower.offer(0, number, entry(number), revision(number))
    assert await take(50) == expected(*range(50))
    assert ensemble.read == []


async def test_anothers_entry_comes_before_our_later_one(followed):
    """R02: an offer further on is no reason to skip what stands before it."""
    ensemble, follower, take = followed
    ensemble.write(1)
    ensemble.write(3)
    for number in (0, 2, 4):
        follower.offer(0, number, entry(number), revision(number))
    assert await take(5) == expected(*range(5))


async def test_an_offer_of_what_was_read_meanwhile_comes_once(followed):
    ensemble, follower, take = followed
    ensemble.write(0)
    assert await take(1) == expected(0)
    follower.offer(0, 0, entry(0), revision(0))
    follower.offer(0, 1, entry(1), revision(1))
    assert await take(1) == expected(1)


async def test_an_entry_that_was_offered_and_read_comes_once(followed):
    ensemble, follower, take = followed
    ensemble.write(0)
    ensemble.write(1)
    ensemble.write(2)
    follower.offer(0, 1, entry(1), revision(1))
    assert await take(3) == expected(0, 1, 2)


async def test_anothers_entry_after_ours_is_found(followed):
    """W26: nobody tells of it, as the watch stood on an entry of our own; so the follower looks after a moment."""
    ensemble, follower, take = followed
    follower.offer(0, 0, entry(0), revision(0))
    assert await take(1) == expected(0)
    ensemble.write(1)
    assert await take(1) == expected(1)


async def test_a_barrier_that_knows_more_makes_it_look(followed):
    """R18: a revision that no commit of ours accounts for is another's."""
    ensemble, follower, take = followed
    follower.offer(0, 0, entry(0), revision(0))
    assert await take(1) == expected(0)
    ensemble.write(1)
    follower.expect(revision(1))
    assert await take(1) == expected(1)


async def test_a_barrier_over_our_own_commits_reads_nothing(followed):
    ensemble, follower, take = followed
    follower.offer(0, 0, entry(0), revision(0))
    follower.expect(revision(0))
    assert await take(1) == expected(0)
    assert ensemble.read == []


async def test_a_large_value_is_read_with_its_entry(followed):
    """A deletion's entry names the blob of the last value, which its committer need not have."""
    ensemble, follower, take = followed
    ensemble.write(0, blob="large")
    follower.offer(0, 0, entry(0, blob="large"), revision(0))
    assert await take(1) == expected(0)
    assert PATHS.entry(0, 0) in ensemble.read


async def test_the_watch_on_our_own_entry_does_not_make_it_look(followed):
    ensemble, follower, take = followed
    watched = PATHS.entry(0, 0)
    (watcher,) = ensemble.watchers.pop(watched)
    for number in range(3):
        follower.offer(0, number, entry(number), revision(number))
    assert await take(3) == expected(0, 1, 2)
    watcher(None)
    follower.offer(0, 3, entry(3), revision(3))
    assert await take(1) == expected(3)
    assert ensemble.read == []
