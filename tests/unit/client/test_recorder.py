import pytest

from windlass.client.recorder import BURST, QUEUE, EventRecorder

POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "default", "uid": "u1"}}
WHERE = "/api/v1/namespaces/default/events"


@pytest.fixture
def recorder(client, clock):
    return EventRecorder(client, "tester", clock, host="here")


def written(api):
    return [obj for key, obj in api.objects.items() if key.startswith(WHERE)]


async def test_the_same_news_raises_both_counts_of_one_event(api, recorder):
    for _ in range(3):
        recorder.event(POD, "Warning", "BackOff", "again")
        await recorder.flush()
    (event,) = written(api)
    assert event["count"] == 3
    assert event["series"]["count"] == 3
    assert event["involvedObject"]["uid"] == "u1"
    assert event["source"] == {"component": "tester", "host": "here"}


async def test_what_was_told_before_it_could_be_written_is_one_write(api, recorder):
    for _ in range(50):
        recorder.event(POD, "Warning", "BackOff", "again")
    await recorder.flush()
    assert len(api.requests) == 1
    assert written(api)[0]["count"] == 50


async def test_an_expired_event_is_told_anew(api, recorder):
    recorder.event(POD, "Normal", "Pulled", "x")
    await recorder.flush()
    api.objects.clear()
    recorder.event(POD, "Normal", "Pulled", "x")
    await recorder.flush()
    assert written(api)[0]["count"] == 2


async def test_a_chatty_object_is_bounded_and_recovers(api, recorder, clock):
    for number in range(BURST + 10):
        recorder.event(POD, "Normal", "Told", f"{number}")
    await recorder.flush()
    assert len(written(api)) == BURST
    assert recorder.statistics()["dropped"] == 10
    clock.move(301)
    recorder.event(POD, "Normal", "Told", "more")
    await recorder.flush()
    assert len(written(api)) == BURST + 1


async def test_a_full_queue_drops_and_counts(recorder):
    for number in range(QUEUE + 5):
        pod = {**POD, "metadata": {**POD["metadata"], "uid": f"u{number}"}}
        recorder.event(pod, "Normal", "Told", "x")
    assert recorder.statistics()["dropped"] == 5


async def test_a_refused_event_is_dropped_at_once(api, recorder):
    api.refuse[("POST", WHERE)] = (403, "Forbidden")
    recorder.event(POD, "Normal", "Told", "x")
    await recorder.flush()
    assert len(api.requests) == 1
    assert recorder.statistics()["dropped"] == 1


async def test_events_of_a_namespace_that_goes_are_dropped_in_silence(api, recorder, caplog):
    api.refuse[("POST", WHERE)] = (404, "NotFound", "gone", {"kind": "namespaces", "name": "default"})
    recorder.event(POD, "Normal", "Told", "x")
    await recorder.flush()
    assert (len(api.requests), recorder.statistics()["dropped"]) == (1, 1)
    assert not caplog.records
