"""A transport with a small API server behind it: objects, revisions, watches, and faults on demand."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest

from windlass.client.client import Client
from windlass.client.transport import HttpResponse, HttpStream
from windlass.errors import UnavailableError
from windlass.testing.clock import FakeClock


def status(code, reason, message="", details=None):
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message,
            "details": details or {}}
    return HttpResponse(code, {}, json.dumps(body).encode())


class FakeApi:
    """Implements Transport. Keys are paths; `down` makes every request fail."""

    def __init__(self):
        self.objects = {}
        self.revision = 10
        self.history = []
        self.oldest = 0
        self.requests = []
        self.down = False
        self.refuse = {}
        self.changed = asyncio.Event()
        self.watches = 0
        self.kill_watches = asyncio.Event()

    def put(self, collection, obj):
        self.revision += 1
        name = obj["metadata"]["name"]
        known = f"{collection}/{name}" in self.objects
        obj = {**obj, "metadata": {"uid": f"uid-{name}", **obj["metadata"], "resourceVersion": str(self.revision)}}
        self.objects[f"{collection}/{name}"] = obj
        self._record(collection, "MODIFIED" if known else "ADDED", obj)
        return obj

    def remove(self, collection, name):
        self.revision += 1
        obj = self.objects.pop(f"{collection}/{name}")
        self._record(collection, "DELETED", {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self.revision)}})

    def compact(self):
        self.oldest = self.revision
        self.history.clear()

    def _record(self, collection, kind, obj):
        self.history.append((self.revision, collection, kind, obj))
        self.changed.set()
        self.changed = asyncio.Event()

    def breaks_watches(self):
        self.kill_watches.set()
        self.kill_watches = asyncio.Event()

    async def request(self, request):
        self.requests.append(request)
        if self.down:
            raise UnavailableError("down")
        if (request.method, request.path) in self.refuse:
            return status(*self.refuse[(request.method, request.path)])
        body = json.loads(request.body) if request.body else None
        answer = getattr(self, "on_" + request.method.lower())(request, body)
        if isinstance(answer, HttpResponse):
            return answer
        return HttpResponse(200, {}, json.dumps(answer).encode())

    def on_get(self, request, body):
        if request.path in self.objects:
            return self.objects[request.path]
        if not request.path.rpartition("/")[2].endswith("s"):
            return status(404, "NotFound")
        items = [obj for key, obj in sorted(self.objects.items()) if key.rpartition("/")[0] == request.path]
        return {"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": str(self.revision)}, "items": items}

    def on_post(self, request, body):
        if f"{request.path}/{body['metadata']['name']}" in self.objects:
            return status(409, "AlreadyExists")
        return self.put(request.path, body)

    def on_put(self, request, body):
        current = self.objects.get(request.path)
        if current is None:
            return status(404, "NotFound")
        if body["metadata"].get("resourceVersion", current["metadata"]["resourceVersion"]) != current["metadata"]["resourceVersion"]:
            return status(409, "Conflict")
        return self.put(request.path.rpartition("/")[0], body)

    def on_patch(self, request, body):
        current = self.objects.get(request.path)
        if current is None:
            return status(404, "NotFound")
        return self.put(request.path.rpartition("/")[0], {**current, **body})

    @asynccontextmanager
    async def stream(self, request):
        self.requests.append(request)
        if self.down:
            raise UnavailableError("down")
        since = int(dict(request.params).get("resourceVersion") or 0)
        self.watches += 1
        yield HttpStream(200, {}, self._lines(request.path, since))

    async def _lines(self, collection, since):
        if since < self.oldest:
            error = json.loads(status(410, "Expired").body)
            yield json.dumps({"type": "ERROR", "object": error}).encode() + b"\n"
            return
        killed = self.kill_watches
        while not killed.is_set():
            for revision, where, kind, obj in list(self.history):
                if revision > since and where == collection:
                    since = revision
                    line = json.dumps({"type": kind, "object": obj}).encode() + b"\n"
                    yield line[:7]
                    yield line[7:]
            waits = [asyncio.ensure_future(self.changed.wait()), asyncio.ensure_future(killed.wait())]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()

    async def close(self):
        pass


@pytest.fixture
def api():
    return FakeApi()


@pytest.fixture
def client(api):
    return Client(api)


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
async def background():
    """Run coroutines until the test ends."""
    tasks = []

    def start(coroutine):
        tasks.append(asyncio.ensure_future(coroutine))
        return tasks[-1]

    yield start
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
