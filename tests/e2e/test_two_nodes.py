"""A second host joins: its agent alone, with a certificate of the cluster's CA."""

import json
import subprocess
import sys

import pytest

from windlass.cli.cluster import Cluster, issue_identities
from windlass.cli.datadir import DataDir


@pytest.fixture
def second(hollow_cluster, tmp_path):
    """The agent of node2, gone afterwards with its Node."""
    data_dir = DataDir(hollow_cluster.data_dir)
    issue_identities(data_dir, Cluster("sqlite", "hollow", hollow_cluster.port, "node2", "127.0.0.1", "10.246.0.0/24"))
    command = {
        "kubeconfig": data_dir.kubeconfig("node-node2"), "node-name": "node2", "runtime": "hollow",
        "data-dir": tmp_path / "agent", "node-ip": "127.0.0.1", "pod-cidr": "10.246.0.0/24", "port": 0,
        "tls-cert": data_dir.pki / "node-node2.crt", "tls-key": data_dir.pki / "node-node2.key",
        "client-ca": data_dir.pki / "ca.crt",
    }  # fmt: skip
    options = [part for name, value in command.items() for part in (f"--{name}", str(value))]
    with (tmp_path / "agent.log").open("wb") as log:
        agent = subprocess.Popen(
            [sys.executable, "-m", "windlass.cli", "hostagent", *options],
            stdout=log, stderr=log, env=hollow_cluster.environment,
        )  # fmt: skip
    try:
        hollow_cluster.wait(lambda: "node2" in hollow_cluster.kubectl("get", "nodes", "-o", "name"))
        hollow_cluster.kubectl("wait", "node/node2", "--for=condition=Ready", "--timeout=60s")
        yield "node2"
    finally:
        print((tmp_path / "agent.log").read_text()[-3000:])
        agent.terminate()
        agent.wait(30)
        hollow_cluster.kubectl("delete", "node", "node2", "--ignore-not-found")


def test_two_nodes_take_pods(hollow_cluster, namespace, second, manifest):
    """C148: both are Ready and schedulable, and a Deployment's pods are spread over them."""
    nodes = hollow_cluster.get("nodes")["items"]
    schedulable = [node for node in nodes if not node["spec"].get("unschedulable") and not node["spec"].get("taints")]
    ready = [
        node["metadata"]["name"]
        for node in schedulable
        if {"Ready": "True"}.items() <= {c["type"]: c["status"] for c in node["status"]["conditions"]}.items()
    ]
    assert sorted(ready) == ["node1", "node2"]
    kubectl = lambda *arguments: hollow_cluster.kubectl("-n", namespace, *arguments)
    kubectl("apply", "-f", manifest(replicas=4))
    kubectl("rollout", "status", "deployment/web", "--timeout=120s")
    pods = json.loads(kubectl("get", "pods", "-o", "json"))["items"]
    assert sorted(pod["spec"]["nodeName"] for pod in pods) == ["node1", "node1", "node2", "node2"]
    kubectl("drain", "node2", "--ignore-daemonsets", "--force", "--pod-selector=app=web", "--timeout=60s")
    kubectl("rollout", "status", "deployment/web", "--timeout=120s")
    pods = json.loads(kubectl("get", "pods", "-o", "json"))["items"]
    assert {pod["spec"]["nodeName"] for pod in pods} == {"node1"}
