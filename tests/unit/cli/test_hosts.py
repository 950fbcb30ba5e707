"""Names, ranges and the refusals of hosts on one machine; nothing is made."""

import ipaddress

import pytest
from click.testing import CliRunner

from windlass.cli.cluster import Cluster
from windlass.cli.datadir import DataDir
from windlass.cli.host import host
from windlass.cli.hosts import Underlay, choose_network, cluster_tag
from windlass.cli.members import members
from windlass.errors import ConfigError

ONE = Cluster("sqlite", "hollow", 6443, "n1", "127.0.0.1", "10.244.0.0/24")
THREE = Cluster(
    "sqlite", "hollow", 6443, "n1", "", "", nodes=3, underlay="10.88.7.0/24", cluster_cidrs=("10.9.0.0/16",)
)


def test_interface_names_fit_the_kernel():
    underlay = Underlay("abcdef", ipaddress.IPv4Network("10.88.7.0/24"))
    hosts = underlay.hosts(250)
    assert max(len(name) for h in hosts for name in (h.link, underlay.bridge)) <= 15
    assert len({h.ip for h in hosts} | {underlay.address}) == 251
    assert hosts[-1].enter(["true"]) == ["nsenter", "--net=/run/netns/wlabcdef-node250", "true"]


def test_a_used_range_is_passed_over():
    first = choose_network("00000a", [])
    assert choose_network("00000a", [str(first), "0.0.0.0/0", "fd00::/8"]) != first
    with pytest.raises(ConfigError, match="in use"):
        choose_network("00000a", ["10.0.0.0/8"])


def test_one_agent_or_one_for_each_host(tmp_path):
    data_dir = DataDir(tmp_path)
    assert [m.process for m in members(ONE, data_dir)] == ["hostagent"]
    found = members(THREE, data_dir)
    assert [m.process for m in found] == [f"hostagent-node{i}" for i in (1, 2, 3)]
    assert found[0].inside(["x"])[:2] == ["nsenter", f"--net=/run/netns/wl{cluster_tag(data_dir)}-node1"]
    assert (ONE.server, THREE.server) == ("https://127.0.0.1:6443", "https://10.88.7.1:6443")
    assert THREE.identities()[2] == ("node3", "10.88.7.4")


def test_a_cluster_is_read_back(tmp_path):
    data_dir = DataDir(tmp_path)
    THREE.save(data_dir)
    assert Cluster.load(data_dir) == THREE


@pytest.mark.parametrize("command", ["stop", "start", "cut", "heal"])
def test_a_host_that_is_not_there(tmp_path, command):
    run = lambda name: CliRunner().invoke(host, [command, name, "--data-dir", str(tmp_path)])
    assert "no hosts in" in str(run("node1").exception)
    THREE.save(DataDir(tmp_path))
    assert 'no host "node9"; there are: node1, node2, node3' in str(run("node9").exception)
    assert "host node1 is not there" in str(run("node1").exception)
