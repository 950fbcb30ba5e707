"""Services on a cluster with real containers: reached from the host and from pods, by address and by node port."""

import json

import pytest

pytestmark = [pytest.mark.docker, pytest.mark.root]


@pytest.fixture
def web(cluster, namespace, manifest):
    cluster.kubectl("apply", "-n", namespace, "-f", manifest(replicas=2))
    cluster.kubectl("rollout", "status", "deployment/web", "-n", namespace, "--timeout=120s")
    return namespace


def curl(cluster, address, port):
    """Return what comes of a request from the host: a status, or curl's exit code (7: refused)."""
    where = f"http://{address}:{port}/etc/passwd"
    done = cluster.run("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-m", "5", where, check=False)
    return int(done.stdout) if done.returncode == 0 else f"exit {done.returncode}"


def from_pod(cluster, namespace, address, port):
    """Return the name of the pod that answers a request made in a pod, or what went wrong."""
    items = cluster.get("pods", "-n", namespace, "-l", "app=web")["items"]
    # Not `wget -T`: Debian's static busybox crashes in it.
    command = ("busybox", "timeout", "5", "wget", "-q", "-O", "-", f"http://{address}:{port}/etc/hosts")
    done = cluster.run("kubectl", "exec", "-n", namespace, items[0]["metadata"]["name"], "--", *command, check=False)
    for pod in items:
        if pod["status"].get("podIP") and f"{pod['status']['podIP']}\t" in done.stdout:
            return pod["metadata"]["name"]
    return f"nobody: {done.stdout}{done.stderr}"


def service(cluster, namespace, name="web"):
    return cluster.get("service", name, "-n", namespace)["spec"]


def test_an_exposed_deployment_answers(cluster, web):
    """C163: from the host and from a pod, at two ports; scaled to nothing it refuses, and comes back."""
    cluster.kubectl("expose", "deployment/web", "-n", web, "--port=1234", "--target-port=8080")
    cluster.kubectl("expose", "service/web", "-n", web, "--name=again", "--port=2345", "--target-port=8080")
    first, second = service(cluster, web)["clusterIP"], service(cluster, web, "again")["clusterIP"]
    assert first != second
    cluster.wait(lambda: curl(cluster, first, 1234) == curl(cluster, second, 2345) == 200, 30)
    pods = {pod["metadata"]["name"] for pod in cluster.get("pods", "-n", web, "-l", "app=web")["items"]}
    seen = {from_pod(cluster, web, first, 1234) for _ in range(12)}
    assert seen <= pods
    cluster.kubectl("scale", "deployment/web", "-n", web, "--replicas=0")
    cluster.wait(lambda: curl(cluster, first, 1234) == "exit 7", 60)
    cluster.kubectl("scale", "deployment/web", "-n", web, "--replicas=1")
    cluster.wait(lambda: curl(cluster, first, 1234) == 200, 60)


def test_types_change_and_node_ports_come_and_go(cluster, web):
    """C205, C206: an ExternalName becomes a NodePort and back; the port answers at an address of the node."""
    cluster.kubectl("create", "service", "externalname", "web", "--external-name=example.org", "-n", web)
    ports = [{"port": 80, "targetPort": 8080}]
    body = {"spec": {"type": "NodePort", "externalName": None, "selector": {"app": "web"}, "ports": ports}}
    cluster.kubectl("patch", "service", "web", "-n", web, "--type=merge", "-p", json.dumps(body))
    spec = service(cluster, web)
    port = spec["ports"][0]["nodePort"]
    gateway = cluster.run("sh", "-c", "ip -4 -o addr show scope global | awk '{print $4}' | cut -d/ -f1 | head -1")
    address = gateway.stdout.strip()
    cluster.wait(lambda: curl(cluster, spec["clusterIP"], 80) == curl(cluster, address, port) == 200, 30)
    body = {"spec": {"type": "ExternalName", "externalName": "example.org"}}
    cluster.kubectl("patch", "service", "web", "-n", web, "--type=merge", "-p", json.dumps(body))
    assert "clusterIP" not in service(cluster, web)
    cluster.wait(lambda: curl(cluster, address, port) == "exit 7", 30)


def test_affinity_pins_a_pod_and_lets_go(cluster, web):
    """C209, C214: one client pod, two backends."""
    cluster.kubectl(
        "expose", "deployment/web", "-n", web, "--port=80", "--target-port=8080", "--session-affinity=ClientIP"
    )
    address = service(cluster, web)["clusterIP"]
    cluster.wait(lambda: "nobody" not in from_pod(cluster, web, address, 80), 30)
    assert len({from_pod(cluster, web, address, 80) for _ in range(10)}) == 1
    cluster.kubectl("patch", "service", "web", "-n", web, "-p", '{"spec":{"sessionAffinity":"None"}}')
    cluster.wait(lambda: len({from_pod(cluster, web, address, 80) for _ in range(10)}) == 2, 60)


def test_the_api_servers_own_service(cluster):
    """C212, C215."""
    listed = cluster.get("services", "--all-namespaces")["items"]
    (own,) = [one for one in listed if one["metadata"]["name"] == "kubernetes"]
    assert own["metadata"]["namespace"] == "default"
    assert [port["port"] for port in own["spec"]["ports"]] == [443]


def test_martian_addresses_are_named_in_events(cluster, web):
    """K77: the Service works, the address does not, and an event says why."""
    ports = [{"port": 80, "targetPort": 8080}]
    spec = {"selector": {"app": "web"}, "ports": ports, "externalIPs": ["169.254.169.254"]}
    body = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": spec}
    cluster.kubectl("apply", "-n", web, "-f", "-", text=json.dumps(body))
    cluster.wait(lambda: curl(cluster, service(cluster, web)["clusterIP"], 80) == 200, 30)
    cluster.wait(lambda: "169.254.169.254 is not served" in cluster.kubectl("get", "events", "-n", web), 30)
