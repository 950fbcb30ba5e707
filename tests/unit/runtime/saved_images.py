"""Builds image archives as `docker save` and OCI tools write them, honest and hostile ones."""

import gzip
import hashlib
import io
import json
import platform
import tarfile
from dataclasses import dataclass, field

ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]


def entry(name, content=b"", *, kind=tarfile.REGTYPE, link="", mode=0o644, uid=0, size=None, pax=None):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode, info.uid, info.gid = kind, link, mode, uid, uid
    info.size = len(content) if size is None else size
    info.pax_headers = pax or {}
    return info, content


def folder(name, mode=0o755):
    return entry(name, kind=tarfile.DIRTYPE, mode=mode)


def layer(*entries):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for info, content in entries:
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def digest(data):
    return hashlib.sha256(data).hexdigest()


@dataclass
class Saved:
    """One image to save."""

    layers: list
    names: list = field(default_factory=lambda: ["app:1"])
    config: dict = field(default_factory=lambda: {"Cmd": ["/bin/sh"]})
    architecture: str = ARCHITECTURE
    pack: object = bytes
    wrong_digest: bool = False

    @property
    def image_config(self):
        diff_ids = [f"sha256:{digest(one)}" for one in self.layers]
        if self.wrong_digest:
            diff_ids[-1] = f"sha256:{'0' * 64}"
        return json.dumps(
            {
                "architecture": self.architecture,
                "config": self.config,
                "rootfs": {"type": "layers", "diff_ids": diff_ids},
            }
        ).encode()


def _tar(members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def docker_archive(*images):
    members, manifest = {}, []
    for image in images:
        config = image.image_config
        blobs = [image.pack(one) for one in image.layers]
        paths = [f"{digest(blob)}/layer.tar" for blob in blobs]
        members |= dict(zip(paths, blobs, strict=True))
        members[f"{digest(config)}.json"] = config
        manifest.append({"Config": f"{digest(config)}.json", "RepoTags": image.names, "Layers": paths})
    members["manifest.json"] = json.dumps(manifest).encode()
    return _tar(members)


def oci_archive(*images, platforms=None):
    members, entries = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}, []
    for image in images:
        blobs = [gzip.compress(one) for one in image.layers]
        config = image.image_config
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "config": {"digest": f"sha256:{digest(config)}"},
                "layers": [{"digest": f"sha256:{digest(blob)}"} for blob in blobs],
            }
        ).encode()
        for data in (*blobs, config, manifest):
            members[f"blobs/sha256/{digest(data)}"] = data
        entries.append(
            {
                "digest": f"sha256:{digest(manifest)}",
                "annotations": {"org.opencontainers.image.ref.name": image.names[0]},
                "platform": {"architecture": image.architecture, "os": "linux"},
            }
        )
    members["index.json"] = json.dumps({"schemaVersion": 2, "manifests": entries}).encode()
    return _tar(members)
