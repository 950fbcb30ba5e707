"""kubectl's verbs that need real containers, over both stores."""

import json
import subprocess

import pytest

pytestmark = [pytest.mark.docker, pytest.mark.root]


@pytest.fixture
def kubectl(cluster, namespace):
    def call(*arguments, check=True, text=None):
        return cluster.kubectl("-n", namespace, *arguments, check=check, text=text)

    return call


@pytest.fixture
def web(kubectl, manifest):
    """A Deployment of three, rolled out."""
    kubectl("apply", "-f", manifest())
    kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    return "deployment/web"


def containers(cluster, namespace):
    """The ids of the namespace's running containers, sandboxes left out."""
    labels = [f"label=io.kubernetes.pod.namespace={namespace}", "label=io.kubernetes.container.name=main"]
    filters = [part for label in labels for part in ("--filter", label)]
    return set(cluster.run("docker", "ps", "--no-trunc", "--format", "{{.ID}}", *filters).stdout.split())


def test_run_ends_and_shows_its_output(kubectl):
    """C167: a bare pod of one container that runs to its end."""
    kubectl("run", "one", "--image=busybox:local", "--restart=Never", "--", "sh", "-c", "echo out; exit 0")
    kubectl("wait", "pod/one", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s")
    pod = json.loads(kubectl("get", "pod", "one", "-o", "json"))
    assert pod["spec"]["restartPolicy"] == "Never"
    assert [container["image"] for container in pod["spec"]["containers"]] == ["busybox:local"]
    assert kubectl("logs", "one") == "out\n"
    assert "Completed" in kubectl("get", "pod", "one")


def test_logs_follow_to_the_end(cluster, namespace, kubectl):
    """C248: lines come while the container runs, and the command ends when it does."""
    script = "for i in 1 2 3 4 5; do echo line $i; sleep 0.3; done"
    kubectl("run", "talker", "--image=busybox:local", "--restart=Never", "--", "sh", "-c", script)
    kubectl("wait", "pod/talker", "--for=jsonpath={.status.phase}=Running", "--timeout=60s")
    follow = subprocess.Popen(
        ["kubectl", "-n", namespace, "logs", "-f", "talker"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=cluster.environment,
    )
    try:
        out, _ = follow.communicate(timeout=60)
    finally:
        follow.kill()
    assert out == "".join(f"line {i}\n" for i in range(1, 6))
    assert follow.returncode == 0


def test_logs_of_all_pods_of_a_deployment(kubectl, web):
    lines = kubectl("logs", "-l", "app=web", "--prefix").splitlines()
    assert len(lines) == 3
    assert all(line.startswith("[pod/web-") and line.endswith("started") for line in lines)


def test_rollout_replaces_real_containers(cluster, namespace, kubectl, web):
    """C107: a new template, history, undo and restart; each time other containers, never none."""
    seen = [containers(cluster, namespace)]
    for step in (["set", "env", web, "VERSION=2"], ["rollout", "undo", web], ["rollout", "restart", web]):
        kubectl(*step)
        kubectl("rollout", "status", web, "--timeout=90s")
        cluster.wait(lambda: len(containers(cluster, namespace)) == 3)
        seen.append(containers(cluster, namespace))
    assert len(set().union(*seen)) == 12
    # The undo made revision 1 the third; the restart is the fourth.
    assert [line.split()[0] for line in kubectl("rollout", "history", web).splitlines()[2:] if line] == ["2", "3", "4"]


def test_scale_to_nothing_and_back(cluster, namespace, kubectl, web):
    kubectl("scale", web, "--replicas=0")
    kubectl("wait", "pod", "-l", "app=web", "--for=delete", "--timeout=60s")
    assert containers(cluster, namespace) == set()
    kubectl("scale", web, "--replicas=2")
    kubectl("wait", web, "--for=jsonpath={.status.readyReplicas}=2", "--timeout=60s")
    assert len(containers(cluster, namespace)) == 2


def test_drain_ends_the_containers_and_uncordon_brings_others(cluster, namespace, kubectl, web):
    before = containers(cluster, namespace)
    assert "drained" in kubectl("drain", "node1", "--ignore-daemonsets", "--pod-selector=app=web", "--timeout=60s")
    try:
        cluster.wait(lambda: containers(cluster, namespace) == set())
        pending = kubectl("get", "pods", "--field-selector=status.phase=Pending", "-o", "name")
        assert pending.count("pod/web-") == 3
    finally:
        kubectl("uncordon", "node1")
    kubectl("wait", web, "--for=condition=Available", "--timeout=60s")
    kubectl("rollout", "status", web, "--timeout=60s")
    assert len(containers(cluster, namespace)) == 3
    assert not before & containers(cluster, namespace)


@pytest.mark.parametrize("cascade", ["background", "foreground", "orphan"])
def test_delete_with_every_cascade(cluster, namespace, kubectl, web, cascade):
    """C056, C061."""
    before = containers(cluster, namespace)
    kubectl("delete", web, f"--cascade={cascade}", "--timeout=60s")
    if cascade == "orphan":
        kubectl("wait", "rs", "-l", "app=web", "--for=jsonpath={.status.readyReplicas}=3", "--timeout=30s")
        assert containers(cluster, namespace) == before
        kubectl("delete", "rs", "-l", "app=web", "--cascade=foreground", "--timeout=60s")
    assert kubectl("get", "rs", "-o", "name") == "" or cascade == "background"
    cluster.wait(lambda: containers(cluster, namespace) == set())
    cluster.wait(lambda: kubectl("get", "rs,pods", "-o", "name") == "")


def test_describe_tells_of_containers_and_events(kubectl, web):
    """C161."""
    text = kubectl("describe", "pods", "-l", "app=web")
    for expected in ("docker://", "State:          Running", "Started", "Pulled", "Scheduled", "memory:  32Mi"):
        assert expected in text
