import pytest

from windlass.apimachinery.scheme import Resource
from windlass.client.informer import Informer, InformerFactory

PODS = Resource("", "v1", "pods")
WHERE = "/api/v1/pods"


def pod(name, **labels):
    return {"metadata": {"name": name, "namespace": "default", "labels": labels}}


@pytest.fixture
def informer(client, clock):
    return Informer(client, PODS, clock=clock)


@pytest.fixture
def events(informer):
    seen = []
    informer.on_event(lambda kind, old, new: seen.append((kind, (new or old)["metadata"]["name"])))
    return seen


async def test_lists_then_follows(api, informer, events, clock, background):
    api.put(WHERE, pod("a"))
    background(informer.run())
    await informer.wait_synced()
    api.put(WHERE, pod("b"))
    api.put(WHERE, pod("a", x="1"))
    await clock.settle()
    api.remove(WHERE, "b")
    await clock.settle()
    assert events == [("ADDED", "a"), ("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "b")]
    assert informer.get("default", "a")["metadata"]["labels"] == {"x": "1"}
    assert informer.get("default", "b") is None
    assert informer.has_seen(str(api.revision))


async def test_resumes_a_broken_watch_without_a_new_list(api, informer, events, clock, background):
    """C088: exactly the changes made in between are delivered."""
    background(informer.run())
    await informer.wait_synced()
    await clock.settle()
    api.breaks_watches()
    api.put(WHERE, pod("a"))
    await clock.settle()
    api.put(WHERE, pod("b"))
    await clock.settle()
    assert events == [("ADDED", "a"), ("ADDED", "b")]
    assert informer.statistics()["lists"] == 1
    assert informer.statistics()["watches"] == 2


async def test_lists_again_when_history_is_gone_and_tells_the_difference(api, informer, events, clock, background):
    """R22: a watcher with an unknown version gets 410 and relists."""
    api.put(WHERE, pod("a"))
    api.put(WHERE, pod("b"))
    background(informer.run())
    await informer.wait_synced()
    await clock.settle()
    api.down = True
    api.breaks_watches()
    await clock.settle()
    api.remove(WHERE, "a")
    api.put(WHERE, pod("c"))
    api.compact()
    api.down = False
    await clock.advance(120)
    assert sorted(events[2:]) == [("ADDED", "c"), ("DELETED", "a")]
    assert informer.statistics()["lists"] == 2


async def test_a_replaced_object_is_deleted_then_added(api, informer, events, clock, background):
    api.put(WHERE, {"metadata": {"name": "a", "namespace": "default", "uid": "1"}})
    background(informer.run())
    await informer.wait_synced()
    api.put(WHERE, {"metadata": {"name": "a", "namespace": "default", "uid": "2"}})
    await clock.settle()
    assert events == [("ADDED", "a"), ("DELETED", "a"), ("ADDED", "a")]


async def test_a_silent_watch_is_taken_for_dead(api, informer, clock, background):
    background(informer.run())
    await informer.wait_synced()
    await clock.settle()
    assert api.watches == 1
    await clock.advance(400)
    assert api.watches > 1
    assert informer.statistics()["errors"] >= 1


async def test_a_handler_that_raises_stops_nobody(api, informer, clock, background):
    seen = []
    informer.on_event(lambda *_: 1 / 0)
    informer.on_event(lambda kind, old, new: seen.append(kind))
    background(informer.run())
    await informer.wait_synced()
    api.put(WHERE, pod("a"))
    await clock.settle()
    assert seen == ["ADDED"]


async def test_indexes_follow_changes(api, informer, clock, background):
    informer.add_index("app", lambda obj: [obj["metadata"]["labels"]["app"]])
    background(informer.run())
    await informer.wait_synced()
    api.put(WHERE, pod("a", app="x"))
    await clock.settle()
    assert [o["metadata"]["name"] for o in informer.by_index("app", "x")] == ["a"]
    api.put(WHERE, pod("a", app="y"))
    await clock.settle()
    assert informer.by_index("app", "x") == []
    api.remove(WHERE, "a")
    await clock.settle()
    assert informer.by_index("app", "y") == []


async def test_a_factory_shares_informers_and_starts_later_ones(api, client, clock, background):
    factory = InformerFactory(client, clock)
    first = factory.informer(PODS)
    assert factory.informer(PODS) is first
    background(factory.run())
    await first.wait_synced()
    later = factory.informer(PODS, label_selector="a=b")
    assert later is not first
    await later.wait_synced()


async def test_replay_and_stop(api, informer, clock, background):
    api.put(WHERE, pod("a"))
    background(informer.run())
    await informer.wait_synced()
    seen = []
    stop = informer.on_event(lambda kind, old, new: seen.append(kind), replay=True)
    assert seen == ["ADDED"]
    stop()
    api.put(WHERE, pod("b"))
    await clock.settle()
    assert seen == ["ADDED"]


async def test_liveness_survives_rounding(api, client, clock, background):
    """A wait that ends a rounding error too early must not be repeated forever."""
    clock.move(0.1)
    informer = Informer(client, PODS, clock=clock, liveness_seconds=0.7)
    background(informer.run())
    await informer.wait_synced()
    for _ in range(20):
        await clock.advance(0.9)
    assert api.watches > 5


async def test_copies_are_without_the_owners_of_fields(api, informer, clock, background):
    """They are as long as the objects, and nobody here asks for them."""
    owners = [{"manager": "m", "operation": "Update", "fieldsV1": {"f:spec": {}}}]
    listed, watched = pod("a"), pod("b")
    listed["metadata"]["managedFields"] = watched["metadata"]["managedFields"] = owners
    api.put(WHERE, listed)
    background(informer.run())
    await informer.wait_synced()
    api.put(WHERE, watched)
    await clock.settle()
    assert [name for name in "ab" if "managedFields" not in informer.get("default", name)["metadata"]] == ["a", "b"]
