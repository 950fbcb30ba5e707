"""Watches."""

import asyncio
import json

import pytest

from windlass.api import watch as watching
from windlass.api.config import ApiConfig
from windlass.store import kindcache, watcher

CMS = "/api/v1/namespaces/default/configmaps"


async def version(api):
    return (await api.get(CMS))["metadata"]["resourceVersion"]


def brief(event):
    return event["type"], event["object"]["metadata"]["name"]


async def test_watch_from_nothing_begins_with_what_is_there(api, make):
    await api.ok("POST", CMS, make.config_map("a"))
    async with api.watch(f"{CMS}?watch=true") as watch:
        assert brief(await watch.next()) == ("ADDED", "a")
        made = await api.ok("POST", CMS, make.config_map("b"))
        event = await watch.next()
        assert (event["type"], event["object"]) == ("ADDED", made)
        await api.patch(f"{CMS}/b", {"data": {"x": "y"}})
        assert brief(await watch.next()) == ("MODIFIED", "b")
        await api.ok("DELETE", f"{CMS}/b")
        last = await watch.next()
        assert brief(last) == ("DELETED", "b")
        assert int(last["object"]["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])


async def test_resumed_watch_delivers_exactly_what_happened_in_between(api, make):
    """C088."""
    async with api.watch(f"{CMS}?watch=true&resourceVersion={await version(api)}") as watch:
        await api.ok("POST", CMS, make.config_map("a"))
        seen = (await watch.next())["object"]["metadata"]["resourceVersion"]
    await api.patch(f"{CMS}/a", {"data": {"n": "1"}})
    await api.ok("DELETE", f"{CMS}/a")
    async with api.watch(f"{CMS}?watch=1&resourceVersion={seen}") as watch:
        assert [brief(event) for event in await watch.take(2)] == [("MODIFIED", "a"), ("DELETED", "a")]
        await api.ok("POST", CMS, make.config_map("b"))
        assert brief(await watch.next()) == ("ADDED", "b")


async def test_watch_from_an_earlier_write(api, make):
    """C089."""
    await api.ok("POST", CMS, make.config_map("a"))
    first = await api.patch(f"{CMS}/a", {"data": {"n": "1"}})
    await api.patch(f"{CMS}/a", {"data": {"n": "2"}})
    await api.ok("DELETE", f"{CMS}/a")
    async with api.watch(f"{CMS}?watch=1&resourceVersion={first['metadata']['resourceVersion']}") as watch:
        events = await watch.take(2)
        assert [brief(event) for event in events] == [("MODIFIED", "a"), ("DELETED", "a")]
        assert events[0]["object"]["data"]["n"] == "2"


async def test_leaving_and_entering_a_selector(api, make):
    """C091, W30."""
    await api.ok("POST", CMS, make.config_map("a", labels={"keep": "yes"}))
    query = f"{CMS}?watch=1&labelSelector=keep%3Dyes&resourceVersion={await version(api)}"
    async with api.watch(query) as watch:
        await api.patch(f"{CMS}/a", {"metadata": {"labels": {"keep": "no"}}})
        assert brief(await watch.next()) == ("DELETED", "a")
        await api.patch(f"{CMS}/a", {"data": {"n": "unseen"}})
        await api.patch(f"{CMS}/a", {"metadata": {"labels": {"keep": "yes"}}})
        event = await watch.next()
        assert brief(event) == ("ADDED", "a")
        assert event["object"]["data"]["n"] == "unseen"
        await api.patch(f"{CMS}/a", {"data": {"n": "2"}})
        await api.ok("DELETE", f"{CMS}/a")
        assert [brief(event) for event in await watch.take(2)] == [("MODIFIED", "a"), ("DELETED", "a")]


async def test_all_watches_see_one_sequence(api, make):
    """C092: started at the version of each event that a first watch saw."""
    start = await version(api)
    for number in range(10):
        await api.ok("POST", CMS, make.config_map(f"c{number}"))
        await api.patch(f"{CMS}/c{number}", {"data": {"n": "1"}})
    async with api.watch(f"{CMS}?watch=1&resourceVersion={start}") as watch:
        sequence = [event["object"]["metadata"]["resourceVersion"] for event in await watch.take(20)]
    assert sequence == sorted(sequence, key=int)
    for index in range(0, 19, 3):
        async with api.watch(f"{CMS}?watch=1&resourceVersion={sequence[index]}") as watch:
            rest = [event["object"]["metadata"]["resourceVersion"] for event in await watch.take(19 - index)]
        assert rest == sequence[index + 1:]


async def test_recreated_name_is_never_a_modification(api, make):
    """W23."""
    made = await api.ok("POST", CMS, make.config_map("a"))
    await api.ok("DELETE", f"{CMS}/a")
    await api.ok("POST", CMS, make.config_map("a"))
    async with api.watch(f"{CMS}?watch=1&resourceVersion={made['metadata']['resourceVersion']}") as watch:
        deleted, added = await watch.take(2)
    assert (deleted["type"], added["type"]) == ("DELETED", "ADDED")
    assert deleted["object"]["metadata"]["uid"] == made["metadata"]["uid"] != added["object"]["metadata"]["uid"]


async def test_single_object_by_field_selector_and_by_path(api, make):
    start = await version(api)
    for query in (f"{CMS}?watch=1&fieldSelector=metadata.name%3Db&resourceVersion={start}", f"{CMS}/b?watch=1&resourceVersion={start}"):
        async with api.watch(query) as watch:
            await api.ok("POST", CMS, make.config_map("a"))
            await api.ok("POST", CMS, make.config_map("b"))
            assert brief(await watch.next()) == ("ADDED", "b")
        await api.ok("DELETE", f"{CMS}/a")
        await api.ok("DELETE", f"{CMS}/b")


async def test_initial_events_end_with_an_annotated_bookmark(api, make):
    await api.ok("POST", CMS, make.config_map("a"))
    query = f"{CMS}?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    async with api.watch(query) as watch:
        added, bookmark = await watch.take(2)
        assert brief(added) == ("ADDED", "a")
        assert bookmark["type"] == "BOOKMARK"
        assert bookmark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        assert bookmark["object"]["metadata"]["resourceVersion"] == await version(api)
    refused = await api.call("GET", f"{CMS}?watch=1&sendInitialEvents=true")
    assert refused.status == 422
    refused = await api.call("GET", f"{CMS}?watch=1&resourceVersionMatch=NotOlderThan")
    assert refused.status == 422


async def test_bookmarks_move_an_idle_watch_on(api, make):
    """W28: other kinds' changes reach the bookmark."""
    async with api.watch(f"{CMS}?watch=1&allowWatchBookmarks=true&resourceVersion={await version(api)}") as watch:
        await api.ok("POST", "/api/v1/namespaces", {"metadata": {"name": "noise"}})
        current = await version(api)
        await api.clock.advance(60)
        bookmark = await watch.next()
        assert (bookmark["type"], bookmark["object"]["kind"]) == ("BOOKMARK", "ConfigMap")
        assert bookmark["object"]["metadata"]["resourceVersion"] == current
        await api.clock.advance(60)
        assert (await watch.next())["type"] == "BOOKMARK"


async def test_no_bookmarks_unless_asked_for(api):
    async with api.watch(f"{CMS}?watch=1&resourceVersion={await version(api)}") as watch:
        await api.clock.advance(200)
        assert watch.silent


async def test_timeout_ends_the_watch(api):
    async with api.watch(f"{CMS}?watch=1&timeoutSeconds=5&resourceVersion={await version(api)}") as watch:
        await api.clock.advance(6)
        assert await watch.next() is None
        assert watch.ended


async def test_version_too_old_is_410_before_the_stream(api, make, monkeypatch):
    """W25 (at start)."""
    monkeypatch.setattr(kindcache, "HISTORY_CHANGES", 4)
    start = await version(api)
    for number in range(10):
        await api.ok("POST", CMS, make.config_map(f"c{number}"))
    await version(api)
    answer = await api.call("GET", f"{CMS}?watch=1&resourceVersion={start}")
    assert (answer.status, answer.json["reason"]) == (410, "Expired")
    assert answer.json["message"].startswith(f"too old resource version: {start}")


async def test_lost_history_in_a_stream_is_an_error_event(api, make):
    """W25 (in stream)."""
    async with api.watch(f"{CMS}?watch=1&resourceVersion={await version(api)}") as watch:
        kind = next(k for k in api.cache._scheme if k.kind == "ConfigMap")
        api.cache.kind_cache(kind).reset(10**9)
        event = await watch.next()
        assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")
        assert await watch.next() is None


async def test_slow_watchers_are_closed(api, make, monkeypatch):
    """W26: the buffer is bounded; the slow one is told and cut off, others go on."""
    monkeypatch.setattr(watcher, "BUFFER_EVENTS", 10)
    start = await version(api)
    async with api.watch(f"{CMS}?watch=1&resourceVersion={start}") as fast:
        kind = next(k for k in api.cache._scheme if k.kind == "ConfigMap")
        slow = api.cache.kind_cache(kind).watch(int(start), "default", None, None)
        for number in range(30):
            await api.ok("POST", CMS, make.config_map(f"c{number}"))
            assert brief(await fast.next()) == ("ADDED", f"c{number}")
        with pytest.raises(watcher.SlowWatcherError):
            await slow.next_batch()


async def test_the_future_is_504(api):
    answer = await api.call("GET", f"{CMS}?watch=1&resourceVersion={int(await version(api)) + 500}")
    assert answer.status == 504


async def test_table_watch(api, make):
    """`kubectl get -w`: columns once, then rows."""
    headers = {"accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}
    await api.ok("POST", CMS, make.config_map("a"))
    async with api.watch(f"{CMS}?watch=1", headers=headers) as watch:
        first = (await watch.next())["object"]
        assert first["kind"] == "Table"
        assert first["columnDefinitions"]
        assert first["rows"][0]["cells"][0] == "a"
        await api.ok("POST", CMS, make.config_map("b"))
        second = (await watch.next())["object"]
        assert not second["columnDefinitions"]
        assert second["rows"][0]["object"]["metadata"]["name"] == "b"


async def test_event_watch_under_the_other_group(api):
    async with api.watch("/apis/events.k8s.io/v1/events?watch=1") as watch:
        body = {"metadata": {"name": "e1"}, "involvedObject": {"kind": "Pod", "name": "w", "namespace": "default"},
                "reason": "R", "message": "m", "type": "Normal"}
        await api.ok("POST", "/api/v1/namespaces/default/events", body)
        assert (await watch.next())["object"]["note"] == "m"


async def test_many_watches_share_lines_and_all_get_everything(api, make):
    handler_count, events = 100, 20
    start = await version(api)
    streams = [api.watch(f"{CMS}?watch=1&resourceVersion={start}") for _ in range(handler_count)]
    watches = [await stream.__aenter__() for stream in streams]
    for number in range(events):
        await api.ok("POST", CMS, make.config_map(f"c{number:02}"))
    reads = [asyncio.create_task(watch.take(events)) for watch in watches]
    while not all(read.done() for read in reads):
        await api.clock.advance(watching.MAX_PAUSE_SECONDS)
    expected = [f"c{number:02}" for number in range(events)]
    for read in reads:
        assert [event["object"]["metadata"]["name"] for event in read.result()] == expected
    for stream in streams:
        await stream.__aexit__(None, None, None)


class TestFewWatches:
    @pytest.fixture
    def config(self):
        return ApiConfig(max_watches=2)

    async def test_watches_are_bounded_and_places_come_back(self, api):
        path = f"{CMS}?watch=1"
        async with api.watch(path), api.watch(path):
            refused = await api.call("GET", path)
            assert refused.status == 429
            assert refused.header("retry-after") == "1"
            assert json.loads(refused.body)["reason"] == "TooManyRequests"
        for _ in range(3):
            assert (await api.call("HEAD", path)).status == 200
        async with api.watch(path), api.watch(path):
            pass
