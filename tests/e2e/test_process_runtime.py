"""A manifest becomes running containers without any daemon: the agent and the kernel are enough."""

import json
import os
import signal
import urllib.request
from pathlib import Path

import pytest

from windlass.cli.processes import ProcessTable

pytestmark = [pytest.mark.root]

SCRIPT = "trap 'exit 0' TERM; echo started; busybox httpd -p 8080 -h /etc; while :; do sleep 1; done"


@pytest.fixture
def kubectl(process_cluster, namespace):
    return lambda *arguments: process_cluster.kubectl("-n", namespace, *arguments)


@pytest.fixture
def web(kubectl, manifest, namespace):
    """A Deployment of three, rolled out. The namespace stands in the command line, so that processes can be told."""
    script = f": {namespace}; {SCRIPT}"
    kubectl("apply", "-f", manifest(image="host", imagePullPolicy="Never", command=["sh", "-c", script]))
    kubectl("rollout", "status", "deployment/web", "--timeout=90s")
    return "deployment/web"


def processes(namespace):
    """The main processes of a namespace's containers: {process id: start time}."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().split(b"\0")
                ticks = (entry / "stat").read_text().rsplit(")", 1)[1].split()[19]
            except OSError:
                continue  # it has ended since
            if command[:2] == [b"sh", b"-c"] and command[2].startswith(f": {namespace};".encode()):
                found[int(entry.name)] = ticks
    return found


def pods(cluster, namespace):
    return cluster.get("pods", "-n", namespace, "-l", "app=web")["items"]


def restarts(cluster, namespace):
    return sorted(s["restartCount"] for pod in pods(cluster, namespace) for s in pod["status"]["containerStatuses"])


def test_three_pods_answer_from_the_host(process_cluster, namespace, kubectl, web):
    running = pods(process_cluster, namespace)
    ips = {pod["status"]["podIP"] for pod in running}
    assert [pod["status"]["phase"] for pod in running] == ["Running"] * 3
    assert len(ips) == 3
    for ip in ips:
        with urllib.request.urlopen(f"http://{ip}:8080/passwd", timeout=10) as answer:
            assert b"root" in answer.read()
    assert len(processes(namespace)) == 3
    for pod in running:
        assert kubectl("logs", pod["metadata"]["name"]) == "started\n"


def test_a_killed_process_is_restarted(process_cluster, namespace, web):
    before = processes(namespace)
    os.kill(min(before), signal.SIGKILL)
    process_cluster.wait(lambda: restarts(process_cluster, namespace) == [0, 0, 1])
    process_cluster.wait(lambda: len(processes(namespace)) == 3)
    assert set(before) - set(processes(namespace)) == {min(before)}


def test_agent_killed_and_started_again_adopts_what_runs(process_cluster, namespace, kubectl, web):
    """N59."""
    before = processes(namespace)
    os.kill(process_cluster.process("hostagent"), signal.SIGKILL)
    process_cluster.up()
    kubectl("scale", web, "--replicas=4")
    kubectl("rollout", "status", web, "--timeout=90s")
    after = processes(namespace)
    assert len(after) == 4
    assert before.items() < after.items()
    assert restarts(process_cluster, namespace) == [0, 0, 0, 0]


def test_a_deleted_deployment_leaves_no_process(process_cluster, namespace, kubectl, web):
    kubectl("delete", web, "--cascade=foreground", "--timeout=60s")
    process_cluster.wait(lambda: processes(namespace) == {})


def test_each_replica_serves_its_own_name(process_cluster, namespace, kubectl):
    """C137: every pod of a ReplicationController answers with its own name."""
    script = f": {namespace}; mkdir /tmp/w; hostname >/tmp/w/name; busybox httpd -p 8080 -h /tmp/w; echo up; {SCRIPT}"
    container = {"name": "c", "image": "host", "imagePullPolicy": "Never", "command": ["sh", "-c", script]}
    body = {
        "apiVersion": "v1", "kind": "ReplicationController", "metadata": {"name": "names"},
        "spec": {"replicas": 2, "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"terminationGracePeriodSeconds": 1, "containers": [container]},
        }},
    }  # fmt: skip
    process_cluster.kubectl("-n", namespace, "create", "-f", "-", text=json.dumps(body))
    kubectl("wait", "rc/names", "--for=jsonpath={.status.readyReplicas}=2", "--timeout=90s")
    running = pods(process_cluster, namespace)
    assert len(running) == 2
    for pod in running:
        name = pod["metadata"]["name"]
        process_cluster.wait(lambda name=name: "up" in kubectl("logs", name))
        with urllib.request.urlopen(f"http://{pod['status']['podIP']}:8080/name", timeout=10) as answer:
            assert answer.read().decode().strip() == name


def test_a_restored_cluster_converges_with_what_still_runs(process_cluster, namespace, kubectl, web, tmp_path):
    """R22: containers of pods that are in the backup go on, a pod deleted since is run again, what is newer goes."""
    before = {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in pods(process_cluster, namespace)}
    mains, file = processes(namespace), str(tmp_path / "all.backup")
    where = ("--data-dir", str(process_cluster.data_dir))
    process_cluster.windlass("backup", file, *where)
    victim = min(before)
    kubectl("delete", "pod", victim, "--grace-period=1")
    kubectl("create", "configmap", "later")
    process_cluster.wait(lambda: len(processes(namespace)) == 3 and processes(namespace).keys() != mains.keys())
    survivors = mains.items() & processes(namespace).items()
    assert len(survivors) == 2
    newer = processes(namespace).items() - survivors
    assert "stop it first" in process_cluster.windlass("restore", file, "--force", *where, check=False).stderr
    ProcessTable(process_cluster.data_dir / "run", process_cluster.data_dir / "logs").stop("apiserver", 20)
    assert "restored" in process_cluster.windlass("restore", file, "--force", *where).stdout
    process_cluster.up()

    def converged():
        found = pods(process_cluster, namespace)
        ready = all(status["ready"] for pod in found for status in pod["status"]["containerStatuses"])
        uids = {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in found}
        return ready and uids == before and len(processes(namespace)) == 3 and not newer & processes(namespace).items()

    process_cluster.wait(converged)
    assert survivors <= processes(namespace).items()
    assert "later" not in kubectl("get", "configmaps")
