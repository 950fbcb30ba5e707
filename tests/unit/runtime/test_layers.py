"""Unpacking layers: what they hold arrives, and nothing leaves its directory (N70). Needs root: owners, overlays."""

import os
import stat
import tarfile

import pytest
from saved_images import Saved, docker_archive, entry, folder, layer, oci_archive

from windlass.errors import RuntimeDriverError
from windlass_runtime.archive import ArchiveError
from windlass_runtime.process import unpack
from windlass_runtime.process.images import ImageStore

pytestmark = pytest.mark.root
SYM, LNK = tarfile.SYMTYPE, tarfile.LNKTYPE


@pytest.fixture
def store(tmp_path):
    store = ImageStore(tmp_path / "state")
    store.prepare()
    return store


@pytest.fixture
def load(store, tmp_path):
    def load(*images, build=docker_archive):
        path = tmp_path / "image.tar"
        path.write_bytes(build(*images))
        return store.load(path)

    return load


def top(store, image="app:1"):
    return store.layers_dir / store.find(image).layers[-1]


def tree(directory):
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))


def leftovers(store):
    return [path.name for path in [*store.layers_dir.iterdir(), *(store.root / "images").iterdir()]]


def test_a_layer_arrives_as_it_was_packed(store, load):
    load(
        Saved(
            [
                layer(
                    folder("bin", mode=0o700),
                    entry("./bin/tool", b"x" * 5000, mode=0o4755, uid=7),
                    entry("bin/link", kind=SYM, link="/bin/tool"),
                    entry("bin/hard", kind=LNK, link="bin/tool"),
                    entry("run/pipe", kind=tarfile.FIFOTYPE),
                    entry("made/below/file", b"1"),
                )
            ]
        )
    )
    root = top(store)
    tool = (root / "bin/tool").stat()
    assert (stat.S_IMODE(tool.st_mode), tool.st_uid, tool.st_size, tool.st_nlink) == (0o4755, 7, 5000, 2)
    assert stat.S_IMODE((root / "bin").stat().st_mode) == 0o700
    assert (root / "bin/link").readlink().as_posix() == "/bin/tool"
    assert stat.S_ISFIFO((root / "run/pipe").stat().st_mode)
    assert (root / "made/below/file").read_text() == "1"


def test_file_capabilities_stay(store, load):
    value = bytes.fromhex("0100000200040000000000000000000000000000")
    pax = {"SCHILY.xattr.security.capability": value.decode(errors="surrogateescape")}
    load(Saved([layer(entry("ping", b"x", mode=0o755, pax=pax))]))
    assert os.getxattr(top(store) / "ping", "security.capability") == value


def test_whiteouts_hide_what_lies_below(store, load, tmp_path):
    below = layer(folder("etc"), entry("etc/a", b"1"), entry("etc/b", b"2"), folder("var"), entry("var/x", b"3"))
    above = layer(entry("etc/.wh.a"), entry("var/.wh..wh..opq"), entry("var/y", b"4"), entry("etc/c", b"5"))
    load(Saved([below, above]))
    image = store.find("app:1")
    for name in ("merged", "upper", "work"):
        (tmp_path / name).mkdir()
    from windlass_runtime.process import syscalls

    os.chdir(store.layers_dir)
    options = f"lowerdir={image.lower},upperdir={tmp_path}/upper,workdir={tmp_path}/work"
    syscalls.mount("overlay", str(tmp_path / "merged"), "overlay", data=options)
    try:
        assert tree(tmp_path / "merged") == ["etc", "etc/b", "etc/c", "var", "var/y"]
    finally:
        syscalls.unmount(str(tmp_path / "merged"))


def test_equal_layers_are_stored_once(store, load):
    base = layer(entry("base", b"x" * 1000))
    load(Saved([base, layer(entry("one", b"1"))], ["one:1"]), Saved([base, layer(entry("two", b"2"))], ["two:1"]))
    assert store.find("one:1").layers[0] == store.find("two:1").layers[0]
    assert len([p for p in store.layers_dir.iterdir() if p.is_dir()]) == 3
    assert store.find("one:1").size == 1001


def test_images_are_listed_with_all_their_names(store, load):
    assert load(Saved([layer(entry("f", b"12345"))], ["a:1", "docker.io/library/b"])) == ["a:1", "b:latest"]
    (image,) = store.describe()
    assert sorted(image.repo_tags) == ["a:1", "b:latest"]
    assert image.size_bytes == 5
    assert store.find(image.id).size == 5
    assert store.find("b").id == store.find("docker.io/library/b:latest").id == image.id


def test_an_image_without_a_name_has_its_id(store, load):
    (name,) = load(Saved([layer(entry("f", b"1"))], []))
    assert store.find(name).id == name


def test_removal_takes_the_layers_that_nobody_needs(store, load):
    base = layer(entry("base", b"x"))
    load(Saved([base, layer(entry("one", b"1"))], ["one:1"]), Saved([base, layer(entry("two", b"2"))], ["two:1"]))
    base_id, two_id = store.find("two:1").layers
    store.remove("two:1", in_use=[two_id])
    assert {p.name for p in store.layers_dir.iterdir() if p.is_dir()} >= {base_id, two_id}
    store.remove("one:1", in_use=[])
    assert list(store.layers_dir.iterdir()) == []
    store.remove("one:1", in_use=[])


def test_the_hosts_own_files_are_no_image_to_remove(store):
    store.remove("host", in_use=[])
    assert store.find("host").lower == "/"


def test_an_oci_layout_runs_the_same_way(store, load):
    load(Saved([layer(entry("f", b"1"))]), build=oci_archive)
    assert tree(top(store)) == ["f"]


def hostile():
    yield "dots", [entry("../evil", b"x")]
    yield "dots inside", [folder("a"), entry("a/../../evil", b"x")]
    yield "hard link out", [entry("evil", kind=LNK, link="../../../../etc/passwd")]
    yield "hard link to nothing", [entry("evil", kind=LNK, link="no/such")]
    yield "whiteout of dots", [entry(".wh...", b"")]
    yield "deep", [entry("/".join("d" * 300), b"x")]
    yield "sparse terabyte", [entry("big", size=1 << 40)]
    yield "unknown kind", [entry("x", kind=b"Z")]
    yield "more than fits", [entry("big", b"x" * 5000)]


@pytest.mark.parametrize("entries", [pytest.param(entries, id=name) for name, entries in hostile()])
def test_a_hostile_layer_is_refused_and_leaves_nothing(tmp_path, entries):
    """N70."""
    store = ImageStore(tmp_path / "state", 4000)
    store.prepare()
    path = tmp_path / "image.tar"
    path.write_bytes(
        docker_archive(
            Saved(
                [
                    layer(*((info, data if len(data) == info.size else b"") for info, data in entries))
                    if entries[0][0].size < 1 << 30
                    else entries[0][0].tobuf(tarfile.GNU_FORMAT)
                ]
            )
        )
    )
    with pytest.raises(ArchiveError):
        store.load(path)
    assert leftovers(store) == []
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param([entry("a", kind=SYM, link="/"), entry("a/evil", b"x")], id="symlink to the root, then a write"),
        pytest.param(
            [entry("a", kind=SYM, link="../../../.."), entry("a/evil", b"x")], id="symlink with dots, then a write"
        ),
        pytest.param([entry("/evil", b"x")], id="an absolute name"),
    ],
)
def test_what_points_outside_lands_inside(store, load, entries):
    """N70: as a process with the layer as its root would see it."""
    load(Saved([layer(*entries)]))
    assert (top(store) / "evil").read_text() == "x"
    assert not os.path.lexists("/evil")


def test_a_symlink_is_replaced_not_followed(store, load, tmp_path):
    """N70: symlink, then a file of the same name."""
    victim = tmp_path / "victim"
    victim.write_text("safe")
    load(Saved([layer(entry("f", kind=SYM, link=str(victim)), entry("f", b"mine"))]))
    assert victim.read_text() == "safe"
    assert (top(store) / "f").read_text() == "mine"


def test_devices_are_left_out(store, load):
    """N70: an image has no say in devices."""
    load(Saved([layer(folder("dev"), entry("dev/sda", kind=tarfile.BLKTYPE), entry("dev/x", kind=tarfile.CHRTYPE))]))
    assert tree(top(store)) == ["dev"]


def test_too_many_entries(store, load, monkeypatch):
    """N70: a million entries are cut off at the bound."""
    monkeypatch.setattr(unpack.LayerUnpacker.__init__, "__defaults__", (10, 0, 0, ("", -1)))
    with pytest.raises(ArchiveError, match="more than 10 entries"):
        load(Saved([layer(*(entry(f"f{n}") for n in range(20)))]))
    assert leftovers(store) == []


def test_a_wrong_digest_never_becomes_an_image(store, load):
    """N64."""
    with pytest.raises(ArchiveError, match="its image says"):
        load(Saved([layer(entry("f", b"1")), layer(entry("g", b"2"))], wrong_digest=True))
    assert store.find("app:1") is None


def test_a_full_disk_is_named(store, load, monkeypatch):
    def full(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(unpack.os, "write", full)
    with pytest.raises(RuntimeDriverError, match="no space left"):
        load(Saved([layer(entry("f", b"1"))]))
    monkeypatch.undo()
    assert leftovers(store) == []


def test_what_a_killed_import_left_is_removed(store):
    (store.layers_dir / ".half" / "upper").mkdir(parents=True)
    store.prepare()
    assert leftovers(store) == []


def test_many_layers(store, load):
    """The kernel takes one page of mount options; images have up to 127 layers."""
    load(Saved([layer(entry(f"f{n}", b"x")) for n in range(100)]))
    image = store.find("app:1")
    assert len(image.layers) == 100
    assert len(image.lower) < 4096 - 300
