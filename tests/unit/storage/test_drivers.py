"""What the drivers make of volume entries: contents, messages, sizes, ownership."""

import base64
import os
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.apis.core.v1.downward_values import field_value, format_map, quote, resource_value, subscript
from windlass.errors import ForbiddenError, VolumeDriverError
from windlass.plugin.interfaces.volume import PublishRequest, VolumeAccess
from windlass_storage import hostpath
from windlass_storage.api_data import ProjectedDriver, SecretDriver
from windlass_storage.emptydir import EmptyDirDriver, memory_size, pod_memory_limit
from windlass_storage.payload import keyed_files, pod_files

POD = {
    "metadata": {
        "name": "web",
        "namespace": "ns",
        "uid": "u",
        "labels": {"b": "2", "a": "1"},
        "annotations": {"k": 'x"\ny'},
    },
    "spec": {
        "nodeName": "n",
        "containers": [{"name": "main", "resources": {"limits": {"cpu": "1500m", "memory": "64Mi"}}}],
    },
}


def request(source, target="/nowhere", **more):
    return PublishRequest(POD, {"name": "vol", **source}, target, **more)


async def no_token(*_):
    raise ForbiddenError("no")


def access(objects=()):
    async def fetch(kind, _namespace, name):
        return dict(objects).get((kind, name))

    return VolumeAccess(fetch, no_token, 1 << 30)


def test_keys_modes_and_optional():
    obj = {"data": {"a": "1", "b": "2"}, "binaryData": {"c": base64.b64encode(b"\xff").decode()}}
    files = keyed_files("ConfigMap", obj, {"name": "x"}, 0o640)
    assert {k: (f.data, f.mode) for k, f in files.items()} == {
        "a": (b"1", 0o640),
        "b": (b"2", 0o640),
        "c": (b"\xff", 0o640),
    }
    items = [{"key": "a", "path": "p/q", "mode": 0}, {"key": "zz", "path": "z"}]
    with pytest.raises(VolumeDriverError, match="references non-existent config key: zz"):
        keyed_files("ConfigMap", obj, {"name": "x", "items": items}, 0o640)
    found = keyed_files("ConfigMap", obj, {"name": "x", "items": items, "optional": True}, 0o640)
    assert {k: f.mode for k, f in found.items()} == {"p/q": 0}
    with pytest.raises(VolumeDriverError, match="references non-existent secret key: zz"):
        keyed_files("Secret", {}, {"secretName": "x", "items": items[1:]}, 0o640)


@pytest.mark.parametrize(
    ("kind", "message"), [("ConfigMap", 'configmap "x" not found'), ("Secret", 'secret "x" not found')]
)
def test_what_is_missing_is_named(kind, message):
    with pytest.raises(VolumeDriverError, match=message):
        keyed_files(kind, None, {"name": "x"}, 0o644)
    assert keyed_files(kind, None, {"name": "x", "optional": True}, 0o644) == {}


def test_labels_and_annotations_are_written_as_go_writes_them():
    assert format_map(POD["metadata"]["labels"]) == 'a="1"\nb="2"'
    assert field_value("metadata.annotations", POD) == 'k="x\\"\\ny"'
    assert quote("ä\x00\u200b\\") == '"ä\\x00\\u200b\\\\"'


@given(st.text())
def test_a_quoted_text_is_one_printable_line(text):
    assert quote(text)[1:-1].isprintable() or text == ""


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.labels['a']", "1"),
        ("metadata.labels['none']", ""),
        ("metadata.name", "web"),
        ("spec.nodeName", "n"),
        ("status.podIPs", "10.0.0.1,fd00::1"),
        ("status.hostIP", "192.0.2.1"),
    ],
)
def test_fields(path, value):
    assert field_value(path, POD, ["10.0.0.1", "fd00::1"], ["192.0.2.1"]) == value


def test_subscripts():
    assert subscript("metadata.labels['a.b/c']") == ("metadata.labels", "a.b/c")
    assert subscript("metadata.labels") is None


@pytest.mark.parametrize(
    ("ref", "value"),
    [
        ({"resource": "limits.cpu"}, "2"),
        ({"resource": "limits.cpu", "divisor": "1m"}, "1500"),
        ({"resource": "requests.cpu", "divisor": "1m"}, "1500"),
        ({"resource": "limits.memory", "divisor": "1Mi"}, "64"),
        ({"resource": "limits.ephemeral-storage"}, "10"),
        ({"resource": "requests.ephemeral-storage"}, "0"),
    ],
)
def test_resources(ref, value):
    assert resource_value({"containerName": "main", **ref}, POD, None, {"ephemeral-storage": "10"}) == value


def test_an_unknown_reference_is_refused():
    for item in (
        {"fieldRef": {"fieldPath": "spec.secret"}},
        {"resourceFieldRef": {"containerName": "no", "resource": "limits.cpu"}},
    ):
        with pytest.raises(VolumeDriverError, match="unsupported"):
            pod_files([{"path": "x", **item}], request({}), 0o644)


async def test_projected_names_every_failing_source(tmp_path):
    sources = [
        {"configMap": {"name": "a"}},
        {"secret": {"name": "b"}},
        {"clusterTrustBundle": {"name": "c", "path": "d"}},
        {"serviceAccountToken": {"path": "t"}},
    ]
    with pytest.raises(VolumeDriverError) as error:
        await ProjectedDriver().node_publish_volume(
            request({"projected": {"sources": sources}}, str(tmp_path / "v")), access()
        )
    for word in ('configmap "a" not found', 'secret "b" not found', "clusterTrustBundle", "failed to fetch token"):
        assert word in str(error.value)
    assert not (tmp_path / "v").exists()


async def test_a_missing_object_leaves_what_is_there(tmp_path):
    source = {"secret": {"secretName": "s"}}
    there = access({("Secret", "s"): {"data": {"k": "eA=="}}})
    driver = SecretDriver()
    published = await driver.node_publish_volume(request(source, str(tmp_path / "v")), there)
    assert published.readonly
    with pytest.raises(VolumeDriverError):
        await driver.node_publish_volume(request(source, str(tmp_path / "v")), access())
    assert (tmp_path / "v/k").read_text() == "x"
    await driver.node_unpublish_volume(str(tmp_path / "v"))


@pytest.mark.parametrize(
    ("limits", "size", "node", "expected"),
    [
        (("64Mi",), 0, 1 << 30, 64 << 20),
        (("64Mi", None), 0, 1 << 30, 1 << 30),
        (("64Mi", "1Mi"), 1 << 20, 0, 1 << 20),
        ((None,), 0, 0, 0),
    ],
)
def test_memory_is_bounded(limits, size, node, expected):
    containers = [{"name": str(i), "resources": {"limits": {"memory": m} if m else {}}} for i, m in enumerate(limits)]
    assert memory_size({"spec": {"containers": containers}}, size, node) == expected


def test_init_containers_count_for_the_pods_limit():
    def of(memory):
        return {"resources": {"limits": {"memory": memory}}}

    assert pod_memory_limit({"spec": {"containers": [of("1Mi")], "initContainers": [of("4Mi")]}}) == 4 << 20


async def test_an_unknown_medium_is_named(tmp_path):
    with pytest.raises(VolumeDriverError, match="HugePages"):
        await EmptyDirDriver().node_publish_volume(
            request({"emptyDir": {"medium": "HugePages"}}, str(tmp_path / "v")), access()
        )


async def test_usage_counts_blocks_and_no_other_file_system(tmp_path):
    driver, target = EmptyDirDriver(), str(tmp_path / "v")
    published = await driver.node_publish_volume(request({"emptyDir": {"sizeLimit": "1Mi"}}, target), access())
    assert published.size_limit_bytes == 1 << 20
    before = (await driver.node_get_volume_stats(target)).used_bytes
    (tmp_path / "v/f").write_bytes(os.urandom(1 << 20))
    os.link(tmp_path / "v/f", tmp_path / "v/g")
    (tmp_path / "v/away").symlink_to("/usr")
    used = await driver.node_get_volume_stats(target)
    assert (1 << 20) <= used.used_bytes - before < (2 << 20)
    assert used.used_inodes == 3


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("Directory", "a directory"),
        ("File", "a file"),
        ("Socket", "a socket file"),
        ("CharDevice", "a character device"),
        ("BlockDevice", "a block device"),
    ],
)
def test_hostpath_checks(tmp_path, kind, what):
    (tmp_path / "file").write_text("x")
    (tmp_path / "dir").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "sock"))
    fits = {
        "Directory": tmp_path / "dir",
        "File": tmp_path / "file",
        "Socket": tmp_path / "sock",
        "CharDevice": "/dev/null",
    }
    for other, path in {**fits, "absent": tmp_path / "absent"}.items():
        if other == kind:
            hostpath.check(str(path), kind)
            continue
        with pytest.raises(VolumeDriverError, match=f"hostPath type check failed: {path} is not {what}"):
            hostpath.check(str(path), kind)
    assert not (tmp_path / "absent").exists()


def test_hostpath_makes_what_its_type_says(tmp_path):
    hostpath.check(str(tmp_path / "d/e"), "DirectoryOrCreate")
    hostpath.check(str(tmp_path / "f"), "FileOrCreate")
    hostpath.check(str(tmp_path / "plain"), "")
    assert (tmp_path / "d/e").is_dir()
    assert ((tmp_path / "f").stat().st_mode & 0o777, (tmp_path / "plain").stat().st_mode & 0o777) == (0o644, 0o755)
    with pytest.raises(OSError):
        hostpath.check(str(tmp_path / "no/parent"), "FileOrCreate")
