"""Claims, volumes, classes and nodes for the controllers of storage."""

from types import SimpleNamespace

import pytest

FAST = {"metadata": {"name": "fast"}, "provisioner": "p.example.com", "volumeBindingMode": "Immediate"}
LATE = {**FAST, "metadata": {"name": "late"}, "volumeBindingMode": "WaitForFirstConsumer"}
LOCAL = {**LATE, "metadata": {"name": "local"}, "provisioner": "kubernetes.io/no-provisioner"}
ONCE = "ReadWriteOnce"


def claim(name="c", size="1Gi", *, storage_class="", modes=(ONCE,), annotations=None, status="Pending", **spec):
    asked = {"accessModes": list(modes), "resources": {"requests": {"storage": size}}, **spec}
    if storage_class is not None:
        asked["storageClassName"] = storage_class
    metadata = {"name": name, "namespace": "default", "uid": f"uid-{name}", "annotations": annotations or {}}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": asked,
            "status": {"phase": status}}  # fmt: skip


def volume(name="v", size="1Gi", *, storage_class="", modes=(ONCE,), ref=None, phase="Available", **more):
    meta = {"name": name, "uid": f"uid-{name}", "labels": more.pop("labels", {}),
            "annotations": more.pop("annotations", {})}  # fmt: skip
    spec = {"capacity": {"storage": size}, "accessModes": list(modes), "hostPath": {"path": f"/srv/{name}"},
            "persistentVolumeReclaimPolicy": "Retain", **more}  # fmt: skip
    if storage_class:
        spec["storageClassName"] = storage_class
    if ref is not None:
        spec["claimRef"] = ref
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": meta, "spec": spec, "status": {"phase": phase}}


def ref(name="c", uid=None):
    found = {"namespace": "default", "name": name}
    return found if uid is None else {**found, "uid": uid}


def affinity(*hosts):
    term = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": list(hosts)}]}
    return {"required": {"nodeSelectorTerms": [term]}}


def node(name):
    return {"metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}}}


@pytest.fixture(scope="session")
def make():
    """Build claims, volumes and nodes; `fast`, `late` and `local` are classes."""
    return SimpleNamespace(claim=claim, volume=volume, ref=ref, affinity=affinity, node=node, fast=FAST, late=LATE,
                           local=LOCAL)  # fmt: skip
