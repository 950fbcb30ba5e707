"""The directory: files that come, change, break and go."""

import json

import pytest

from windlass.testing.clock import FakeClock
from windlass_hostagent.static.directory import StaticPodDirectory


def manifest(name="web", image="busybox:local"):
    return json.dumps({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"containers": [{"name": "main", "image": image}]},
    })  # fmt: skip


class Box:
    def __init__(self, path):
        self.path = path
        self.log = []
        self.directory = StaticPodDirectory(
            path,
            "n1",
            FakeClock(),
            on_add=lambda pod: self.log.append(("+", pod["spec"]["containers"][0]["image"])),
            on_remove=lambda pod: self.log.append(("-", pod["spec"]["containers"][0]["image"])),
        )

    async def after(self, name, content):
        """Write a file (None: remove it), look, and return what was told."""
        if content is None:
            (self.path / name).unlink()
        else:
            (self.path / name).write_text(content)
        self.log.clear()
        await self.directory.check()
        return list(self.log)


@pytest.fixture
def box(tmp_path):
    return Box(tmp_path)


async def test_come_change_go(box):
    assert await box.after("web.json", manifest(image="a:1")) == [("+", "a:1")]
    assert await box.after("note.txt", "not a manifest") == []
    assert await box.after("web.json", manifest(image="a:22")) == [("-", "a:1"), ("+", "a:22")]
    assert await box.after("web.json", None) == [("-", "a:22")]


async def test_a_broken_file_keeps_the_last_good_pod_and_recovers(box):
    await box.after("web.json", manifest(image="a:1"))
    assert await box.after("web.json", "{") == []
    assert await box.after("web.json", manifest(image="a:333")) == [("-", "a:1"), ("+", "a:333")]


async def test_a_file_saved_without_a_change_restarts_nothing(box):
    await box.after("web.json", manifest())
    assert await box.after("web.json", manifest()) == []


async def test_two_files_of_one_pod(box):
    assert await box.after("a.json", manifest(image="a:1")) == [("+", "a:1")]
    assert await box.after("b.json", manifest(image="b:1")) == []


async def test_a_huge_file_and_hidden_files(box):
    assert await box.after("big.json", " " * (1 << 20) + manifest()) == []
    assert await box.after(".web.json", manifest()) == []


async def test_a_directory_that_is_not_there(tmp_path):
    await Box(tmp_path / "absent").directory.check()
