"""What others find, and leave, in our part of ZooKeeper."""

import pytest
from kazoo.client import KazooClient
from kazoo.exceptions import NoAuthError
from kazoo.security import make_digest_acl

from windlass.errors import StoreUnavailableError
from windlass.store.interface import Change, ChangeType
from windlass.store.zookeeper.layout import Paths, shard_of

pytestmark = [
    pytest.mark.zookeeper,
    # kazoo leaves the socket of a failed connection attempt to the garbage collector.
    pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"),
]
CANARY = b'{"canary":"in-here"}'


@pytest.fixture
def client(ensemble):
    """A client with our credentials unless told otherwise."""
    clients = []

    def connect(credentials="tester:secret"):
        client = KazooClient(ensemble.hosts, auth_data=[("digest", credentials)] if credentials else None)
        client.start()
        clients.append(client)
        return client

    yield connect
    for client in clients:
        client.stop()
        client.close()


def walk(client, path):
    yield path
    for child in client.get_children(path):
        yield from walk(client, f"{path}/{child}")


async def test_strangers_are_refused(opened, client):
    """R20: without credentials nothing is read or written, on no node of the tree."""
    store = await opened()
    revision = await store.create("a/b/c/x", CANARY)
    await store.update("a/b/c/x", b"{}" + b" " * (500 << 10), revision=revision)
    friend, stranger = client(), client("")
    paths = list(walk(friend, opened.root))
    assert len(paths) > 260
    for path in paths:
        assert friend.get_acls(path)[0] == [make_digest_acl("tester", "secret", all=True)]
    for attempt in (
        lambda: stranger.get(Paths(opened.root).object("a/b/c/x")),
        lambda: stranger.get_children(opened.root),
        lambda: stranger.set(Paths(opened.root).segment(0), b""),
        lambda: stranger.create(f"{opened.root}/objects/intruder", b""),
    ):
        with pytest.raises(NoAuthError):
            attempt()


async def test_wrong_credentials_are_named(opened):
    await opened()
    with pytest.raises(StoreUnavailableError, match="credentials"):
        await opened(credentials="other:wrong")


@pytest.mark.parametrize("garbage", [b"", b"\x00\xff\n", b"{", b"[]\n{}", b'{"c":"x"}\n{}', b"{}" * 1000])
async def test_garbage_in_an_object_hides_nothing_else(opened, client, garbage):
    """R19: the bad one is counted and left out, its neighbours are listed."""
    store = await opened()
    good = await store.create("a/b/c/good", b"{}")
    client().create(Paths(opened.root).object("a/b/c/bad"), garbage)
    client().create(f"{Paths(opened.root).shard(shard_of('x'))}/a/bad%zz".replace("/a/", "/a_"), garbage)
    assert [item.revision for item in (await store.list("a/")).items] == [good]
    assert store.statistics()["malformedObjects"] >= 1
    assert await store.get("a/b/c/bad") is None


async def test_garbage_in_the_log_is_stepped_over(opened, client):
    """R19: a bad entry is counted; the watch goes on."""
    store = await opened()
    await store.create("a/b/c/x", b"{}")
    client().create(f"{Paths(opened.root).segment(0)}/", b"garbage", sequence=True)
    last = await store.create("a/b/c/y", b"{}")
    keys = []
    async for item in store.watch(0):
        if isinstance(item, Change):
            keys.append((item.type, item.key))
        if item.revision >= last:
            break
    assert keys == [(ChangeType.PUT, "a/b/c/x"), (ChangeType.PUT, "a/b/c/y")]
    assert store.statistics()["malformedEntries"] == 1


async def test_trimming_leaves_nothing_behind(opened, client):
    """History, tombstones and large values go; objects stay."""
    store = await opened(segment_entries=16, keep_changes=1_000_000)
    large = b"x" * (600 << 10)
    kept = await store.create("a/b/c/kept", large)
    gone = await store.create("a/b/c/gone", large)
    gone = await store.update("a/b/c/gone", large + b"y", revision=gone)
    await store.delete("a/b/c/gone", revision=gone)
    for number in range(100):
        revision = await store.create("a/b/c/churn", b"%d" % number)
        await store.delete("a/b/c/churn", revision=revision)
    await store.compact(1)
    paths, friend = Paths(opened.root), client()
    assert len(friend.get_children(paths.blobs)) == 1
    assert len(friend.get_children(paths.log)) == 2
    assert friend.exists(paths.object("a/b/c/gone")) is None
    assert (await store.get("a/b/c/kept")).revision == kept
    assert (await store.get("a/b/c/kept")).value == large
