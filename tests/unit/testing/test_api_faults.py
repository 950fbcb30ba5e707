"""Faults of the API on demand: which request meets which, and how often."""

from windlass.errors import NotFoundError
from windlass.testing.cluster.faults import ApiFaults, FaultyApp


def test_the_latest_fault_that_fits_is_met_and_counted():
    faults = ApiFaults()
    wide, narrow = faults.fail("*", "/api/*"), faults.hang("GET", "/api/v1/pods", times=1)
    assert faults.meet("GET", "/api/v1/pods") is narrow
    assert faults.meet("GET", "/api/v1/pods") is wide
    assert faults.meet("POST", "/apis/apps/v1") is None
    assert (wide.met, narrow.met, narrow.times) == (1, 1, 0)
    faults.clear()
    assert faults.meet("GET", "/api/v1/pods") is None


async def test_a_refusal_is_a_status_and_the_application_is_not_asked():
    faults, sent, asked = ApiFaults(), [], []
    faults.fail("GET", "/x", NotFoundError("gone"))

    async def app(scope, receive, send):
        asked.append(scope["path"])

    async def send(message):
        sent.append(message)

    faulty = FaultyApp(app, faults)
    await faulty({"type": "http", "method": "GET", "path": "/x"}, None, send)
    await faulty({"type": "http", "method": "GET", "path": "/y"}, None, send)
    await faulty({"type": "websocket", "path": "/x"}, None, send)
    assert asked == ["/y", "/x"]
    assert sent[0]["status"] == 404
    assert b'"reason":"NotFound"' in sent[1]["body"]


async def test_a_request_that_hangs_ends_with_its_client():
    faults = ApiFaults()
    faults.hang("GET", "/x")
    messages = [{"type": "http.disconnect"}, {"type": "http.request"}]

    async def receive():
        return messages.pop()

    await FaultyApp(None, faults)({"type": "http", "method": "GET", "path": "/x"}, receive, None)
    assert messages == []
