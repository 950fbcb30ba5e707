"""Names as pods see them: real containers on Docker, busybox's own resolver, the agent's DNS at the pods' gateway."""

import io
import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from windlass.testing.dockerd import busybox_layer

GETENT = shutil.which("getent")
NSS = ("libnss_dns.so.2", "libnss_files.so.2", "libresolv.so.2")
pytestmark = [pytest.mark.docker, pytest.mark.skipif(GETENT is None, reason="needs getent")]


def _libraries():
    """Return what getent is linked with, and what the C library loads to resolve names."""
    said = subprocess.run(["ldd", GETENT], capture_output=True, text=True, check=True).stdout
    linked = [Path(word) for word in said.split() if word.startswith("/")]
    libc = next(path for path in linked if path.name.startswith("libc.so"))
    return [*linked, *(libc.parent / name for name in NSS if (libc.parent / name).exists())]


@pytest.fixture(scope="session")
def resolver_image(dockerd):
    """An image with the C library's own resolver: busybox, getent and the libraries that this machine uses."""
    out = io.BytesIO(busybox_layer())
    with tarfile.open(fileobj=out, mode="a") as tar:
        for path in [Path(GETENT), *dict.fromkeys(_libraries())]:
            info = tarfile.TarInfo(str(path).lstrip("/"))
            content = path.read_bytes()
            info.size, info.mode = len(content), 0o755
            tar.addfile(info, io.BytesIO(content))
        switch = b"hosts: files dns\n"
        info = tarfile.TarInfo("etc/nsswitch.conf")
        info.size = len(switch)
        tar.addfile(info, io.BytesIO(switch))
    command = ["docker", "-H", dockerd.endpoint, "import", "-", "resolver:local"]
    subprocess.run(command, input=out.getvalue(), check=True, capture_output=True)
    return "resolver:local"


def _pod(name, **spec):
    container = {
        "name": "main",
        "image": "resolver:local",
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", "trap 'exit 0' TERM; httpd -p 8080 -h /; while :; do sleep 1; done"],
    }
    body = {"containers": [container], "terminationGracePeriodSeconds": 1, **spec}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": "web"}},
        "spec": body,
    }


def _service(name, **spec):
    ports = [{"name": "http", "port": 8080}]
    spec = {"selector": {"app": "web"}, "ports": ports, **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


@pytest.fixture
def web(cluster, namespace, resolver_image):
    """A pod with a host name under a headless Service, and one without; returns an `ask` for the latter."""
    objects = [
        _service("web", clusterIP="None"),
        _service("outside", type="ExternalName", externalName=f"web.{namespace}.svc.cluster.local", selector=None),
        _pod("web-0", hostname="web-0", subdomain="web"),
        _pod("asker"),
    ]
    cluster.kubectl(
        "apply", "-n", namespace, "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    )
    cluster.kubectl("wait", "-n", namespace, "--for=condition=Ready", "pod/web-0", "pod/asker", "--timeout=120s")

    def ask(name, pod="asker"):
        """Return the addresses that the C library finds in a pod; none for a name that does not exist."""
        command = ["kubectl", "exec", "-n", namespace, pod, "--", GETENT, "ahostsv4", name]
        found = cluster.run(*command, check=False)
        assert found.returncode in (0, 2), found.stderr
        return {line.split()[0] for line in found.stdout.splitlines()}

    return ask


@pytest.fixture
def address(cluster, namespace, web):
    return cluster.get("pod", "web-0", "-n", namespace)["status"]["podIP"]


def test_a_pod_is_told_of_the_clusters_dns(cluster, namespace, web, address):
    """C185: search domains and ndots, so that partial names resolve."""
    text = cluster.kubectl("exec", "-n", namespace, "asker", "--", "cat", "/etc/resolv.conf")
    assert f"nameserver {cluster.gateway}\n" in text
    assert f"search {namespace}.svc.cluster.local svc.cluster.local cluster.local" in text
    assert "options ndots:5" in text


def test_the_api_server_and_services_resolve(cluster, namespace, web):
    """C184: the Service `kubernetes` under each of its names, and a Service with an address."""
    cluster.kubectl("create", "service", "clusterip", "plain", "--tcp=80:8080", "-n", namespace)
    for name, where in (("kubernetes", "default"), ("plain", namespace)):
        address = cluster.get("service", name, "-n", where)["spec"]["clusterIP"]
        for asked in (f"{name}.{where}", f"{name}.{where}.svc", f"{name}.{where}.svc.cluster.local"):
            cluster.wait(lambda asked=asked, address=address: web(asked) == {address}, 60)


def test_headless_names_resolve(cluster, namespace, web, address):
    """C181, C182: the Service's name has its pods' addresses, the pod's FQDN its own."""
    full = f"web.{namespace}.svc.cluster.local"
    cluster.wait(lambda: address in web(full), 60)
    assert len(web(full)) == 2
    assert web(f"web-0.{full}") == {address}
    assert web(f"web-9.{full}") == set()


def test_partial_names_resolve(cluster, namespace, web, address):
    """C185: `web-0.web`, `web.NAMESPACE` and so on, by the search domains; an ExternalName is followed."""
    cluster.wait(lambda: address in web(f"web.{namespace}.svc.cluster.local"), 60)
    assert web("web-0.web") == {address}
    for name in ("web", f"web.{namespace}", f"web.{namespace}.svc", "outside"):
        assert address in web(name), name


def test_a_pod_finds_itself(cluster, namespace, web, address):
    """C179: its host name and its FQDN, by way of its hosts file."""
    hosts = cluster.kubectl("exec", "-n", namespace, "web-0", "--", "cat", "/etc/hosts")
    assert f"{address}\tweb-0.web.{namespace}.svc.cluster.local\tweb-0" in hosts
    for name in ("web-0", f"web-0.web.{namespace}.svc.cluster.local"):
        assert web(name, pod="web-0") == {address}
