import asyncio

from hypothesis import given
from hypothesis import strategies as st

from windlass.client.reconcile import reconcile_loop, reconcile_once
from windlass.client.workqueue import WorkQueue
from windlass.errors import (
    NAMESPACE_TERMINATING,
    ConflictError,
    ErrorDetails,
    FieldError,
    ForbiddenError,
    NotFoundError,
    TooManyRequestsError,
)


async def test_a_key_waits_once_and_is_worked_on_by_one(clock):
    queue = WorkQueue(clock)
    queue.add("a")
    queue.add("a")
    assert await queue.get() == "a"
    queue.add("a")  # while being worked on: comes again, but only afterwards
    assert queue.statistics()["ready"] == 0
    queue.done("a")
    assert await queue.get() == "a"
    queue.done("a")
    assert queue.statistics()["ready"] == 0


async def test_the_soonest_of_several_delays_holds(clock, background):
    queue = WorkQueue(clock)
    background(queue.run())
    await clock.settle()
    queue.add_after("a", 50)
    queue.add_after("a", 10)
    queue.add_after("a", 30)
    await clock.advance(9)
    assert queue.statistics()["ready"] == 0
    await clock.advance(1)
    assert queue.statistics() == {"ready": 1, "working": 0, "delayed": 0, "added": 1, "retried": 0}


async def test_back_off_doubles_to_a_bound_and_is_forgotten(clock):
    queue = WorkQueue(clock, base_delay_seconds=1, max_delay_seconds=5)
    assert [queue.retry("a") for _ in range(5)] == [1, 2, 4, 5, 5]
    queue.forget("a")
    assert queue.retry("a") == 1
    assert queue.retry("b", at_least_seconds=9) == 9


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=30))
def test_every_added_key_is_handed_out(keys):
    async def run():
        from windlass.testing.clock import FakeClock

        queue, seen = WorkQueue(FakeClock()), []
        for key in keys:
            queue.add(key)
        while queue.statistics()["ready"]:
            seen.append(await queue.get())
            queue.done(seen[-1])
        return seen

    assert sorted(asyncio.run(run())) == sorted(set(keys))


async def test_a_failed_key_comes_again_and_others_go_on(clock, background):
    queue, calls = WorkQueue(clock), []

    async def reconcile(key):
        calls.append(key)
        if key == "bad" and calls.count("bad") < 3:
            raise RuntimeError("no")
        return 7.0 if key == "again" and calls.count("again") == 1 else None

    background(reconcile_loop(queue, reconcile, controller="test", workers=2))
    for key in ("bad", "good", "again"):
        queue.add(key)
    await clock.advance(8)
    assert {key: calls.count(key) for key in set(calls)} == {"bad": 3, "good": 1, "again": 2}


async def test_retry_after_is_obeyed(clock):
    queue = WorkQueue(clock)

    async def refused(key):
        raise TooManyRequestsError("slow down", details=ErrorDetails(retry_after_seconds=30))

    async def conflict(key):
        raise ConflictError("old")

    await reconcile_once(queue, refused, "a", "test")
    await reconcile_once(queue, conflict, "b", "test")
    assert queue._due["a"] == 30
    assert queue._due["b"] < 1


async def test_a_key_of_a_namespace_that_goes_is_left_alone(clock, caplog):
    """A create that is refused for that reason is an end, not a failure: no retry, no warning."""
    queue, cause = WorkQueue(clock), FieldError("metadata.namespace", "going", NAMESPACE_TERMINATING)

    async def refused(key):
        raise ForbiddenError("no new content", details=ErrorDetails(causes=(cause,)))

    async def too_late(key):
        raise NotFoundError('namespaces "gone" not found', details=ErrorDetails(kind="namespaces", name="gone"))

    await reconcile_once(queue, refused, "going/a", "test")
    await reconcile_once(queue, too_late, "gone/b", "test")
    assert queue.statistics()["delayed"] == 0
    assert not [record for record in caplog.records if record.levelname == "WARNING"]
