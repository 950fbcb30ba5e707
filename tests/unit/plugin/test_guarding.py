"""P84 beyond loading: a third party's code that raises, exits, spins or never returns while the process runs."""

import asyncio
import sys
import threading
import time

import pytest

from windlass.errors import ForbiddenError, InternalServerError
from windlass.plugin.guarding import PLUGIN_FAILURES, GuardedMethods, PluginCalls, PluginHungError
from windlass.plugin.watchdog import STALLS, LoopWatchdog

GUARD_SECONDS = 60


class Told(list):
    """What the plugin manager would be told."""

    def __call__(self, why, hangs):
        self.append((why, hangs))


@pytest.fixture
def told():
    return Told()


@pytest.fixture
def release():
    """An event that ends what hangs, at the latest when the test does."""
    event = threading.Event()
    yield event
    event.set()


def failures(plugin, hook):
    return PLUGIN_FAILURES.labels(plugin, hook)._value.get()


def exits():
    sys.exit(3)


def raises():
    raise ValueError("boom")


def out_of_memory():
    return bytearray(1 << 62)


@pytest.mark.parametrize(
    ("function", "expected"), [(exits, "SystemExit: 3"), (raises, "ValueError: boom"), (out_of_memory, "MemoryError")]
)
async def test_what_a_plugin_raises_is_an_error_that_names_it(told, function, expected):
    """P84: raise, sys.exit, more memory than there is."""
    calls = PluginCalls("bad", GUARD_SECONDS, told)
    before = failures("bad", "admit")
    with pytest.raises(InternalServerError, match=f"plugin bad: admit raised {expected}"):
        await calls.call("admit", function)
    with pytest.raises(InternalServerError, match=f"plugin bad: filter raised {expected}"):
        calls.call_blocking("filter", function)
    assert failures("bad", "admit") == before + 1
    assert [hangs for _, hangs in told] == [False, False]


async def test_a_refusal_and_a_value_pass(told):
    calls = PluginCalls("good", GUARD_SECONDS, told)

    def refuse():
        raise ForbiddenError("not on Fridays")

    with pytest.raises(ForbiddenError, match="Fridays"):
        await calls.call("validate", refuse)
    assert await calls.call("admit", lambda value: value + 1, 41) == 42
    assert told == []


async def test_a_plugin_that_hangs_holds_nobody_up(told, release):
    """P84: named after its deadline; the loop turns meanwhile; no second thread waits for it; it may come back."""
    calls = PluginCalls("stuck", 0.2, told)
    turns = 0
    hanging = asyncio.create_task(calls.call("admit", release.wait))
    while not hanging.done():
        turns += 1
        await asyncio.sleep(0.01)
    with pytest.raises(PluginHungError, match=r"plugin stuck: admit did not return within 0\.2 s"):
        await hanging
    assert turns > 3
    assert told == [("admit did not return within 0.2 s", True)]
    threads = threading.active_count()
    for _ in range(20):
        with pytest.raises(PluginHungError, match="stuck has not returned"):
            await calls.call("validate", release.wait)
    assert threading.active_count() == threads
    release.set()
    async with asyncio.timeout(GUARD_SECONDS):
        while True:
            try:
                assert await calls.call("admit", lambda: "back") == "back"
                break
            except PluginHungError:
                await asyncio.sleep(0.01)


def test_methods_of_a_scheduler_plugin_have_the_deadline(told, release):
    """P84: synchronous methods end by their deadline; attributes and coroutines are the plugin's own."""

    class Plugin:
        row_local = False

        def filter(self, _pod, _nodes):
            release.wait()

        async def bind(self, _pod, _node):
            return "bound"

    guarded = GuardedMethods(Plugin(), PluginCalls("filters", 0.2, told))
    assert guarded.row_local is False
    assert not hasattr(guarded, "score")
    with pytest.raises(PluginHungError, match="plugin filters: filter did not return"):
        guarded.filter(None, None)
    assert asyncio.run(guarded.bind(None, None)) == "bound"


async def test_code_that_holds_the_event_loop_is_named(told):
    """P84, R10: a thread sees where the loop stands and whose code that is."""
    stalls = []
    named = threading.Event()

    def on_stall(owner, why):
        stalls.append((owner, why))
        named.set()

    before = STALLS.labels("theirs")._value.get()
    watchdog = LoopWatchdog(lambda module: "theirs" if module == __name__ else "", on_stall, 0.05)
    watchdog.start()
    try:
        await asyncio.sleep(0)
        hold_the_loop(named)
    finally:
        watchdog.stop()
    assert stalls[0][0] == "theirs"
    assert stalls[0][1].endswith("hold_the_loop")
    assert STALLS.labels("theirs")._value.get() == before + 1


def hold_the_loop(until):
    guard = time.monotonic() + GUARD_SECONDS
    while not until.is_set():
        assert time.monotonic() < guard
