"""A manifest becomes running containers, and stays so whatever is killed. Over SQLite and over three ZooKeepers."""

import json
import os
import signal
import urllib.request

import pytest

pytestmark = [pytest.mark.docker, pytest.mark.root]


def containers(cluster, namespace, name="main"):
    listing = cluster.run(
        "docker",
        "ps",
        "--no-trunc",
        "--format",
        "{{.ID}}",
        "--filter",
        f"label=io.kubernetes.pod.namespace={namespace}",
        "--filter",
        f"label=io.kubernetes.container.name={name}",
    )
    return set(listing.stdout.split())


def pods(cluster, namespace, selector="app=web"):
    return cluster.get("pods", "-n", namespace, "-l", selector)["items"]


def applied(cluster, namespace, manifest, **options):
    cluster.kubectl("apply", "-n", namespace, "-f", manifest(**options))
    cluster.kubectl("rollout", "status", "deployment/web", "-n", namespace, "--timeout=120s")


def test_node_is_ready(cluster):
    cluster.kubectl("wait", "--for=condition=Ready", "node/node1", "--timeout=120s")
    assert "Ready" in cluster.kubectl("get", "nodes")


def test_three_pods_run_with_ips_that_answer_and_limits_that_hold(cluster, namespace, manifest):
    applied(cluster, namespace, manifest)
    running = pods(cluster, namespace)
    ips = {pod["status"]["podIP"] for pod in running}
    assert [pod["status"]["phase"] for pod in running] == ["Running"] * 3
    assert len(ips) == 3
    for ip in ips:
        with urllib.request.urlopen(f"http://{ip}:8080/etc/passwd", timeout=10) as answer:
            assert b"root" in answer.read()
    ids = containers(cluster, namespace)
    assert len(ids) == 3
    for container in ids:
        host_config = json.loads(cluster.run("docker", "inspect", container).stdout)[0]["HostConfig"]
        assert host_config["Memory"] == 32 << 20
        quota = (
            host_config["NanoCpus"] / 1e9
            if host_config["NanoCpus"]
            else host_config["CpuQuota"] / host_config["CpuPeriod"]
        )
        assert quota == pytest.approx(0.1)


def test_a_killed_container_is_restarted(cluster, namespace, manifest):
    applied(cluster, namespace, manifest, replicas=1)
    (container,) = containers(cluster, namespace)
    cluster.run("docker", "kill", container)
    status = lambda: pods(cluster, namespace)[0]["status"]["containerStatuses"][0]
    cluster.wait(lambda: status()["restartCount"] == 1 and status()["ready"])
    assert containers(cluster, namespace) != {container}
    assert pods(cluster, namespace)[0]["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 137


def test_a_deleted_pod_is_replaced(cluster, namespace, manifest):
    applied(cluster, namespace, manifest, replicas=1)
    (before,) = pods(cluster, namespace)
    cluster.kubectl("delete", "pod", before["metadata"]["name"], "-n", namespace)
    cluster.kubectl("rollout", "status", "deployment/web", "-n", namespace, "--timeout=120s")
    (after,) = cluster.wait(lambda: [p for p in pods(cluster, namespace) if p["status"]["phase"] == "Running"])
    assert after["metadata"]["uid"] != before["metadata"]["uid"]


def test_agent_killed_and_started_again_adopts_what_runs(cluster, namespace, manifest):
    """N59."""
    applied(cluster, namespace, manifest)
    before = containers(cluster, namespace)
    os.kill(cluster.process("hostagent"), signal.SIGKILL)
    cluster.up()
    cluster.kubectl("scale", "deployment/web", "--replicas=4", "-n", namespace)
    cluster.kubectl("rollout", "status", "deployment/web", "-n", namespace, "--timeout=120s")
    assert before < containers(cluster, namespace)
    assert {s["restartCount"] for pod in pods(cluster, namespace) for s in pod["status"]["containerStatuses"]} == {0}


@pytest.mark.parametrize("victim", ["apiserver", "manager"])
def test_a_rollout_survives_the_control_plane(cluster, namespace, manifest, victim):
    """P87 in the large: killed in the middle of a rollout, started again, the rollout ends with no pod too many."""
    applied(cluster, namespace, manifest)
    cluster.kubectl("set", "env", "deployment/web", "VERSION=2", "-n", namespace)
    os.kill(cluster.process(victim), signal.SIGKILL)
    cluster.up()
    cluster.kubectl("rollout", "status", "deployment/web", "-n", namespace, "--timeout=120s")
    cluster.wait(lambda: len(pods(cluster, namespace)) == 3)
    assert all({"name": "VERSION", "value": "2"} in p["spec"]["containers"][0]["env"] for p in pods(cluster, namespace))


def test_logs(cluster, namespace, manifest):
    """C248."""
    applied(
        cluster,
        namespace,
        manifest,
        replicas=1,
        command=["sh", "-c", "for i in 1 2 3; do echo line $i; done; exec sleep 1000"],
    )
    logs = lambda *options: cluster.kubectl("logs", "deployment/web", "-n", namespace, *options)
    assert logs() == "line 1\nline 2\nline 3\n"
    assert logs("--tail=1") == "line 3\n"
    assert logs("--limit-bytes=6") == "line 1"
    assert logs("--timestamps", "--tail=1").split(" ", 1)[1] == "line 3\n"
    assert logs("--since=1h") == "line 1\nline 2\nline 3\n"


def test_previous_logs_and_crash_loop(cluster, namespace, manifest):
    cluster.kubectl("apply", "-n", namespace, "-f", manifest(replicas=1, command=["sh", "-c", "echo attempt; exit 3"]))

    def waiting():
        statuses = [s for p in pods(cluster, namespace) for s in p["status"].get("containerStatuses", ())]
        return [s for s in statuses if s["state"].get("waiting", {}).get("reason") == "CrashLoopBackOff"]

    (status,) = cluster.wait(waiting)
    assert status["lastState"]["terminated"]["exitCode"] == 3
    assert "attempt" in cluster.kubectl("logs", "deployment/web", "-n", namespace, "--previous")
    assert "CrashLoopBackOff" in cluster.kubectl("get", "pods", "-n", namespace)


def test_a_missing_image_says_so(cluster, namespace):
    cluster.kubectl("run", "x", "--image=no-such-image:1", "--image-pull-policy=Never", "-n", namespace)

    def reason():
        statuses = cluster.get("pod", "x", "-n", namespace)["status"].get("containerStatuses", ())
        return [s["state"]["waiting"]["reason"] for s in statuses if "waiting" in s["state"]] == ["ErrImageNeverPull"]

    cluster.wait(reason)


def test_init_containers_run_first_and_fields_reach_the_environment(cluster, namespace):
    """Init containers in order, then the containers; a pod's own fields as variables."""
    field = lambda name, path: {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
    pod = {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": {"app": "p"}},
        "spec": {
            "restartPolicy": "Never",
            "initContainers": [{"name": "first", "image": "busybox:local", "command": ["sh", "-c", "echo first"]}],
            "containers": [{
                "name": "main", "image": "busybox:local", "command": ["sh", "-c", "echo $NAME $IP $NODE"],
                "env": [field("NAME", "metadata.name"), field("IP", "status.podIP"), field("NODE", "spec.nodeName")],
            }],
        },
    }
    created = cluster.run("kubectl", "create", "-n", namespace, "-f", "-", text=json.dumps(pod))
    assert "Warning" not in created.stderr
    cluster.kubectl("wait", "pod/p", "-n", namespace, "--for=jsonpath={.status.phase}=Succeeded", "--timeout=120s")
    status = cluster.get("pod", "p", "-n", namespace)["status"]
    assert status["initContainerStatuses"][0]["state"]["terminated"]["reason"] == "Completed"
    assert cluster.kubectl("logs", "p", "-n", namespace, "-c", "first") == "first\n"
    assert cluster.kubectl("logs", "p", "-n", namespace, "-c", "main") == f"p {status['podIP']} node1\n"
