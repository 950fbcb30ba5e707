"""What a node does for itself: figures for `kubectl top`, evictions, refusals, static pods."""

import json

import pytest

pytestmark = [pytest.mark.root]
MANIFEST = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "fixed", "labels": {"app": "fixed"}},
    "spec": {
        "containers": [{"name": "main", "image": "host", "imagePullPolicy": "Never", "command": ["sleep", "1000"]}]
    },
}


@pytest.fixture
def pods(process_pods):
    return process_pods


def host(script, **fields):
    return {"name": "main", "image": "host", "imagePullPolicy": "Never", "command": ["sh", "-c", script], **fields}


def figures(text):
    """Read `kubectl top --no-headers` as {name: [cpu in millicores, memory in Mi]}; what is no row tells that there is none."""
    rows = [line.split() for line in text.splitlines() if line.rstrip().endswith("Mi")]
    return {row[0]: [int(row[1].rstrip("m")), int(row[2].removesuffix("Mi"))] for row in rows}


def top(pods, *arguments):
    return pods.kubectl("top", *arguments, "--no-headers", check=False)


def test_top_shows_what_pods_and_nodes_use(pods):
    pods.create("busy", host("while :; do :; done", resources={"limits": {"cpu": "200m"}}))
    pods.create("idle", host("sleep 1000"))
    pods.until_ready("busy")
    pods.until_ready("idle")
    pods.until(lambda: {"busy", "idle"} <= figures(top(pods, "pod")).keys())
    found = pods.until(lambda: (f := figures(top(pods, "pod")))["busy"][0] >= 100 and f)
    assert found["busy"][0] <= 400
    assert found["idle"][0] < 100
    assert "main" in pods.kubectl("top", "pod", "busy", "--containers", "--no-headers")
    node = pods.kubectl("top", "node", "--no-headers").split()
    assert node[0] == "node1"
    assert int(node[1].rstrip("m")) > 0


def test_a_pod_that_fills_its_emptydir_is_evicted_and_others_are_not(pods):
    """N71: over its sizeLimit; the pod is Failed with the reason that users know."""
    pods.create("neighbour", host("sleep 1000"))
    scratch = {"name": "scratch", "emptyDir": {"sizeLimit": "1Mi"}}
    mount = [{"name": "scratch", "mountPath": "/scratch"}]
    pods.create(
        "greedy", host("head -c 5000000 /dev/zero > /scratch/big; sleep 1000", volumeMounts=mount), volumes=[scratch]
    )
    status = pods.until_phase("greedy", "Failed")
    assert status["reason"] == "Evicted"
    assert 'Usage of EmptyDir volume "scratch" exceeds the limit "1Mi"' in status["message"]
    assert "DisruptionTarget" in {c["type"] for c in status["conditions"]}
    pods.until_ready("neighbour")
    assert pods.main("neighbour")["restartCount"] == 0


def test_a_pod_bound_by_hand_beyond_the_node_is_refused(pods):
    pods.create("huge", host("sleep 1000", resources={"requests": {"cpu": "1000"}}), nodeName="node1")
    status = pods.until_phase("huge", "Failed")
    assert status["reason"] == "OutOfcpu"
    assert "OutOfcpu" in pods.kubectl("get", "pod", "huge", "--no-headers")


def test_a_static_pod_comes_from_its_file_and_goes_with_it(pods):
    """It runs whatever becomes of its mirror; a changed file replaces it."""
    cluster = pods.cluster
    directory = cluster.data_dir / "agent" / "node1" / "manifests"
    directory.mkdir(exist_ok=True)
    file = directory / "fixed.json"

    def write(**changes):
        body = {**MANIFEST, "metadata": {**MANIFEST["metadata"], "namespace": pods.namespace}}
        body["spec"] = {**body["spec"], **changes}
        file.write_text(json.dumps(body))

    def running():
        found = json.loads(pods.kubectl("get", "pods", "-l", "app=fixed", "-o", "json"))["items"]
        return found[0] if found and found[0]["status"].get("phase") == "Running" else None

    write()
    try:
        mirror = pods.until(running)
        assert mirror["metadata"]["name"] == "fixed-node1"
        assert mirror["metadata"]["ownerReferences"][0]["kind"] == "Node"
        container = mirror["status"]["containerStatuses"][0]["containerID"]
        pods.kubectl("delete", "pod", "fixed-node1")
        again = pods.until(running)
        assert again["metadata"]["uid"] != mirror["metadata"]["uid"]
        assert again["status"]["containerStatuses"][0]["containerID"] == container
        write(terminationGracePeriodSeconds=1)
        pods.until(lambda: (p := running()) and p["status"]["containerStatuses"][0]["containerID"] != container)
    finally:
        file.unlink()
    pods.until(lambda: not json.loads(pods.kubectl("get", "pods", "-l", "app=fixed", "-o", "json"))["items"])
