"""An API server in this process: memory store, fake clock, real authentication, authorisation and admission."""

import asyncio
import json
from contextlib import asynccontextmanager
from urllib.parse import unquote

import pytest

from windlass.admission.plugin import register_admission_plugins
from windlass.admission.pod_security.admission import PodSecurity
from windlass.api.app import build_app
from windlass.api.bootstrap import create_system_objects
from windlass.api.config import ApiConfig
from windlass.api.guard import PEER_CERTIFICATE
from windlass.apis.scheme import builtin_scheme
from windlass.auth.plugin import register_authenticators, register_authorizers
from windlass.store.memory import MemoryStore
from windlass.store.watchcache import WatchCache
from windlass.testing.clock import FakeClock

SECONDS = 30


class Answer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = [(name.decode(), value.decode()) for name, value in headers]
        self.body = body

    @property
    def json(self):
        return json.loads(self.body)

    def header(self, name):
        return next((value for key, value in self.headers if key.lower() == name), "")

    @property
    def warnings(self):
        joined = ", ".join(value for key, value in self.headers if key.lower() == "warning")
        return [f"299 - {text}" for text in joined.replace(", 299 - ", "299 - ").split("299 - ") if text]

    def __repr__(self):
        return f"{self.status} {self.body[:500]!r}"


class WatchStream:
    """Reads the lines of a running watch."""

    def __init__(self, messages):
        self.messages = messages
        self.buffer = b""
        self.ended = False

    async def next(self):
        while b"\n" not in self.buffer:
            async with asyncio.timeout(SECONDS):
                message = await self.messages.get()
            self.buffer += message.get("body", b"")
            if not message.get("more_body"):
                self.ended = True
                return None
        line, _, self.buffer = self.buffer.partition(b"\n")
        return json.loads(line)

    async def take(self, count):
        return [await self.next() for _ in range(count)]

    @property
    def silent(self):
        return not self.buffer and not any(message.get("body") for message in self.messages._queue)


class Api:
    """Plain ASGI calls, as an administrator unless told otherwise."""

    def __init__(self, app, store, cache, clock):
        self.app, self.store, self.cache, self.clock = app, store, cache, clock

    def scope(self, method, target, headers=(), user="admin", groups=("system:masters",)):
        path, _, query = target.partition("?")
        subject = (*((("organizationName", group),) for group in groups), (("commonName", user),))
        return {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": method,
            "scheme": "https", "path": unquote(path, errors="replace"), "raw_path": path.encode(), "query_string": query.encode(),
            "root_path": "", "headers": [(k.lower().encode(), v.encode()) for k, v in dict(headers).items()],
            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 6443),
            "extensions": {PEER_CERTIFICATE: {"subject": subject}} if user else {},
        }

    async def call(self, method, target, body=None, *, headers=(), chunks=None, **who):
        headers = dict(headers)
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        pieces = chunks if chunks is not None else [raw]
        if raw and chunks is None:
            headers.setdefault("content-length", str(len(raw)))
        if raw:
            headers.setdefault("content-type", "application/json")
        sent = []
        pending = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces[:-1]]
        pending.append({"type": "http.request", "body": pieces[-1], "more_body": False})
        self.unread = pending

        async def receive():
            return pending.pop(0) if pending else {"type": "http.disconnect"}

        async def send(message):
            sent.append(message)

        async with asyncio.timeout(SECONDS * 4):
            await self.app(self.scope(method, target, headers, **who), receive, send)
        body = b"".join(message.get("body", b"") for message in sent[1:])
        return Answer(sent[0]["status"], sent[0]["headers"], body)

    async def ok(self, method, target, body=None, **options):
        answer = await self.call(method, target, body, **options)
        assert answer.status in (200, 201), answer
        return answer.json

    async def get(self, target, **options):
        return await self.ok("GET", target, **options)

    async def patch(self, target, body, kind="merge-patch", **options):
        return await self.ok("PATCH", target, body, headers={"content-type": f"application/{kind}+json"}, **options)

    @asynccontextmanager
    async def watch(self, target, headers=()):
        messages, gone = asyncio.Queue(), asyncio.Event()
        first = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive():
            if first:
                return first.pop()
            await gone.wait()
            return {"type": "http.disconnect"}

        task = asyncio.create_task(self.app(self.scope("GET", target, headers), receive, messages.put))
        async with asyncio.timeout(SECONDS):
            start = await messages.get()
        assert start["status"] == 200, (start, await messages.get())
        try:
            yield WatchStream(messages)
        finally:
            gone.set()
            async with asyncio.timeout(SECONDS):
                await task


@pytest.fixture
def config():
    return ApiConfig()


@pytest.fixture
def log_backend():
    return None


@pytest.fixture
def stream_backend():
    return None


@pytest.fixture
def store():
    return MemoryStore()


@pytest.fixture
async def api(config, log_backend, stream_backend, store):
    clock, scheme = FakeClock(), builtin_scheme()
    cache = WatchCache(store, scheme, clock)

    def built(registrations):
        return [driver for driver in (item.build({}) for item in registrations) if driver is not None]

    app = build_app(
        scheme=scheme, store=store, cache=cache, authenticators=built(register_authenticators()),
        authorizers=built(register_authorizers()), admission=[*built(register_admission_plugins()), PodSecurity()], clock=clock,
        plugins=lambda: [
            {"apiVersion": "windlass.dev/v1", "kind": "Plugin", "metadata": {"name": "one"},
             "spec": {"distribution": "d", "version": "1", "module": "m"}, "status": {"state": "loaded", "reason": ""}}
        ],
        log_backend=log_backend, stream_backend=stream_backend, config=config,
    )
    await store.start()
    await create_system_objects(store, clock)
    follower = asyncio.create_task(cache.run())
    await cache.wait_synced()
    yield Api(app, store, cache, clock)
    follower.cancel()
    await asyncio.wait((follower,))


def config_map(name="one", **more):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **more}, "data": {"key": "value"}}


def pod(name="web", **spec):
    return {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"containers": [{"name": "main", "image": "busybox:local"}], **spec},
    }


def deployment(name="web", replicas=3):
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels},
                 "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "busybox:local"}]}}},
    }


@pytest.fixture
def make():
    class Make:
        pass

    made = Make()
    made.config_map, made.pod, made.deployment = config_map, pod, deployment
    return made
