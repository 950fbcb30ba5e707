"""Images without a registry, and streams, on the process runtime: what a user does with a saved image."""

import io
import json
import subprocess
import sys
import tarfile
from hashlib import sha256

import pytest

from windlass.testing.dockerd import busybox_layer

pytestmark = [pytest.mark.root, pytest.mark.busybox]
USERS = b"root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n"


def tar_of(members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


@pytest.fixture
def saved(tmp_path):
    layers = [busybox_layer(), tar_of({"etc/passwd": USERS, "srv/hello": b"hello from the second layer\n"})]
    config = json.dumps(
        {
            "config": {"Cmd": ["sh", "-c", "cat hello; id -un; sleep 1000"], "User": "app", "WorkingDir": "/srv"},
            "rootfs": {"diff_ids": [f"sha256:{sha256(layer).hexdigest()}" for layer in layers]},
        }
    ).encode()
    members = {f"{number}/layer.tar": layer for number, layer in enumerate(layers)}
    manifest = [{"Config": "config.json", "RepoTags": ["saved:1"], "Layers": list(members)}]
    path = tmp_path / "saved.tar"
    path.write_bytes(tar_of({**members, "config.json": config, "manifest.json": json.dumps(manifest).encode()}))
    return path


@pytest.fixture
def images(process_cluster):
    def images(*arguments):
        command = [
            sys.executable,
            "-m",
            "windlass.cli",
            "images",
            *arguments,
            "--data-dir",
            str(process_cluster.data_dir),
        ]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)

    return images


def test_a_saved_image_runs_without_a_registry(process_pods, images, saved):
    done = images("import", str(saved))
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(": saved:1\n")
    assert "saved:1" in images("list").stdout
    process_pods.create("saved", {"name": "main", "image": "saved:1", "imagePullPolicy": "IfNotPresent"})
    process_pods.until_ready("saved")
    process_pods.until(lambda: process_pods.logs("saved").split("\n")[:2] == ["hello from the second layer", "app"])
    assert process_pods.kubectl("exec", "saved", "--", "id", "-u").strip() == "1000"


def test_an_image_that_was_never_imported(process_pods):
    process_pods.create("none", {"name": "main", "image": "never:1", "imagePullPolicy": "Always"})
    process_pods.until(
        lambda: (
            process_pods.main("none")["state"].get("waiting", {}).get("reason") in ("ErrImagePull", "ImagePullBackOff")
        )
    )
    assert any("windlass images import" in message for _, message in process_pods.events("none"))


def test_what_is_no_image_is_said_for_its_node(images, tmp_path):
    """N70: another file's content, and an unknown node."""
    (tmp_path / "no.tar").write_bytes(b"not a tar\n" * 1000)
    done = images("import", str(tmp_path / "no.tar"))
    assert done.returncode == 1
    assert "not an image archive" in done.stderr
    assert 'no node "elsewhere"' in images("import", str(tmp_path / "no.tar"), "--node", "elsewhere").stderr
