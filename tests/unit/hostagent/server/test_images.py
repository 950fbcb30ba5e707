"""The agent's image routes: uploads bounded and cleaned away, the runtime's word passed on (N70)."""

import asyncio
import json
import shutil

import falcon.testing
import pytest

from windlass.errors import RuntimeDriverError
from windlass.plugin.interfaces.runtime import Image
from windlass_hostagent.server import images
from windlass_hostagent.server.images import ImageImport, Images


class Runtime:
    """Takes archives, or does not."""

    def __init__(self):
        self.seen = []
        self.error = None
        self.gate = None

    async def import_images(self, archive):
        with open(archive, "rb") as file:
            self.seen.append(file.read())
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        return ["app:1"]

    async def list_images(self):
        if self.error is not None:
            raise self.error
        return [Image("sha256:1", ("app:1", "app:2"), 5)]


@pytest.fixture
def runtime():
    return Runtime()


@pytest.fixture
def uploads(tmp_path):
    return tmp_path / "imports"


@pytest.fixture
def client(runtime, uploads):
    app = falcon.asgi.App()
    app.add_route("/images", Images(runtime))
    app.add_route("/images/import", ImageImport(runtime, uploads, limit=1000))
    return falcon.testing.TestClient(app)


def lines(answer):
    return [json.loads(line) for line in answer.text.splitlines()]


def test_what_the_node_has(client):
    assert client.simulate_get("/images").json == {
        "items": [{"id": "sha256:1", "names": ["app:1", "app:2"], "sizeBytes": 5}]
    }


def test_a_runtime_that_does_not_answer(client, runtime):
    runtime.error = RuntimeDriverError("the daemon is down")
    answer = client.simulate_get("/images")
    assert answer.status_code == 503
    assert answer.json["description"] == "the daemon is down"


def test_an_archive_reaches_the_runtime_and_is_removed(client, runtime, uploads):
    answer = client.simulate_post("/images/import", body=b"x" * 900)
    assert answer.status_code == 200
    assert lines(answer) == [{"images": ["app:1"]}]
    assert runtime.seen == [b"x" * 900]
    assert list(uploads.iterdir()) == []


def test_what_is_wrong_with_it_is_said(client, runtime, uploads):
    runtime.error = RuntimeDriverError("not an image archive: it has neither manifest.json nor index.json")
    assert lines(client.simulate_post("/images/import", body=b"x")) == [{"error": str(runtime.error)}]
    assert list(uploads.iterdir()) == []


def test_more_than_the_bound_is_refused(client, runtime, uploads):
    answer = client.simulate_post("/images/import", body=b"x" * 1001)
    assert answer.status_code == 413
    assert runtime.seen == []
    assert not uploads.exists()


def test_a_disk_without_room_is_named(client, monkeypatch, uploads):
    """Disk full: said before a byte has come."""
    usage = shutil.disk_usage("/")._replace(free=images.RESERVE_BYTES + 10)
    monkeypatch.setattr(images.shutil, "disk_usage", lambda _path: usage)
    answer = client.simulate_post("/images/import", body=b"x" * 11)
    assert answer.status_code == 507
    assert "no space left on the node's disk: 10 bytes are free, 11 are needed" in answer.json["description"]


def test_a_disk_that_fills_up_meanwhile(client, monkeypatch, uploads, runtime):
    async def full(_self, _file, _pending):
        raise falcon.HTTPError(507, description="no space left on the node's disk")

    monkeypatch.setattr(ImageImport, "_write", full)
    assert client.simulate_post("/images/import", body=b"x").status_code == 507
    assert runtime.seen == []
    assert list(uploads.iterdir()) == []


async def test_a_long_import_gives_signs_of_life(runtime, uploads, monkeypatch, tmp_path):
    """A proxy in between cuts off who says nothing."""
    monkeypatch.setattr(images, "HEARTBEAT_SECONDS", 0.001)
    runtime.gate = asyncio.Event()
    archive = tmp_path / "a.tar"
    archive.write_bytes(b"x")
    answer = ImageImport(runtime, uploads)._import(archive)
    assert await anext(answer) == b"{}\n"
    runtime.gate.set()
    assert b'{"images":["app:1"]}\n' in [line async for line in answer]
    assert not archive.exists()


async def test_a_client_that_goes_away_ends_the_import(runtime, uploads, monkeypatch, tmp_path):
    monkeypatch.setattr(images, "HEARTBEAT_SECONDS", 0.001)
    runtime.gate = asyncio.Event()
    archive = tmp_path / "a.tar"
    archive.write_bytes(b"x")
    answer = ImageImport(runtime, uploads)._import(archive)
    await anext(answer)
    await answer.aclose()
    assert not archive.exists()
