"""Watches of a real server: from where they begin, what they leave out, who is cut off, and a server that dies."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

PAGE = "limit=1"


def named(event) -> str:
    return event["object"]["metadata"]["name"]


def version(obj) -> int:
    return int(obj["metadata"]["resourceVersion"])


def create(api, path: str, name: str, **fields):
    return api.request("POST", path, {"metadata": {"name": name, **fields.pop("metadata", {})}, **fields}).expect(201)


def test_a_watch_goes_on_where_another_ended(api, configmaps):
    """C088: what changed between two watches, and what changes after, and nothing else."""
    first = api.watch(configmaps, f"resourceVersion={api.revision()}")
    create(api, configmaps, "seen")
    last = version(first.next()["object"])
    first.close()
    create(api, configmaps, "between")
    api.request("DELETE", f"{configmaps}/seen").expect(200)
    second = api.watch(configmaps, f"resourceVersion={last}")
    create(api, configmaps, "after")
    got = [(event["type"], named(event)) for event in second.take(3)]
    second.close()
    assert got == [("ADDED", "between"), ("DELETED", "seen"), ("ADDED", "after")]


def test_a_watch_from_an_earlier_write(api, configmaps):
    """C089: only what happened after that version, in order."""
    since = version(create(api, configmaps, "c", data={"n": "0"}))
    changed = version(api.patch(f"{configmaps}/c", {"data": {"n": "1"}}).expect(200))
    api.request("DELETE", f"{configmaps}/c").expect(200)
    stream = api.watch(configmaps, f"resourceVersion={since}")
    modified, deleted = stream.take(2)
    stream.close()
    assert [modified["type"], deleted["type"]] == ["MODIFIED", "DELETED"]
    assert version(modified["object"]) == changed < version(deleted["object"])


def test_a_stream_cut_between_two_events_of_one_burst(api, configmaps):
    """W24: no two objects share a version, so what was not read yet is delivered exactly once after any cut."""
    since = api.revision()
    with ThreadPoolExecutor(8) as writers:
        list(writers.map(lambda number: create(api, configmaps, f"c{number}"), range(24)))
    names, seen = [], since
    while len(names) < 24:
        stream = api.watch(configmaps, f"resourceVersion={seen}")
        event = stream.next()  # the server has sent more: it is lost with the connection
        stream.close()
        names.append(named(event))
        assert version(event["object"]) > seen
        seen = version(event["object"])
    assert sorted(names) == sorted(f"c{number}" for number in range(24))


def test_labels_that_go_and_come_back(api, configmaps):
    """C091: away is DELETED and then silence; back is ADDED; later changes and the end are seen."""
    stream = api.watch(configmaps, f"labelSelector=tier%3Dfront&resourceVersion={api.revision()}")
    create(api, configmaps, "c", metadata={"labels": {"tier": "front"}})
    for change in ("back", "front"):
        api.patch(f"{configmaps}/c", {"metadata": {"labels": {"tier": change}}}).expect(200)
        api.patch(f"{configmaps}/c", {"data": {"under": change}}).expect(200)
    api.request("DELETE", f"{configmaps}/c").expect(200)
    events = stream.take(5)
    stream.close()
    assert [event["type"] for event in events] == ["ADDED", "DELETED", "ADDED", "MODIFIED", "DELETED"]
    assert [event["object"].get("data", {}).get("under") for event in events] == [None, None, "back", "front", "front"]


def test_watches_from_every_version_agree(api, configmaps):
    """C092: watches begun at each version that a first watch shows see the same sequence, during writes."""
    start = api.revision()
    writer = threading.Thread(target=lambda: [create(api, configmaps, f"c{number}") for number in range(25)])
    first = api.watch(configmaps, f"resourceVersion={start}")
    with ExitStack() as stack:
        stack.callback(writer.join)
        writer.start()
        seen, followers = [], []
        for _ in range(25):
            seen.append(version(first.next()["object"]))
            followers.append(api.watch(configmaps, f"resourceVersion={seen[-1]}"))
            stack.callback(followers[-1].close)
        stack.callback(first.close)
        for number, follower in enumerate(followers):
            rest = seen[number + 1 :]
            assert [version(event["object"]) for event in follower.take(len(rest))] == rest
    assert seen == sorted(set(seen))


def test_an_expired_continue_token_goes_on(api, configmaps):
    """C082: 410 with a fresh token in the Status; from there the list goes on at one newer version."""
    for number in range(6):
        create(api, configmaps, f"c{number}")
    first = api.request("GET", f"{configmaps}?{PAGE}").expect(200)
    assert first["metadata"]["remainingItemCount"] == 5
    create(api, configmaps, "c2-new")
    # The server keeps a bounded number of old lists: these push the first one out.
    for number in range(70):
        api.request("GET", f"{configmaps}?{PAGE}&labelSelector=x!%3Dy{number}").expect(200)
    said = api.request("GET", f"{configmaps}?{PAGE}&continue={first['metadata']['continue']}").expect(410)
    assert said["reason"] == "Expired"
    names, versions, remaining = [named({"object": first["items"][0]})], set(), []
    token = said["metadata"]["continue"]
    while token:
        page = api.request("GET", f"{configmaps}?limit=2&continue={token}").expect(200)
        names += [item["metadata"]["name"] for item in page["items"]]
        versions.add(version(page))
        remaining.append(page["metadata"].get("remainingItemCount", 0))
        token = page["metadata"].get("continue", "")
    assert names == ["c0", "c1", "c2", "c2-new", "c3", "c4", "c5"]
    assert remaining == [4, 2, 0]
    assert len(versions) == 1
    assert versions.pop() > version(first)


@pytest.mark.parametrize("query", ["continue=made-up", "continue=e30", "limit=-1", "resourceVersion=x", "limit=abc"])
def test_list_options_that_make_no_sense(api, configmaps, query):
    """C082: tokens that we did not write, and numbers that are none, are the client's errors."""
    api.request("GET", f"{configmaps}?{query}").expect(400)


def test_a_version_from_the_future_and_one_long_gone(api, configmaps):
    """C088: a watch from a version that is not there yet, or that history no longer reaches, says so."""
    answer = api.request("GET", f"{configmaps}?watch=1&resourceVersion=1&timeoutSeconds=1")
    events = [] if answer.status != 200 else [line for line in answer.body.split(b"\n") if b"410" in line]
    assert answer.status in (200, 410), (answer.status, events)
    api.request("GET", f"{configmaps}?resourceVersion={api.revision() + 10_000}").expect(504)


@pytest.fixture(scope="module")
def mortal(api):
    """The same server: killed and started again by the tests below, on the same data and port."""
    return api


def test_a_server_killed_in_the_middle_of_streams(mortal, configmaps):
    """W27, R08: SIGKILL under writes; a watch resumed from the last version shows every write once, in order."""
    api = mortal
    start = api.revision()
    acknowledged: list[str] = []
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            try:
                answer = api.request("POST", configmaps, {"metadata": {"name": f"w{number:05}"}})
            except (OSError, ValueError):
                return
            if answer.status == 201:
                acknowledged.append(f"w{number:05}")
            number += 1

    stream = api.watch(configmaps, f"resourceVersion={start}")
    writer = threading.Thread(target=write)
    writer.start()
    try:
        events = stream.take(40)
        api.kill()
    finally:
        stop.set()
        writer.join()
    events += stream.rest()
    stream.close()
    api.start()
    listed = api.request("GET", configmaps).expect(200)
    stored = [item["metadata"]["name"] for item in listed["items"]]
    assert set(acknowledged) <= set(stored)
    events += resumed(api, configmaps, version(events[-1]["object"]), len(stored) - len(events), listed)
    assert [named(event) for event in events] == sorted(stored)
    versions = [version(event["object"]) for event in events]
    assert versions == sorted(set(versions))


def resumed(api, configmaps: str, last: int, missing: int, listed) -> list:
    """What a client does: watch from the last version; if that is gone (410), the list says what was missed."""
    create(api, configmaps, "zz-marker")
    stream = api.watch(configmaps, f"resourceVersion={last}")
    events = stream.take(1)
    if events[0]["type"] == "ERROR":
        assert events[0]["object"]["code"] == 410
        return [{"object": item} for item in listed["items"] if version(item) > last]
    while named(events[-1]) != "zz-marker":
        events.append(stream.next())
    stream.close()
    assert len(events) == missing + 1
    return events[:-1]


def test_versions_go_on_after_a_kill(mortal, configmaps):
    """W27: a server started again on the same data hands out no version twice and loses nothing it said."""
    api = mortal
    before = version(create(api, configmaps, "before"))
    api.kill()
    api.start()
    assert version(api.request("GET", f"{configmaps}/before").expect(200)) == before
    assert version(create(api, configmaps, "after")) > before


def test_watchers_that_do_not_read_hold_nobody_up(mortal, configmaps):
    """W26: 20 watchers that read nothing while 60 kB events pass: memory as without them, the fast one served."""
    api = mortal
    create(api, configmaps, "big")
    since = api.revision()
    fast = api.watch(configmaps, f"resourceVersion={since}")

    def grown(count: int) -> int:
        """Change the object and read each event before the next change; return how memory grew."""
        memory = api.rss_kib()
        for number in range(count):
            api.patch(f"{configmaps}/big", {"data": {"k": os.urandom(30_000).hex(), "n": str(number)}}).expect(200)
            assert fast.next()["object"]["data"]["n"] == str(number)
        return api.rss_kib() - memory

    with ExitStack() as stack:
        stack.callback(fast.close)
        alone = grown(100)
        since = api.revision()
        for _ in range(20):
            stack.callback(api.watch(configmaps, f"resourceVersion={since}", receive_buffer=4096).close)
        beside = grown(100)
    # Events are kept once for all watchers, and a connection buffers a write or two: copies would be 120 MB.
    assert beside < alone + 48 * 1024
