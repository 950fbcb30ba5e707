"""Storage that outlives pods, by kubectl: claims, StatefulSets with claims, what is removed and when."""

import json
from pathlib import Path

import pytest

from windlass.apis.core.v1.unobeyed import SERVED_VOLUMES

pytestmark = [
    pytest.mark.root,
    pytest.mark.kubectl,
    pytest.mark.skipif("persistentVolumeClaim" not in SERVED_VOLUMES, reason="nobody mounts claims yet, as pods are warned"),
]

SIZE = {"storage": "16Mi"}
CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": SIZE}}


@pytest.fixture
def disk(process_cluster, make_pods):
    """Pods and claims on the process runtime, with a class of their own."""
    pods = make_pods(process_cluster)
    pods.asked = {**CLAIM, "storageClassName": pods.namespace}
    applied(pods, "StorageClass", pods.namespace, "storage.k8s.io/v1", provisioner="windlass.dev/hostpath",
            volumeBindingMode="WaitForFirstConsumer")  # fmt: skip
    pods.container = lambda script: {
        "name": "main", "image": "host", "imagePullPolicy": "Never", "command": ["sh", "-c", script],
        "volumeMounts": [{"name": "data", "mountPath": "/v"}],
    }  # fmt: skip
    pods.claimed = lambda name: {"name": "data", "persistentVolumeClaim": {"claimName": name}}
    yield pods
    pods.kubectl("delete", "statefulsets,pods,pvc", "--all", "--timeout=60s")
    pods.kubectl("delete", "storageclass", pods.namespace)


def applied(disk, kind, name, api_version="v1", **fields):
    body = {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, **fields}
    disk.cluster.kubectl("-n", disk.namespace, "apply", "-f", "-", text=json.dumps(body))


def claim_of(disk, name):
    return disk.cluster.get("-n", disk.namespace, "pvc", name)


def volume_of(disk, name):
    """The PersistentVolume of a claim, and its directory."""
    volume = disk.cluster.get("pv", claim_of(disk, name)["spec"]["volumeName"])
    return volume, Path(volume["spec"]["local"]["path"])


def test_data_outlives_pods_and_goes_with_the_claim(disk):
    """C362: it waits for the first pod, is bound, is there for the next pod, stays while used, is removed with the claim."""
    applied(disk, "PersistentVolumeClaim", "data", spec=disk.asked)
    disk.until(lambda: "WaitForFirstConsumer" in {reason for reason, _ in disk.events("data")})
    assert claim_of(disk, "data")["status"]["phase"] == "Pending"
    writer = disk.container("echo kept > /v/file")
    disk.create("writer", writer, volumes=[disk.claimed("data")], restartPolicy="Never")
    disk.until_phase("writer", "Succeeded")
    disk.kubectl("delete", "pod", "writer")
    reader = disk.container("cat /v/file; sleep 600")
    disk.create("reader", reader, volumes=[disk.claimed("data")], restartPolicy="Never", terminationGracePeriodSeconds=0)
    disk.until(lambda: disk.logs("reader").split() == ["kept"])
    volume, directory = volume_of(disk, "data")
    assert volume["status"]["phase"] == claim_of(disk, "data")["status"]["phase"] == "Bound"
    assert (directory / "file").read_text() == "kept\n"
    disk.kubectl("delete", "pvc", "data", "--wait=false")
    assert disk.kubectl("get", "pvc", "data", "--no-headers").split()[1] == "Terminating"
    assert (directory / "file").exists()
    disk.kubectl("delete", "pod", "reader")
    disk.kubectl("wait", "--for=delete", "pvc/data", "--timeout=60s")
    disk.kubectl("wait", "--for=delete", f"pv/{volume['metadata']['name']}", "--timeout=60s")
    assert not directory.exists()


def test_a_stateful_set_keeps_its_data(disk):
    """The pod of the same number has what the one before wrote, after deletion and after scaling to none."""
    template = {
        "metadata": {"labels": {"app": "db"}},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [disk.container("echo start >> /v/starts; wc -l < /v/starts; exec sleep 600")],
        },
    }
    spec = {
        "serviceName": "db", "replicas": 1, "selector": {"matchLabels": {"app": "db"}}, "template": template,
        "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": disk.asked}],
    }  # fmt: skip
    applied(disk, "StatefulSet", "db", "apps/v1", spec=spec)

    def starts(number):
        disk.until(lambda: disk.logs("db-0").split() == [number])

    starts("1")
    disk.kubectl("delete", "pod", "db-0")
    starts("2")
    disk.kubectl("scale", "statefulset", "db", "--replicas=0")
    disk.kubectl("wait", "--for=delete", "pod/db-0", "--timeout=60s")
    assert claim_of(disk, "data-db-0")["status"]["phase"] == "Bound"
    disk.kubectl("scale", "statefulset", "db", "--replicas=1")
    starts("3")
