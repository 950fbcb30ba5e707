"""Mirror pods: made, kept, brought up to date, replaced, removed."""

import json

import pytest

from windlass.apis.resources import PODS
from windlass.errors import AlreadyExistsError, NotFoundError
from windlass.testing.clock import FakeClock
from windlass_hostagent.static.manifest import MIRROR, is_mirror, read_manifest
from windlass_hostagent.static.mirror import MirrorKeeper

NODE = {"metadata": {"name": "n1", "uid": "node-uid"}}


class Api:
    """Pods by name, with uids that tell one object from the next."""

    def __init__(self):
        self.pods = {}
        self.made = 0

    async def get(self, resource, name, namespace):
        assert resource is PODS
        if name not in self.pods:
            raise NotFoundError(name)
        return self.pods[name]

    async def create(self, resource, obj, namespace):
        if obj["metadata"]["name"] in self.pods:
            raise AlreadyExistsError(obj["metadata"]["name"])
        self.made += 1
        made = {**obj, "metadata": {**obj["metadata"], "uid": f"mirror-{self.made}"}}
        self.pods[obj["metadata"]["name"]] = made
        return made

    async def patch(self, resource, name, patch, namespace, *, subresource):
        assert subresource == "status"
        assert patch["metadata"]["uid"] == self.pods[name]["metadata"]["uid"]
        self.pods[name] = {**self.pods[name], "status": patch["status"]}
        return self.pods[name]

    async def delete(self, resource, name, namespace, *, grace_period_seconds, uid):
        assert grace_period_seconds == 0
        assert uid == self.pods[name]["metadata"]["uid"]
        del self.pods[name]


def static(image="busybox:local", phase="Running"):
    content = json.dumps({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "main", "image": image}]},
    })  # fmt: skip
    return {**read_manifest("web.json", content.encode(), "n1"), "status": {"phase": phase}}


@pytest.fixture
def api():
    return Api()


@pytest.fixture
def keeper(api):
    return MirrorKeeper(api, NODE, FakeClock())


async def settle(keeper):
    await keeper.reconcile("default", "web-n1")


async def test_the_mirror_shows_the_pod_and_its_status(api, keeper):
    keeper.note(static())
    await settle(keeper)
    mirror = api.pods["web-n1"]
    assert is_mirror(mirror)
    assert mirror["metadata"]["labels"] == {"app": "web"}
    assert mirror["metadata"]["ownerReferences"][0]["uid"] == "node-uid"
    assert mirror["status"] == {"phase": "Running"}
    assert mirror["metadata"]["uid"] != static()["metadata"]["uid"]


async def test_a_deleted_mirror_comes_back(api, keeper):
    keeper.note(static())
    await settle(keeper)
    api.pods["web-n1"] = {
        **api.pods["web-n1"],
        "metadata": {**api.pods["web-n1"]["metadata"], "deletionTimestamp": "x"},
    }
    await settle(keeper)
    assert api.pods["web-n1"]["metadata"]["uid"] == "mirror-2"
    del api.pods["web-n1"]
    await settle(keeper)
    assert api.made == 3


async def test_a_changed_file_gets_a_new_mirror(api, keeper):
    keeper.note(static())
    await settle(keeper)
    before = api.pods["web-n1"]["metadata"]["annotations"][MIRROR]
    keeper.note(static(image="other:1"))
    await settle(keeper)
    assert api.pods["web-n1"]["metadata"]["annotations"][MIRROR] != before


async def test_the_end_of_the_file_is_the_end_of_the_mirror(api, keeper):
    keeper.note(static())
    await settle(keeper)
    keeper.forget(static())
    await settle(keeper)
    assert api.pods == {}


async def test_somebody_elses_pod_of_that_name_is_left_alone(api, keeper):
    api.pods["web-n1"] = {"metadata": {"name": "web-n1", "uid": "other"}, "spec": {}}
    keeper.note(static())
    await settle(keeper)
    assert api.pods["web-n1"]["metadata"]["uid"] == "other"


async def test_a_quiet_mirror_is_not_written_again(api, keeper):
    keeper.note(static())
    await settle(keeper)
    before = api.pods["web-n1"]
    await settle(keeper)
    assert api.pods["web-n1"] is before
