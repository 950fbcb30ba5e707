"""Pods with volumes, on Docker and on the process runtime; every test ends with nothing left of them."""

import json
import os
from pathlib import Path

import pytest

PRINT = """
show() { for f in "$@"; do echo "$f=$(busybox cat $f):$(busybox stat -Lc %a:%g $f)"; done; }
"""


class Box:
    """Pods on one runtime."""

    def __init__(self, pods, image):
        self.pods, self.image = pods, image

    def container(self, script, name="main", **fields):
        return {
            "name": name, "image": self.image, "imagePullPolicy": "Never", "command": ["sh", "-c", PRINT + script], **fields,
        }  # fmt: skip

    def apply(self, kind, name, **fields):
        body = {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, **fields}
        self.pods.kubectl("apply", "-f", "-", text=json.dumps(body))

    def start(self, name, script, *sources, pod=None, **container):
        """Start a pod whose volumes are mounted at /v, /w, ... in order."""
        named = [{"name": f"vol{i}", **source} for i, source in enumerate(sources)]
        mounts = [{"name": v["name"], "mountPath": "/" + "vwxyz"[i]} for i, v in enumerate(named)]
        body = self.container(script, **{"volumeMounts": mounts, **container})
        self.pods.create(name, body, volumes=named, restartPolicy="Never", **(pod or {}))

    def output(self, name, script, *sources, **options):
        """Run a pod to its end and return what it printed."""
        self.start(name, script, *sources, **options)
        self.pods.until_phase(name, "Succeeded")
        return self.pods.logs(name).splitlines()

    def shows(self, name, line):
        self.pods.until(lambda: line in self.pods.logs(name).splitlines(), timeout=60)

    def waits_for(self, name, *words):
        """Wait for a FailedMount event with these words; the pod's containers have not begun."""

        def told():
            return [m for r, m in self.pods.events(name) if r == "FailedMount" and all(word in m for word in words)]

        self.pods.until(told)
        assert self.pods.status(name)["phase"] == "Pending"


def mounts_below(path):
    return [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if f" {path}" in line]


@pytest.fixture(params=["docker", "process"])
def box(request, store, make_pods):
    cluster = request.getfixturevalue("cluster" if request.param == "docker" else "process_cluster")
    pods = make_pods(cluster)
    yield Box(pods, "busybox:local" if request.param == "docker" else "host")
    # Nothing of a pod's volumes outlives it, in mounts or on the disk.
    pods.kubectl("delete", "pods", "--all", "--timeout=60s")
    agent = cluster.data_dir / "agent" / "node1"

    def left():
        """A pod that has ended leaves the API at once, its node shortly after."""
        directories = [p for p in (agent / "pods").glob("*") if p.name in pods.uids]
        return directories + [m for m in mounts_below(agent) if any(uid in m for uid in pods.uids)]

    pods.until(lambda: not left())


@pytest.fixture
def make_pods(pods_of):
    made = []

    def make(cluster):
        name = f"v-{os.urandom(4).hex()}"
        cluster.kubectl("create", "namespace", name)
        pods = pods_of(cluster, name)
        pods.uids = set()
        create = pods.create

        def noting(pod, *containers, **spec):
            create(pod, *containers, **spec)
            pods.uids.add(pods.get(pod)["metadata"]["uid"])

        pods.create = noting
        made.append((cluster, name))
        return pods

    yield make
    for cluster, name in made:
        cluster.kubectl("delete", "namespace", name, "--wait=false")
