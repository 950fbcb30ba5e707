"""kubectl's ways in: who am I, may I, the proxy, and watches that print what changes."""

import http.client
import json
import socket
import subprocess
from contextlib import contextmanager

import pytest


@pytest.fixture
def kubectl(hollow_cluster, namespace):
    return lambda *arguments, **options: hollow_cluster.kubectl("-n", namespace, *arguments, **options)


@contextmanager
def running(cluster, *arguments):
    """A kubectl that goes on until the block ends."""
    process = subprocess.Popen(
        ["kubectl", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=cluster.environment
    )
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=20)


def test_whoami_and_can_i(kubectl):
    assert "system:masters" in kubectl("auth", "whoami")
    assert kubectl("auth", "can-i", "create", "deployments") == "yes\n"
    assert kubectl("auth", "can-i", "*", "*") == "yes\n"
    assert kubectl("auth", "can-i", "get", "/version") == "yes\n"


def test_a_node_cannot(hollow_cluster):
    own = f"--kubeconfig={hollow_cluster.data_dir / 'node-node1.kubeconfig'}"
    can_i = lambda *asked: hollow_cluster.kubectl(own, "auth", "can-i", *asked, check=False)
    assert "no - node node1 may only update its own Node" in can_i("delete", "nodes/other")
    assert "yes\n" in can_i("get", "nodes/node1")


def test_proxy_over_a_unix_socket(hollow_cluster, tmp_path):
    """C170: the API on that socket; GET /api lists a version."""
    path = tmp_path / "proxy.sock"
    with running(hollow_cluster, "proxy", f"--unix-socket={path}") as proxy:
        assert proxy.stdout.readline().startswith("Starting to serve")
        connection = http.client.HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(20)
        connection.sock.connect(str(path))
        connection.request("GET", "/api/")
        answer = connection.getresponse()
        assert json.loads(answer.read())["versions"] == ["v1"]
        connection.close()


def test_proxy_over_tcp(hollow_cluster):
    """A free port of the proxy's choice."""
    with running(hollow_cluster, "proxy", "--port=0") as proxy:
        port = int(proxy.stdout.readline().rsplit(":", 1)[1])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("GET", "/api/v1/namespaces/default")
        assert json.loads(connection.getresponse().read())["metadata"]["name"] == "default"
        connection.close()


def test_get_watches(hollow_cluster, namespace, kubectl):
    """`get -w` prints the present state, then every change as a row."""
    kubectl("create", "secret", "generic", "first", "--from-literal=a=1")
    with running(hollow_cluster, "-n", namespace, "get", "secrets", "-w", "-o", "name") as watch:
        assert watch.stdout.readline() == "secret/first\n"
        kubectl("create", "secret", "generic", "second", "--from-literal=a=1")
        assert watch.stdout.readline() == "secret/second\n"
        kubectl("label", "secret", "first", "changed=yes")
        assert watch.stdout.readline() == "secret/first\n"
    with running(hollow_cluster, "-n", namespace, "get", "secrets", "-w", "--output-watch-events") as watch:
        assert watch.stdout.readline().split() == ["EVENT", "NAME", "TYPE", "DATA", "AGE"]
        assert {watch.stdout.readline().split()[1] for _ in range(2)} == {"first", "second"}
        kubectl("delete", "secret", "second")
        assert watch.stdout.readline().split()[:2] == ["DELETED", "second"]


def test_set_resources_selector_and_serviceaccount(kubectl, manifest):
    kubectl("apply", "-f", manifest())
    kubectl("set", "resources", "deployment/web", "--limits=cpu=200m,memory=64Mi")
    kubectl("set", "serviceaccount", "deployment/web", "default")
    kubectl("expose", "deployment/web", "--port=80", "--target-port=8080")
    kubectl("set", "selector", "service", "web", "app=other")
    template = json.loads(kubectl("get", "deployment", "web", "-o", "json"))["spec"]["template"]["spec"]
    assert template["containers"][0]["resources"]["limits"] == {"cpu": "200m", "memory": "64Mi"}
    assert template["serviceAccountName"] == "default"
    assert kubectl("get", "service", "web", "-o", "jsonpath={.spec.selector}") == '{"app":"other"}'


def test_expose_again(kubectl, manifest):
    """The Service made by expose can be exposed again under another name and port."""
    kubectl("apply", "-f", manifest())
    kubectl("expose", "deployment/web", "--name=one", "--port=1234", "--target-port=6379")
    kubectl("expose", "service", "one", "--name=two", "--port=2345", "--target-port=6379")
    found = json.loads(kubectl("get", "service", "two", "-o", "json"))["spec"]
    assert (found["ports"][0]["port"], found["ports"][0]["targetPort"]) == (2345, 6379)
    assert found["selector"] == {"app": "web"}
