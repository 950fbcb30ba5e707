"""Commits of one object, guards, concurrent writers."""

import asyncio

import pytest

from windlass.errors import GuardError, KeyExistsError, RevisionMismatchError, TooLargeError
from windlass.store.interface import MAX_VALUE_BYTES, Guard, Stored

KEY = "core/pods/default/web"


async def test_create_update_get_delete(store):
    created = await store.create(KEY, b"1")
    assert await store.get(KEY) == Stored(KEY, b"1", created, created)
    updated = await store.update(KEY, b"2", revision=created)
    assert updated > created
    assert await store.get(KEY) == Stored(KEY, b"2", updated, created)
    deleted = await store.delete(KEY, revision=updated)
    assert deleted > updated
    assert await store.get(KEY) is None


async def test_create_refuses_what_exists(store):
    await store.create(KEY, b"1")
    with pytest.raises(KeyExistsError):
        await store.create(KEY, b"2")
    assert (await store.get(KEY)).value == b"1"


@pytest.mark.parametrize("verb", ["update", "delete"])
async def test_stale_and_absent_revisions_are_refused(store, verb):
    async def attempt(key, revision):
        if verb == "update":
            return await store.update(key, b"x", revision=revision)
        return await store.delete(key, revision=revision)

    first = await store.create(KEY, b"1")
    await store.update(KEY, b"2", revision=first)
    with pytest.raises(RevisionMismatchError):
        await attempt(KEY, first)
    with pytest.raises(RevisionMismatchError):
        await attempt("core/pods/default/absent", first)
    assert (await store.get(KEY)).value == b"2"


async def test_a_recreated_key_is_a_new_one(store):
    """W23: create_revision tells the two apart, and the old revision opens nothing."""
    first = await store.create(KEY, b"1")
    await store.delete(KEY, revision=first)
    second = await store.create(KEY, b"2")
    assert await store.get(KEY) == Stored(KEY, b"2", second, second)
    with pytest.raises(RevisionMismatchError):
        await store.update(KEY, b"3", revision=first)
    third = await store.update(KEY, b"3", revision=second)
    assert (await store.get(KEY)).create_revision == second
    await store.delete(KEY, revision=third)


async def test_another_process_recreates_behind_our_back(store, another):
    """An old revision stays old even if the new object has been written as often as the old one."""
    first = await store.create(KEY, b"1")
    await another.delete(KEY, revision=first)
    second = await another.create(KEY, b"2")
    with pytest.raises(RevisionMismatchError):
        await store.update(KEY, b"stale", revision=first)
    with pytest.raises(RevisionMismatchError):
        await store.delete(KEY, revision=first)
    with pytest.raises(GuardError):
        await store.create("core/pods/default/x", b"x", guard=Guard(KEY, first))
    assert await store.get(KEY) == Stored(KEY, b"2", second, second)


async def test_guard_fences_every_verb(store, changes):
    """R09: a writer whose lease moved on commits nothing."""
    lease = await store.create("coordination.k8s.io/leases/kube-system/leader", b"a")
    held = Guard("coordination.k8s.io/leases/kube-system/leader", lease)
    created = await store.create(KEY, b"1", guard=held)
    updated = await store.update(KEY, b"2", revision=created, guard=held)
    taken = await store.update(held.key, b"b", revision=lease)
    for attempt in (
        lambda: store.create("core/pods/default/other", b"x", guard=held),
        lambda: store.update(KEY, b"x", revision=updated, guard=held),
        lambda: store.delete(KEY, revision=updated, guard=held),
        lambda: store.delete(KEY, revision=updated, guard=Guard("absent/a/b/c", taken)),
    ):
        with pytest.raises(GuardError):
            await attempt()
    assert await changes(store, taken, await store.barrier()) == []
    await store.delete(KEY, revision=updated, guard=Guard(held.key, taken))


async def test_concurrent_writers_of_one_object(store):
    """A40: successes equal version increments, the rest are refused."""
    revision = await store.create(KEY, b"0")
    outcomes = await asyncio.gather(
        *(store.update(KEY, b"%d" % n, revision=revision) for n in range(32)), return_exceptions=True
    )
    won = [outcome for outcome in outcomes if isinstance(outcome, int)]
    assert len(won) == 1
    assert all(isinstance(outcome, RevisionMismatchError) for outcome in outcomes if outcome not in won)
    assert (await store.get(KEY)).revision == won[0]


async def test_concurrent_creators_of_one_name(store, another):
    outcomes = await asyncio.gather(
        *((store, another)[n % 2].create(KEY, b"%d" % n) for n in range(16)), return_exceptions=True
    )
    assert sum(isinstance(outcome, int) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, KeyExistsError) for outcome in outcomes) == 15


async def test_increments_by_two_processes_lose_nothing(store, another):
    await store.create(KEY, b"0")

    async def increment(process):
        for _ in range(10):
            while True:
                stored = await process.get(KEY)
                try:
                    await process.update(KEY, b"%d" % (int(stored.value) + 1), revision=stored.revision)
                    break
                except RevisionMismatchError:
                    continue

    await asyncio.gather(increment(store), increment(another), increment(store))
    assert (await another.get(KEY)).value == b"30"


async def test_revisions_grow_with_every_commit(store):
    revisions = [await store.create(f"core/pods/default/p{n}", b"{}") for n in range(20)]
    assert revisions == sorted(set(revisions))
    assert revisions[0] > 0
    assert revisions[-1] < 2**63


async def test_largest_value_fits_and_a_larger_one_is_refused(store, changes):
    """R12: refused before the store; others see no lost connection."""
    largest = b"x" * MAX_VALUE_BYTES
    created = await store.create(KEY, largest)
    assert (await store.get(KEY)).value == largest
    with pytest.raises(TooLargeError):
        await store.create("core/pods/default/larger", largest + b"x")
    with pytest.raises(TooLargeError):
        await store.update(KEY, largest + b"x", revision=created)
    updated = await store.update(KEY, largest[::-1], revision=created)
    shrunk = await store.update(KEY, b"small", revision=updated)
    grown = await store.update(KEY, largest, revision=shrunk)
    deleted = await store.delete(KEY, revision=grown)
    seen = await changes(store, created - 1, deleted)
    sizes = [len(change.value) for change in seen]
    assert sizes == [MAX_VALUE_BYTES, MAX_VALUE_BYTES, 5, MAX_VALUE_BYTES, MAX_VALUE_BYTES]


@pytest.mark.parametrize("name", ["..", ".", "a%2Fb", "zookeeper", "ünï", "x" * 253, "a b", "%", "a\x00b"])
async def test_odd_names_are_only_names(store, name):
    """A39: nothing in a name reaches outside the tree."""
    key = f"core/configmaps/default/{name}"
    revision = await store.create(key, b"v")
    assert [item.key for item in (await store.list("core/configmaps/")).items] == [key]
    assert (await store.get(key)).revision == revision
    await store.delete(key, revision=revision)
