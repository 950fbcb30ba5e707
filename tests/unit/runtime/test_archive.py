"""Reading image archives: both forms, names, and everything that is wrong with them (N64, N70)."""

import gzip
import io
import json
import tarfile
import zlib

import pytest
from saved_images import Saved, docker_archive, entry, folder, layer, oci_archive

from windlass_runtime import archive
from windlass_runtime.archive import ArchiveError, ImageArchive, normal_name

LAYER = layer(folder("etc"), entry("etc/issue", b"hello"))
LIMIT = 1 << 24


def images_of(path, data, limit=LIMIT):
    path.write_bytes(data)
    with ImageArchive.opened(path, limit=limit) as opened:
        return opened.images()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "image.tar"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("busybox", "busybox:latest"),
        ("busybox:1.36", "busybox:1.36"),
        ("docker.io/library/busybox", "busybox:latest"),
        ("library/busybox:2", "busybox:2"),
        ("docker.io/me/app:3", "me/app:3"),
        ("localhost:5000/app", "localhost:5000/app:latest"),
        ("registry.example/app@sha256:abc", "registry.example/app@sha256:abc"),
    ],
)
def test_names_are_as_docker_shows_them(given, expected):
    assert normal_name(given) == expected


def test_a_saved_image_is_described(path):
    (image,) = images_of(path, docker_archive(Saved([LAYER], ["app:1", "app:2"], {"Cmd": ["run"]})))
    assert image.names == ["app:1", "app:2"]
    assert image.config["config"] == {"Cmd": ["run"]}
    assert image.id.startswith("sha256:")
    assert len(image.layers) == 1


def test_an_oci_layout_is_described(path):
    saved = Saved([LAYER], ["app:1"])
    (image,) = images_of(path, oci_archive(saved))
    assert image.names == ["app:1"]
    assert image.id == images_of(path, docker_archive(saved))[0].id, "the same image has the same id in both forms"


def test_of_several_platforms_this_machines_is_taken(path):
    other = Saved([LAYER], ["app:other"], architecture="s390x")
    found = images_of(path, oci_archive(other, Saved([LAYER], ["app:mine"])))
    assert [name for image in found for name in image.names] == ["app:mine"]


def test_an_image_for_another_machine_is_refused(path):
    with pytest.raises(ArchiveError, match="s390x"):
        images_of(path, docker_archive(Saved([LAYER], architecture="s390x")))
    with pytest.raises(ArchiveError, match="no image in the archive that runs on this machine"):
        images_of(path, oci_archive(Saved([LAYER], architecture="s390x")))


def test_an_archive_that_is_packed_as_a_whole(path):
    (image,) = images_of(path, gzip.compress(docker_archive(Saved([LAYER]))))
    assert image.names == ["app:1"]
    assert [entry.name for entry in path.parent.iterdir()] == ["image.tar"]


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_a_layer_is_unpacked_and_hashed(path, pack):
    path.write_bytes(docker_archive(Saved([LAYER], pack=pack)))
    with ImageArchive.opened(path, limit=LIMIT) as opened:
        (image,) = opened.images()
        stream = opened.open_layer(image.layers[0])
        assert stream.read(len(LAYER)) == LAYER
        stream.drain()
        assert f"sha256:{stream.hash.hexdigest()}" == image.layers[0].diff_id


def test_an_old_archive_that_links_equal_layers(path):
    """Older versions of Docker save a layer once and link to it."""
    saved = Saved([LAYER, LAYER])
    config = saved.image_config
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        members = {
            "one/layer.tar": LAYER,
            "c.json": config,
            "manifest.json": json.dumps(
                [{"Config": "c.json", "RepoTags": None, "Layers": ["one/layer.tar", "two/layer.tar"]}]
            ).encode(),
        }
        for name, data in members.items():
            info, _ = entry(name, data)
            tar.addfile(info, io.BytesIO(data))
        tar.addfile(entry("two/layer.tar", kind=tarfile.SYMTYPE, link="../one/layer.tar")[0])
    (image,) = images_of(path, out.getvalue())
    assert image.layers[0] == image.layers[1]
    assert image.names == []


def broken_archives():
    good = docker_archive(Saved([LAYER]))
    yield "empty", b""
    yield "text", b"this is no archive\n" * 100
    yield "zeros", bytes(10240)
    yield "cut", good[: len(good) // 3]
    yield "a tar of something else", layer(entry("readme", b"hello"))
    yield "gzip of nothing", gzip.compress(b"")
    yield "cut gzip", gzip.compress(good)[:200]
    yield "no json", layer(entry("manifest.json", b"{"))
    yield "json of another shape", layer(entry("manifest.json", b'{"a": 1}'))
    yield "deep json", layer(entry("manifest.json", b"[" * 200_000))
    yield (
        "a configuration that is not there",
        layer(entry("manifest.json", json.dumps([{"Config": "../../etc/passwd", "Layers": []}]).encode())),
    )
    yield (
        "an index with a digest of another kind",
        layer(entry("index.json", json.dumps({"manifests": [{"digest": "md5:../../x"}]}).encode())),
    )


@pytest.mark.parametrize("data", [pytest.param(data, id=name) for name, data in broken_archives()])
def test_what_is_no_image_archive_is_said_to_be_none(path, data):
    """N70: whatever it is, it is one clear error."""
    with pytest.raises(ArchiveError):
        images_of(path, data)


def test_an_index_that_contains_itself_ends(path):
    body = b""
    index = {"manifests": [{"digest": "sha256:" + "0" * 64}]}
    members = [
        entry("index.json", json.dumps(index).encode()),
        entry(f"blobs/sha256/{'0' * 64}", json.dumps(index).encode()),
    ]
    with pytest.raises(ArchiveError):
        images_of(path, layer(*members))
    assert body == b""


def test_a_blob_that_is_not_its_digest_is_refused(path):
    """N64: a mismatch never runs."""
    data = oci_archive(Saved([LAYER])).replace(b'"schemaVersion": 2, "config"', b'"schemaVersion": 3, "config"')
    with pytest.raises(ArchiveError, match="holds something else"):
        images_of(path, data)


def test_a_packed_bomb_is_cut_off(path):
    """N70: more than the limit is not unpacked, whatever the headers say."""
    with pytest.raises(ArchiveError, match="more than"):
        images_of(path, gzip.compress(bytes(1 << 22)), limit=1 << 20)


def test_a_header_is_not_read_into_memory(path):
    """N70: a long name of a gigabyte is refused by its declared size."""
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 1 << 30
    with pytest.raises(ArchiveError, match="allowed"):
        images_of(path, info.tobuf(tarfile.GNU_FORMAT) + bytes(10240))


def test_too_many_members(path, monkeypatch):
    monkeypatch.setattr(archive, "MAX_MEMBERS", 10)
    with pytest.raises(ArchiveError, match="more than 10 files"):
        images_of(path, layer(*(entry(f"f{n}") for n in range(20))))


def test_an_unknown_compression_is_named(path):
    path.write_bytes(docker_archive(Saved([LAYER], pack=lambda data: b"\x28\xb5\x2f\xfd" + data)))
    with ImageArchive.opened(path, limit=LIMIT) as opened, pytest.raises(ArchiveError, match="zstd"):
        opened.open_layer(opened.images()[0].layers[0])


def test_random_damage_is_an_archive_error(path):
    """N70: every damaged byte ends in an image or in one kind of error."""
    good = docker_archive(Saved([LAYER]))
    step = max(1, len(good) // 400)
    for at in range(0, len(good), step):
        damaged = bytearray(good)
        damaged[at] ^= 0x55
        try:
            images_of(path, bytes(damaged))
        except ArchiveError:
            continue
        assert zlib.crc32(damaged)
