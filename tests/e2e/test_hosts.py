"""`windlass up --nodes 3`: three hosts on one machine, and what happens to machines."""

import io
import json
import subprocess
import tarfile
from hashlib import sha256
from pathlib import Path

import pytest

from windlass.cli.datadir import DataDir
from windlass.cli.hosts import cluster_tag, runtime_dir
from windlass.testing.dockerd import busybox_layer

pytestmark = [pytest.mark.root, pytest.mark.busybox]
NODES = ("node1", "node2", "node3")
SCRIPT = "trap 'exit 0' TERM; mkdir -p /tmp/www; hostname > /tmp/www/name; httpd -p 8080 -h /tmp/www; while :; do sleep 1; done"


def saved_busybox(path):
    """Write busybox as `docker save` does."""
    layer = busybox_layer()
    config = {"config": {"Cmd": ["sh"]}, "rootfs": {"diff_ids": [f"sha256:{sha256(layer).hexdigest()}"]}}
    manifest = [{"Config": "config.json", "RepoTags": ["hosts:1"], "Layers": ["layer.tar"]}]
    members = {
        "layer.tar": layer,
        "config.json": json.dumps(config).encode(),
        "manifest.json": json.dumps(manifest).encode(),
    }
    with tarfile.open(path, mode="w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def web(node):
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"web-{node}"},
        "spec": {
            "nodeSelector": {"kubernetes.io/hostname": node},
            "terminationGracePeriodSeconds": 1,
            "containers": [{"name": "main", "image": "hosts:1", "command": ["/bin/busybox", "sh", "-c", SCRIPT]}],
        },
    }


class Hosts:
    """The cluster with one web pod on each host."""

    def __init__(self, cluster):
        self.cluster = cluster

    def windlass(self, *arguments):
        return self.cluster.windlass(*arguments, "--data-dir", str(self.cluster.data_dir)).stdout

    def pod(self, node):
        return self.cluster.get("pod", f"web-{node}")

    def start_pods(self):
        for node in NODES:
            self.cluster.kubectl("create", "-f", "-", text=json.dumps(web(node)))
        self.wait_pods()

    def wait_pods(self):
        for node in NODES:
            self.cluster.kubectl("wait", f"pod/web-{node}", "--for=condition=Ready", "--timeout=120s")

    def fetch(self, node, ip, check=True):
        """Fetch a page from inside the pod on a node."""
        command = ("busybox", "timeout", "5", "busybox", "wget", "-q", "-O", "-", f"http://{ip}:8080/name")
        return self.cluster.kubectl("exec", f"web-{node}", "--", *command, check=check).strip()

    def everybody_reaches_everybody(self):
        ips = {node: self.pod(node)["status"]["podIP"] for node in NODES}
        assert len(set(ips.values())) == 3
        for source in NODES:
            for target, ip in ips.items():
                assert self.fetch(source, ip) == f"web-{target}"

    def ready(self, node):
        conditions = self.cluster.get("node", node)["status"]["conditions"]
        return next(c["status"] for c in conditions if c["type"] == "Ready") == "True"


@pytest.fixture(scope="module")
def hosts(hosts_cluster, tmp_path_factory):
    archive = tmp_path_factory.mktemp("saved") / "busybox.tar"
    saved_busybox(archive)
    found = Hosts(hosts_cluster)
    assert found.windlass("images", "import", str(archive)).count("hosts:1") == 3
    found.start_pods()
    return found


def test_pods_on_three_hosts_fetch_each_other(hosts):
    """By address, with ranges that the cluster gave: no two alike."""
    nodes = hosts.cluster.get("nodes")["items"]
    assert sorted(n["metadata"]["name"] for n in nodes) == list(NODES)
    assert len({n["spec"]["podCIDR"] for n in nodes}) == 3
    hosts.everybody_reaches_everybody()


def test_the_api_server_reaches_pods_and_agents_of_every_host(hosts):
    for node in NODES:
        path = f"/api/v1/namespaces/default/pods/http:web-{node}:8080/proxy/name"
        assert hosts.cluster.kubectl("get", "--raw", path).strip() == f"web-{node}"
        assert hosts.cluster.kubectl("logs", f"web-{node}") == ""


@pytest.mark.parametrize("hosts_cluster", ["process"], indirect=True)
def test_a_host_cut_off_is_not_ready_and_is_healed(hosts):
    """K75: the others go on; after the healing nothing has been started twice."""
    before = hosts.pod("node2")["status"]["containerStatuses"][0]["containerID"]
    ip = hosts.pod("node2")["status"]["podIP"]
    hosts.windlass("host", "cut", "node2")
    try:
        assert "cut off" in hosts.windlass("host", "list")
        assert hosts.fetch("node1", ip, check=False) != "web-node2"
        assert hosts.fetch("node1", hosts.pod("node3")["status"]["podIP"]) == "web-node3"
        hosts.cluster.wait(lambda: not hosts.ready("node2"))
    finally:
        hosts.windlass("host", "heal", "node2")
    hosts.cluster.wait(lambda: hosts.ready("node2"))
    hosts.wait_pods()
    hosts.everybody_reaches_everybody()
    assert hosts.pod("node2")["status"]["containerStatuses"][0]["containerID"] == before


@pytest.mark.parametrize("hosts_cluster", ["process"], indirect=True)
def test_a_host_is_switched_off_and_on(hosts):
    hosts.windlass("host", "stop", "node3")
    assert "stopped" in hosts.windlass("host", "list")
    assert "Ready" in hosts.windlass("host", "start", "node3")
    hosts.cluster.wait(lambda: hosts.pod("node3")["status"]["containerStatuses"][0]["restartCount"] > 0)
    hosts.wait_pods()
    hosts.everybody_reaches_everybody()


@pytest.mark.parametrize("hosts_cluster", ["process"], indirect=True)
def test_another_up_changes_nothing_and_down_leaves_nothing(hosts):
    cluster, data_dir = hosts.cluster, DataDir(hosts.cluster.data_dir)
    agent = cluster.process("hostagent-node1")
    cluster.up()
    assert cluster.process("hostagent-node1") == agent
    hosts.windlass("down")
    tag = cluster_tag(data_dir)
    shown = "".join(
        subprocess.run(command, capture_output=True, text=True, check=True).stdout
        for command in (["ip", "link"], ["ip", "netns"], ["ip", "route"])
    )
    assert f"wl{tag}" not in shown
    assert f"wlu{tag}" not in shown
    assert not runtime_dir(data_dir).exists()
    assert str(cluster.data_dir) not in Path("/proc/self/mounts").read_text()
