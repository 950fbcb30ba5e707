"""Names, hosts files, resolvers, sysctls, Services' variables, cgroups of pods: all pure."""

import pytest

from windlass_hostagent.pods.admission import unsupported
from windlass_hostagent.pods.dns import ClusterDns, DnsConfig, fitting_searches, parse_resolv_conf, pod_dns
from windlass_hostagent.pods.hostname import HostnameError, hosts_file, kernel_name, short_name
from windlass_hostagent.pods.options import PodOptions, pod_options
from windlass_hostagent.pods.resources import cgroup_parent, pod_resources
from windlass_hostagent.pods.service_env import service_env
from windlass_hostagent.pods.sysctls import forbidden, normal, sysctls_of

NODE = DnsConfig(("192.0.2.53",), ("example.org",), ("timeout:1",))
CLUSTER = ClusterDns(("10.96.0.10",))


def pod(name="web", **spec):
    return {"metadata": {"name": name, "namespace": "ns", "uid": "u"}, "spec": {"containers": [], **spec}}


def test_host_names():
    assert short_name(pod()) == "web"
    assert short_name(pod(hostname="other")) == "other"
    assert short_name(pod("a" * 62 + ".bcd")) == "a" * 62
    assert kernel_name(pod(subdomain="sub"), "cluster.local") == "web"
    assert kernel_name(pod(subdomain="sub", setHostnameAsFQDN=True), "c.local") == "web.sub.ns.svc.c.local"
    assert kernel_name(pod(setHostnameAsFQDN=True), "c.local") == "web"
    with pytest.raises(HostnameError, match="64 characters is the max, 69"):
        kernel_name(pod("a" * 50, subdomain="sub", setHostnameAsFQDN=True), "c.local")


def test_hosts_file():
    """C253."""
    text = hosts_file(pod(), ["10.0.0.2", "fd00::2"], "c.local")
    assert text.startswith("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n")
    assert text.endswith("10.0.0.2\tweb\nfd00::2\tweb\n")
    aliases = [{"ip": "1.2.3.4", "hostnames": ["foo", "bar"]}]
    text = hosts_file(pod(subdomain="sub", hostAliases=aliases), ["10.0.0.2"], "c.local")
    assert "10.0.0.2\tweb.sub.ns.svc.c.local\tweb\n" in text
    assert text.endswith("\n# Entries added by HostAliases.\n1.2.3.4\tfoo\tbar\n")


def test_hosts_file_of_the_node():
    """C253."""
    text = hosts_file(pod(hostNetwork=True), ["10.0.0.2"], "c.local", "127.0.0.1 node")
    assert text == "# Kubernetes-managed hosts file (host network).\n127.0.0.1 node\n"


def test_resolv_conf_is_read_as_the_resolver_reads_it():
    text = "# c\nnameserver 1.1.1.1\nsearch a\nsearch b. c ; d\noptions ndots:2 rotate\nnameserver\n"
    assert parse_resolv_conf(text) == DnsConfig(["1.1.1.1"], ["b", "c"], ["ndots:2", "rotate"])
    assert NODE.text() == "search example.org\nnameserver 192.0.2.53\noptions timeout:1\n"
    assert DnsConfig().text() == ""


@pytest.mark.parametrize(
    ("spec", "servers", "searches"),
    [
        ({}, ["10.96.0.10"], ["ns.svc.cluster.local", "svc.cluster.local", "cluster.local", "example.org"]),
        ({"dnsPolicy": "Default"}, ["192.0.2.53"], ["example.org"]),
        ({"hostNetwork": True, "dnsPolicy": "ClusterFirst"}, ["192.0.2.53"], ["example.org"]),
        ({"dnsPolicy": "None", "dnsConfig": {"nameservers": ["9.9.9.9"]}}, ["9.9.9.9"], []),
    ],
)
def test_dns_policies(spec, servers, searches):
    config, warned = pod_dns(pod(**spec), CLUSTER, NODE)
    assert (config.nameservers, config.searches, warned) == (servers, searches, [])


def test_host_network_may_ask_for_the_clusters_dns():
    config, _ = pod_dns(pod(hostNetwork=True, dnsPolicy="ClusterFirstWithHostNet"), CLUSTER, NODE)
    assert config.nameservers == ["10.96.0.10"]
    assert config.options == ["ndots:5"]


def test_no_cluster_dns_falls_back_and_says_so():
    config, (warned,) = pod_dns(pod(), ClusterDns(), NODE)
    assert config.nameservers == ["192.0.2.53"]
    assert warned.reason == "MissingClusterDNS"
    assert 'pod: "web_ns(u)". kubelet does not have ClusterDNS IP configured' in warned.message


def test_a_pods_own_dns_is_merged_and_bounded():
    own = {
        "nameservers": ["10.96.0.10", "1.1.1.1", "2.2.2.2", "3.3.3.3"],
        "searches": [f"s{i}" for i in range(40)],
        "options": [{"name": "ndots", "value": "2"}, {"name": "rotate"}],
    }
    config, warned = pod_dns(pod(dnsConfig=own), CLUSTER, NODE)
    assert config.nameservers == ["10.96.0.10", "1.1.1.1", "2.2.2.2"]
    assert len(config.searches) == 32
    assert config.options == ["ndots:2", "rotate"]
    assert [w.reason for w in warned] == ["DNSConfigForming", "DNSConfigForming"]


def test_search_lines_end_at_the_limit():
    assert fitting_searches(["a" * 2000, "b" * 47, "c"]) == ["a" * 2000, "b" * 47]
    assert fitting_searches(["a" * 2049]) == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("net/ipv4/ip_forward", "net.ipv4.ip_forward"),
        ("net.ipv4.x", "net.ipv4.x"),
        ("a/b.c", "a.b/c"),
        ("a.b/c", "a.b/c"),
    ],
)
def test_sysctl_names(name, expected):
    assert normal(name) == expected


@pytest.mark.parametrize(
    ("name", "spec", "problem"),
    [
        ("kernel.shm_rmid_forced", {}, ""),
        ("net/ipv4/tcp_syncookies", {}, ""),
        ("kernel.msgmax", {}, "not allowlisted"),
        ("net.core.somaxconn", {}, ""),
        ("vm.swappiness", {}, "not allowlisted"),
        ("net.ipv4.tcp_syncookies", {"hostNetwork": True}, "host net"),
        ("kernel.shm_rmid_forced", {"hostIPC": True}, "host ipc"),
    ],
)
def test_sysctls(name, spec, problem):
    """C299."""
    asking = pod(securityContext={"sysctls": [{"name": name, "value": "1"}]}, **spec)
    assert problem in forbidden(asking, ["net.core.*", "vm.swappiness"])
    assert bool(problem) == bool(forbidden(asking, ["net.core.*", "vm.swappiness"]))
    assert list(sysctls_of(asking).values()) == ["1"]


def test_what_a_node_never_runs():
    options = PodOptions()
    assert unsupported(pod(), options) is None
    sysctl = unsupported(pod(securityContext={"sysctls": [{"name": "vm.x", "value": "1"}]}), options)
    assert (sysctl.reason, sysctl.message) == ("SysctlForbidden", 'forbidden sysctl: "vm.x" not allowlisted')
    assert unsupported(pod(os={"name": "windows"}), options).reason == "PodOSNotSupported"
    profile = {"appArmorProfile": {"type": "RuntimeDefault"}}
    confined = pod(containers=[{"name": "a", "securityContext": profile}])
    assert unsupported(confined, options).reason == "AppArmor"
    assert unsupported(confined, PodOptions(apparmor=True)) is None


def service(name, ip, *ports, namespace="ns"):
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"clusterIP": ip, "ports": list(ports)}}


def test_services_variables():
    """C265: as Docker's links named them."""
    found = service_env([service("my-db", "10.0.0.1", {"port": 5432, "name": "sql-a"}, {"port": 53, "protocol": "UDP"})],
                        "ns", links=True)  # fmt: skip
    assert found == {
        "MY_DB_SERVICE_HOST": "10.0.0.1",
        "MY_DB_SERVICE_PORT": "5432",
        "MY_DB_SERVICE_PORT_SQL_A": "5432",
        "MY_DB_PORT": "tcp://10.0.0.1:5432",
        "MY_DB_PORT_5432_TCP": "tcp://10.0.0.1:5432",
        "MY_DB_PORT_5432_TCP_PROTO": "tcp",
        "MY_DB_PORT_5432_TCP_PORT": "5432",
        "MY_DB_PORT_5432_TCP_ADDR": "10.0.0.1",
        "MY_DB_PORT_53_UDP": "udp://10.0.0.1:53",
        "MY_DB_PORT_53_UDP_PROTO": "udp",
        "MY_DB_PORT_53_UDP_PORT": "53",
        "MY_DB_PORT_53_UDP_ADDR": "10.0.0.1",
    }


def test_which_services():
    services = [
        service("kubernetes", "10.0.0.9", {"port": 443}, namespace="default"),
        service("headless", "None", {"port": 1}),
        service("bare", "10.0.0.3"),
        service("mine", "fd00::1", {"port": 80}),
        service("else", "10.0.0.4", {"port": 80}, namespace="other"),
    ]
    alone = service_env(services, "ns", links=False)
    assert {name.partition("_")[0] for name in alone} == {"KUBERNETES"}
    linked = service_env(services, "ns", links=True)
    assert {name.partition("_")[0] for name in linked} == {"KUBERNETES", "MINE"}
    assert linked["MINE_PORT"] == "tcp://[fd00::1]:80"
    own = [*services, service("kubernetes", "10.0.0.5", {"port": 1})]
    assert service_env(own, "ns", links=True)["KUBERNETES_SERVICE_HOST"] == "10.0.0.5"
    assert service_env(own[::-1], "ns", links=True)["KUBERNETES_SERVICE_HOST"] == "10.0.0.5"


def resources(cpu=None, memory=None, limits=True):
    amounts = {k: v for k, v in (("cpu", cpu), ("memory", memory)) if v}
    return {"requests": amounts, **({"limits": amounts} if limits else {})}


def test_pod_cgroups():
    best = pod(containers=[{"name": "a"}])
    assert cgroup_parent(best, "kubepods") == "/kubepods/besteffort/podu"
    assert pod_resources(best, 100).cpu_request_millis == 2
    assert pod_resources(best, 100).pids_limit == 100
    burst = pod(containers=[{"name": "a", "resources": resources("100m", limits=False)}, {"name": "b"}])
    assert cgroup_parent(burst, "kubepods") == "/kubepods/burstable/podu"
    assert pod_resources(burst).cpu_request_millis == 100
    assert pod_resources(burst).cpu_limit_millis == 0
    sure = pod(containers=[{"name": n, "resources": resources("1", "64Mi")} for n in "ab"], overhead={"memory": "1Mi"})
    assert cgroup_parent(sure, "kubepods") == "/kubepods/podu"
    found = pod_resources(sure)
    assert (found.cpu_limit_millis, found.memory_limit_bytes) == (2000, 129 << 20)
    assert cgroup_parent(sure, "") == ""


def test_options_of_the_command_line(tmp_path):
    options = pod_options(
        data_dir=tmp_path, cluster_dns=["10.96.0.10"], resolv_conf=tmp_path / "r", seccomp_default=True
    )
    assert options.dns == ClusterDns(("10.96.0.10",), "cluster.local")
    assert options.resolv_conf == tmp_path / "r"
    assert options.security.profiles == tmp_path / "seccomp"
    assert options.security.seccomp == "runtime/default"
    assert pod_options(data_dir=tmp_path).security.seccomp == "unconfined"
