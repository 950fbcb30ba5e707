"""Image pull secrets: formats, registries, order, and secrets that are none."""

import asyncio
import base64
import json

import pytest

from windlass.errors import RuntimeDriverError
from windlass.plugin.interfaces.runtime import RegistryAuth
from windlass.testing.clock import FakeClock
from windlass_hostagent.pods.pull_secrets import credentials, registry_of
from windlass_hostagent.pods.steps.images import ImagePuller


def b64(text):
    return base64.b64encode(text.encode()).decode()


def secret(auths, key=".dockerconfigjson"):
    value = {"auths": auths} if key == ".dockerconfigjson" else auths
    return {"data": {key: b64(json.dumps(value))}}


def users(image, *secrets):
    return [a.username for a in credentials(image, secrets)]


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("busybox", ("docker.io", "busybox")),
        ("library/busybox:1", ("docker.io", "library/busybox:1")),
        ("registry.example/team/app:1", ("registry.example", "team/app:1")),
        ("localhost/app", ("localhost", "app")),
        ("reg:5000/app@sha256:00", ("reg:5000", "app@sha256:00")),
    ],
)
def test_registry_of(image, expected):
    assert registry_of(image) == expected


def test_both_formats_and_both_ways_to_write_a_user():
    new = secret({"registry.example": {"auth": b64("ann:pw:with:colons")}})
    old = secret({"https://registry.example/v1/": {"username": "bob", "password": "x"}}, key=".dockercfg")
    found = list(credentials("registry.example/app", [new, old]))
    assert [(a.username, a.password) for a in found] == [("ann", "pw:with:colons"), ("bob", "x")]


def test_the_longest_path_comes_first_and_others_do_not_fit():
    auths = {
        "r.example": {"auth": b64("all:x")},
        "r.example/team": {"auth": b64("team:x")},
        "q.example": {"auth": b64("q:x")},
    }
    assert users("r.example/team/app", secret(auths)) == ["team", "all"]
    assert users("r.example/teamwork/app", secret(auths)) == ["all"]


def test_wildcards_and_the_default_registry():
    assert users("eu.r.example/app", secret({"*.r.example": {"auth": b64("w:x")}})) == ["w"]
    assert users("a.b.r.example/app", secret({"*.r.example": {"auth": b64("w:x")}})) == []
    assert users("busybox", secret({"https://index.docker.io/v1/": {"auth": b64("hub:x")}})) == ["hub"]


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"data": {"other": "eA=="}},
        {"data": {".dockerconfigjson": "!!"}},
        {"data": {".dockerconfigjson": b64("[]")}},
        {"data": {".dockerconfigjson": b64('{"auths": {"r.example": 1}}')}},
        {"data": {".dockerconfigjson": b64('{"auths": {"r.example": {"auth": "%%"}}}')}},
        {"data": {".dockerconfigjson": b64('{"auths": []}')}},
    ],
)
def test_what_is_no_pull_secret_gives_nothing(broken):
    assert users("r.example/app", broken) == []


class Registry:
    """A runtime whose registry wants a password."""

    def __init__(self, password):
        self.password = password
        self.tried = []

    async def pull_image(self, image, auth=None):
        self.tried.append(auth.username if auth else "")
        if auth is None or auth.password != self.password:
            raise RuntimeDriverError("unauthorized", reason="ErrImagePull")
        return "sha256:1"


async def pulled(runtime, *pulls):
    puller = ImagePuller(runtime, FakeClock())
    serving = asyncio.ensure_future(puller.run())
    try:
        return await asyncio.gather(*(puller.pull(*p) for p in pulls), return_exceptions=True)
    finally:
        serving.cancel()


async def test_credentials_are_tried_in_order_until_one_fits():
    runtime = Registry("good")
    auths = [RegistryAuth("ann", "bad"), RegistryAuth("bob", "good"), RegistryAuth("eve", "good")]
    assert await pulled(runtime, ("r.example/app", auths)) == [0.0]
    assert runtime.tried == ["ann", "bob"]


async def test_a_pod_without_the_secret_does_not_get_the_image_by_anothers_right():
    runtime = Registry("good")
    with_secret, without = await pulled(
        runtime, ("r.example/app", [RegistryAuth("bob", "good")]), ("r.example/app", [])
    )
    assert with_secret == 0.0
    assert isinstance(without, RuntimeDriverError)
    assert without.reason == "ErrImagePull"
