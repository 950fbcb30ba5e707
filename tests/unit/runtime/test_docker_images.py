"""Saved images on their way to Docker's loader, and credentials on their way to a registry."""

import gzip
import json
import tarfile

import pytest
from saved_images import Saved, docker_archive, entry, layer, oci_archive

from windlass.plugin.interfaces.runtime import RegistryAuth
from windlass_runtime.archive import ArchiveError
from windlass_runtime.docker import images


@pytest.mark.parametrize(
    ("auth", "expected"),
    [
        (None, None),
        (RegistryAuth(server_address="r"), None),
        (RegistryAuth("u", "p", server_address="r"), {"username": "u", "password": "p", "serveraddress": "r"}),
        (RegistryAuth("u", "p", "t", "r"), {"identitytoken": "t", "serveraddress": "r"}),
    ],
)
def test_credentials(auth, expected):
    assert images.auth_config(auth) == expected


def test_names_that_docker_says_it_has_loaded():
    assert images.loaded_names("Loaded image: app:1\nLoaded image ID: sha256:0\nother\n") == ["app:1", "sha256:0"]


def test_the_user_of_an_image():
    assert images._image({"Id": "i", "Config": {"User": "app:web"}}).user == "app:web"
    assert images._image({"Id": "i", "Size": 3, "RepoTags": None}).user == ""


IMAGE = Saved([layer(entry("file", b"content"))])


def test_what_docker_knows_goes_as_it_is(tmp_path):
    whole = docker_archive(IMAGE)
    (tmp_path / "a.tar").write_bytes(whole)
    with images._loadable(str(tmp_path / "a.tar")) as data:
        assert data.read() == whole


def test_an_oci_layout_gets_dockers_index(tmp_path):
    """Older daemons load only what `docker save` writes; the configuration stays byte by byte, for the image's id."""
    (tmp_path / "a.tar").write_bytes(oci_archive(IMAGE))
    with images._loadable(str(tmp_path / "a.tar")) as data, tarfile.open(fileobj=data) as tar:
        (row,) = json.load(tar.extractfile("manifest.json"))
        assert row["RepoTags"] == ["app:1"]
        assert tar.extractfile(row["Config"]).read() == IMAGE.image_config
        assert [gzip.decompress(tar.extractfile(name).read()) for name in row["Layers"]] == IMAGE.layers


@pytest.mark.parametrize("content", [b"", b"junk" * 1000])
def test_what_is_no_archive(tmp_path, content):
    (tmp_path / "a.tar").write_bytes(content)
    with pytest.raises(ArchiveError), images._loadable(str(tmp_path / "a.tar")):
        raise AssertionError("accepted")
