"""Publishing, waiting, refreshing, rotating, removing, collecting: the volumes of a node's pods."""

import asyncio
from pathlib import Path

import pytest

from windlass.errors import RuntimeDriverError, VolumeDriverError
from windlass.plugin.hostfs import mounts
from windlass.plugin.interfaces.volume import Published

pytestmark = pytest.mark.root

CONFIG = {"configMap": {"name": "config"}}
SECRET = {"secret": {"secretName": "secret"}}
TOKEN = {"projected": {"sources": [{"serviceAccountToken": {"path": "token", "expirationSeconds": 1000}}]}}
MEMORY = {"emptyDir": {"medium": "Memory"}}


async def test_all_volumes_are_there_before_the_containers(box, pod):
    box.client.put("configmaps", "config", data={"k": "v"})
    box.client.put("secrets", "secret", data={"k": "dg=="})
    assert (await box.mount(pod(CONFIG, SECRET, MEMORY, {"emptyDir": {}}))).ready
    assert (box.volume("configmap") / "k").read_text() == "v"
    assert (box.volume("secret", "vol1") / "k").read_text() == "v"
    assert {m.kind for m in box.mounted()} == {"tmpfs"}
    await box.manager.unmount("uid-1")
    assert box.mounted() == []
    assert not (box.data_dir / "pods/uid-1/volumes").exists()


async def test_what_fails_is_told_backed_off_and_tried_again(box, pod):
    web = pod(CONFIG, {"emptyDir": {}})
    found = await box.mount(web)
    assert (found.ready, found.retry_seconds) == (False, 0.5)
    assert box.events == [
        ("web", "FailedMount", 'MountVolume.SetUp failed for volume "vol" : configmap "config" not found')
    ]
    assert box.volume("empty-dir", "vol1").is_dir()
    assert (await box.mount(web)).retry_seconds == 0.5
    assert len(box.events) == 1
    waits = []
    for _ in range(10):
        await box.advance(found.retry_seconds)
        found = await box.mount(web)
        waits.append(found.retry_seconds)
    assert waits == [1, 2, 4, 8, 16, 32, 64, 122, 122, 122]
    box.client.put("configmaps", "config", data={"k": "v"})
    await box.advance(122)
    assert (await box.mount(web)).ready


async def test_what_was_missing_wakes_its_pod_when_it_comes(box, pod):
    async with box.running():
        await box.mount(pod(CONFIG))
        await box.settle()
        box.client.put("configmaps", "config", data={"k": "v"})
        await box.until(lambda: box.woken)
        assert (await box.mount(pod(CONFIG))).ready


async def test_one_pods_trouble_is_not_anothers(box, pod):
    box.client.put("secrets", "secret", data={})
    box.client.forbidden.add("config")
    found = await asyncio.gather(box.mount(pod(CONFIG)), box.mount(pod(SECRET, uid="uid-2", name="other")))
    assert [m.ready for m in found] == [False, True]
    assert {name for name, _, _ in box.events} == {"web"}


async def test_changes_are_followed(box, pod):
    box.client.put("configmaps", "config", data={"k": "1"})
    async with box.running():
        await box.mount(pod(CONFIG))
        key = box.volume("configmap") / "k"
        await box.settle()
        box.client.put("configmaps", "config", data={"k": "2"})
        await box.until(lambda: key.read_text() == "2")
        box.client.remove("configmaps", "config")
        await box.until(lambda: box.events)
        assert key.read_text() == "2"  # what is there stays
        box.client.put("configmaps", "config", data={"k": "3"})
        await box.until(lambda: key.read_text() == "3")


async def test_one_watch_for_many_pods_and_none_when_they_are_gone(box, pod):
    box.client.put("configmaps", "config", data={"k": "1"})
    async with box.running():
        for i in range(5):
            await box.mount(pod(CONFIG, uid=f"uid-{i}", name=f"p{i}"))
        await box.settle()
        assert [len(q) for q in box.client.watchers.values()] == [1]
        assert box.manager.statistics() == {"pods": 5, "volumes": 5, "watched": 1}
        for i in range(5):
            await box.manager.unmount(f"uid-{i}")
        await box.settle()
        assert [len(q) for q in box.client.watchers.values()] == [0]
        assert box.manager.statistics() == {"pods": 0, "volumes": 0, "watched": 0}


async def test_a_quiet_object_is_read_once(box, pod):
    box.client.put("configmaps", "config", data={"k": "1"})
    async with box.running():
        await box.mount(pod(CONFIG))
        await box.settle()
        await box.advance(60)
        await box.mount(pod(CONFIG))
    assert [r[0] for r in box.client.requests] == ["get", "list"]


async def test_pods_that_start_together_share_one_read(box, pod):
    box.client.put("configmaps", "config", data={"k": "1"})
    async with box.running():
        found = await asyncio.gather(*(box.mount(pod(CONFIG, uid=f"uid-{i}", name=f"p{i}")) for i in range(20)))
        await box.settle()
    assert all(m.ready for m in found)
    assert [r[0] for r in box.client.requests].count("get") == 1


async def test_an_immutable_object_is_not_watched(box, pod):
    box.client.put("configmaps", "config", data={"k": "1"}, immutable=True)
    async with box.running():
        await box.mount(pod(CONFIG))
        await box.settle()
    assert [r[0] for r in box.client.requests] == ["get"]


async def test_an_object_that_goes_between_read_and_watch_is_noticed(box, pod):
    box.client.put("configmaps", "config", data={"k": "1"})
    optional = {"configMap": {"name": "config", "optional": True}}
    await box.mount(pod(optional))
    box.client.remove("configmaps", "config")
    async with box.running():
        await box.until(lambda: not (box.volume("configmap") / "k").exists())


async def test_labels_and_annotations_are_followed(box, pod):
    source = {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}}
    async with box.running():
        await box.mount(pod(source, labels={"a": "1"}))
        await box.settle()
        box.manager.note(pod(source, labels={"a": "2"}))
        await box.until(lambda: (box.volume("downward-api") / "labels").read_text() == 'a="2"')


async def test_a_token_is_renewed_at_four_fifths_of_its_life(box, pod):
    async with box.running():
        await box.mount(pod(TOKEN))
        token = box.volume("projected") / "token"
        await box.settle()
        assert token.read_text() == "token-1"
        await box.advance(700)
        assert token.read_text() == "token-1"
        await box.advance(101)
        await box.until(lambda: token.read_text() == "token-2")
    assert box.client.requests[0] == ("token", "default", "default", "uid-1")


async def test_a_failing_renewal_leaves_the_old_token_and_is_tried_again(box, pod):
    async with box.running():
        await box.mount(pod(TOKEN))
        await box.settle()
        create = box.client.create

        async def away(*_args, **_options):
            raise VolumeDriverError("away")

        box.client.create = away
        await box.advance(801)
        await box.until(lambda: box.events)
        assert (box.volume("projected") / "token").read_text() == "token-1"
        box.client.create = create
        await box.advance(130)
        await box.until(lambda: (box.volume("projected") / "token").read_text() == "token-2")


async def test_a_new_agent_takes_over_and_a_reboot_is_made_good(box, pod):
    box.client.put("secrets", "secret", data={"k": "dg=="})
    web = pod(SECRET, MEMORY)
    await box.mount(web)
    box.manager = box.make()
    assert (await box.mount(web)).ready
    assert len(box.mounted()) == 2
    mounts.unmount_all(str(box.data_dir))
    box.manager = box.make()
    assert (await box.mount(web)).ready
    assert (box.volume("secret") / "k").read_text() == "v"
    box.manager = box.make()
    await box.manager.unmount("uid-1")
    await box.manager.unmount("uid-1")
    assert box.mounted() == []


async def test_pods_that_went_while_nobody_looked_are_collected(box, pod):
    box.client.put("secrets", "secret", data={"k": "dg=="})
    for uid in ("uid-1", "uid-2", "uid-3"):
        await box.mount(pod(SECRET, uid=uid, name=uid))
    box.manager = box.make()
    await box.mount(pod(SECRET, uid="uid-3", name="uid-3"))
    await box.manager.collect(lambda uid: uid == "uid-2")
    assert sorted(p.name for p in (box.data_dir / "pods").iterdir()) == ["uid-2", "uid-3"]
    assert len(box.mounted()) == 2


async def test_a_busy_volume_is_told_and_tried_again(box, pod):
    box.client.put("secrets", "secret", data={"k": "dg=="})
    await box.mount(pod(SECRET))
    with open(box.volume("secret") / "k"):
        with pytest.raises(VolumeDriverError):
            await box.manager.unmount("uid-1")
        assert box.events[-1][1] == "FailedUnMount"
        await box.manager.collect(lambda _uid: False)
        assert len(box.mounted()) == 1
    await box.manager.unmount("uid-1")
    assert box.mounted() == []


async def test_unknown_sources_wait_with_a_reason(box, pod):
    assert not (await box.mount(pod({"iscsi": {"targetPortal": "s", "iqn": "q", "lun": 0}}))).ready
    assert "no volume plugin matched" in box.events[0][2]
    await box.manager.unmount("uid-1")


async def test_a_csi_driver_is_found_by_its_name(box, pod, tmp_path):
    class Driver:
        sources, stages = ("folders.example.com",), False

        async def node_publish_volume(self, request, _access):
            return Published(str(tmp_path))

        async def node_unpublish_volume(self, _target):
            pass

    box.drivers["folders"] = Driver()
    box.manager = box.make()
    assert (await box.mount(pod({"csi": {"driver": "folders.example.com"}}))).ready
    assert not (await box.mount(pod({"csi": {"driver": "other"}}, uid="uid-2"))).ready


async def test_subpaths_become_mounts_that_stay_as_they_were(box, pod):
    box.client.put("configmaps", "config", data={"k": "1"})
    wanted = [
        {"name": "vol", "mountPath": "/k", "subPath": "k"},
        {"name": "vol1", "mountPath": "/d", "subPathExpr": "x/$(NAME)", "mountPropagation": "HostToContainer"},
        {"name": "vol1", "mountPath": "/all", "readOnly": True, "recursiveReadOnly": "IfPossible"},
    ]
    web = pod(CONFIG, {"emptyDir": {}}, mounts=wanted)
    await box.mount(web)
    container = web["spec"]["containers"][0]
    first = await box.manager.container_mounts(web, container, {"NAME": "me"})
    assert await box.manager.container_mounts(web, container, {"NAME": "me"}) == first
    key, directory, whole = first
    assert Path(key.host_path).read_text() == "1"
    assert (key.readonly, directory.readonly, directory.propagation) == (True, False, "rslave")
    assert (whole.readonly, whole.recursive_readonly, whole.host_path) == (
        True,
        True,
        str(box.volume("empty-dir", "vol1")),
    )
    assert (box.volume("empty-dir", "vol1") / "x/me").is_dir()
    assert len(box.mounted()) == 2
    box.client.put("configmaps", "config", data={"k": "2"})
    box.manager._pods["uid-1"].volumes["vol"].changed()
    await box.manager._publish_due(box.manager._pods["uid-1"])
    assert Path(key.host_path).read_text() == "1"  # a running container keeps its file
    await box.manager.container_mounts(web, container, {"NAME": "me"})
    assert Path(key.host_path).read_text() == "2"  # a restarted one gets the new one
    await box.manager.unmount("uid-1")
    assert box.mounted() == []


@pytest.mark.parametrize(
    ("mount", "message"),
    [
        ({"subPathExpr": "$(NONE)"}, "missing value"),
        ({"subPathExpr": "$(ROOT)"}, "absolute"),
        ({"subPathExpr": "$(UP)"}, r"\.\."),
        ({"subPathExpr": "$(TICK)"}, "backtick"),
        ({"subPath": "link"}, "outside"),
        ({"subPath": "link/etc"}, "outside"),
        ({"subPath": "file/x"}, "subPath"),
        ({"name": "none"}, "cannot find volume"),
    ],
)
async def test_bad_subpaths_keep_the_container_waiting(box, pod, mount, message):
    web = pod({"emptyDir": {}}, mounts=[{"name": "vol", "mountPath": "/x", **mount}])
    await box.mount(web)
    (box.volume("empty-dir") / "link").symlink_to("/")
    (box.volume("empty-dir") / "file").write_text("")
    env = {"ROOT": "/etc", "UP": "a/../..", "TICK": "`x`"}
    with pytest.raises(RuntimeDriverError, match=message) as error:
        await box.manager.container_mounts(web, web["spec"]["containers"][0], env)
    assert error.value.reason == "CreateContainerConfigError"
    assert box.mounted() == []


async def test_block_volumes_are_refused(box, pod):
    web = pod({"emptyDir": {}})
    web["spec"]["containers"][0]["volumeDevices"] = [{"name": "vol", "devicePath": "/dev/x"}]
    await box.mount(web)
    with pytest.raises(RuntimeDriverError, match="block volumes"):
        await box.manager.container_mounts(web, web["spec"]["containers"][0], {})


async def test_usage_is_what_the_summary_shows(box, pod):
    """N71: what evictions go by; the node's own file systems are not the pod's."""
    await box.mount(pod({"emptyDir": {}}, {"hostPath": {"path": "/"}}, MEMORY))
    (box.volume("empty-dir") / "f").write_bytes(b"x" * 100_000)
    (box.volume("empty-dir", "vol2") / "f").write_bytes(b"x" * 50_000)
    (disk, memory) = (await box.manager.usage())["uid-1"]
    assert (disk["name"], memory["name"]) == ("vol", "vol2")
    assert disk["usedBytes"] >= 100_000
    assert 50_000 <= memory["usedBytes"] < memory["capacityBytes"] == 1 << 30


class Broken:
    """A driver of a third party that does what the test says."""

    sources, stages = ("broken.example.com",), False

    def __init__(self):
        self.fault = RuntimeError("a bug")
        self.hang = asyncio.Event()

    async def node_publish_volume(self, request, _access):
        if self.fault is not None:
            raise self.fault
        await self.hang.wait()
        return Published("/", refresh_seconds=1)

    async def node_unpublish_volume(self, _target):
        if self.fault is not None:
            raise self.fault

    async def node_get_volume_stats(self, _path):
        raise RuntimeError("a bug")


@pytest.fixture
def broken(box):
    box.drivers["broken"] = Broken()
    box.manager = box.make()
    return box.drivers["broken"]


BROKEN = {"csi": {"driver": "broken.example.com"}}


async def test_a_drivers_bug_is_its_own_pods_trouble(box, pod, broken):
    web = pod(BROKEN, {"emptyDir": {}})
    assert not (await box.mount(web)).ready
    assert "a bug" in box.events[0][2]
    box.volume("broken").mkdir(parents=True)
    with pytest.raises(VolumeDriverError, match="a bug"):
        await box.manager.unmount("uid-1")
    broken.fault = None
    await box.manager.unmount("uid-1")


async def test_a_driver_that_hangs_holds_up_no_other_refresh(box, pod, broken):
    broken.fault = None
    broken.hang.set()
    async with box.running():
        await box.mount(pod(BROKEN))
        broken.hang.clear()
        box.client.put("configmaps", "config", data={"k": "1"})
        await box.mount(pod(CONFIG, uid="uid-2", name="other"))
        await box.advance(2)
        box.client.put("configmaps", "config", data={"k": "2"})
        await box.until(lambda: (box.volume("configmap", uid="uid-2") / "k").read_text() == "2")
        assert set(await box.manager.usage()) == {"uid-2"}


async def test_a_driver_that_never_answers_is_given_up(box, pod, broken, monkeypatch):
    monkeypatch.setattr("windlass_hostagent.pods.volumes.manager.DRIVER_SECONDS", 0.01)
    broken.fault = None
    assert not (await box.mount(pod(BROKEN))).ready
    assert "timed out" in box.events[0][2]
