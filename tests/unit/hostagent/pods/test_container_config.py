"""A pod's wishes on their way to the runtime: files of the node, environment, security, refusals, in a box."""

import asyncio

import pytest

from windlass.errors import RuntimeDriverError
from windlass.plugin.interfaces.runtime import Image
from windlass_hostagent.pods.dns import ClusterDns
from windlass_hostagent.pods.options import PodOptions
from windlass_hostagent.pods.plan import ContainerStart
from windlass_hostagent.pods.steps.containers import container_config, image_user, resolve_env, service_variables
from windlass_hostagent.pods.steps.node_files import node_files, remove_node_files
from windlass_hostagent.pods.steps.sandbox import run_sandbox, runtime_handler_of, sandbox_config


@pytest.fixture
def context(boxes, tmp_path):
    made = boxes().context
    made.runtime_name = "docker"
    (tmp_path / "node-resolv").write_text("nameserver 192.0.2.53\n")
    (tmp_path / "node-hosts").write_text("127.0.0.1 node\n")
    made.options = PodOptions(resolv_conf=tmp_path / "node-resolv", hosts=tmp_path / "node-hosts")
    return made


def container(**fields):
    return {"name": "main", "image": "app:1", "imagePullPolicy": "IfNotPresent", **fields}


def test_files_are_mounted_and_follow_the_pods_address(context, pod, tmp_path):
    """C253."""
    made = pod()
    first = node_files(context, made, container(), ["10.0.0.2"])
    places = {mount.container_path: mount.host_path for mount in first}
    assert places.keys() == {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf"}
    hosts = tmp_path / "pods/uid-1/etc-hosts"
    assert places["/etc/hosts"] == str(hosts)
    inode = hosts.stat().st_ino
    node_files(context, made, container(), ["10.0.0.3"])
    assert "10.0.0.3\tweb\n" in hosts.read_text()
    assert hosts.stat().st_ino == inode
    remove_node_files(context, "uid-1")
    remove_node_files(context, "uid-1")
    assert not hosts.exists()


def test_what_a_container_mounts_itself_is_left_alone(context, pod):
    """C253."""
    own = container(volumeMounts=[{"name": "v", "mountPath": "/etc/hosts/"}])
    assert "/etc/hosts" not in [m.container_path for m in node_files(context, pod(), own, [])]


def test_host_network_pods_see_the_nodes_names(context, pod):
    """C253."""
    mounts = {m.container_path: m.host_path for m in node_files(context, pod(hostNetwork=True), container(), [])}
    assert mounts.keys() == {"/etc/hosts", "/etc/resolv.conf"}


def test_a_simulation_writes_nothing(context, pod, tmp_path):
    context.runtime_name = "hollow"
    assert node_files(context, pod(), container(), []) == []
    assert not (tmp_path / "pods").exists()


def test_a_container_carries_its_security(context, pod):
    inner = {"runAsUser": 7, "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    made = pod(securityContext={"supplementalGroups": [9]})
    start = ContainerStart(container(securityContext=inner, stdin=True, stdinOnce=True), 0, restart=False)
    config = container_config(context, made, start, {})
    assert (config.user, config.supplemental_groups, config.drop_capabilities) == ("7", (9,), ("ALL",))
    assert config.no_new_privileges
    assert config.stdin_once


def test_root_is_a_configuration_error(context, pod):
    start = ContainerStart(container(), 0, restart=False)
    with pytest.raises(RuntimeDriverError, match="image will run as root") as caught:
        container_config(context, pod(securityContext={"runAsNonRoot": True}), start, {})
    assert caught.value.reason == "CreateContainerConfigError"


async def test_the_images_user_is_asked_for_only_where_it_matters(context, pod):
    asked = []

    async def status(image):
        asked.append(image)
        return Image("i", (), 0, user="app:web") if image == "app:1" else None

    context.images.status = status
    assert await image_user(context, pod(), container()) == ""
    assert asked == []
    assert await image_user(context, pod(securityContext={"runAsGroup": 0}), container()) == "app:web"
    strict = pod(securityContext={"supplementalGroupsPolicy": "Strict"})
    assert await image_user(context, strict, container(image="gone")) == ""


class Services:
    def __init__(self, *found):
        self.found = found
        self.synced = asyncio.Event()

    async def wait_synced(self):
        await self.synced.wait()

    def list(self):
        return self.found


async def test_services_are_in_the_environment_unless_unwanted(context, pod):
    """C265."""
    service = {
        "metadata": {"namespace": "default", "name": "db"},
        "spec": {"clusterIP": "10.0.0.1", "ports": [{"port": 5}]},
    }
    context.services = Services(service)
    context.services.synced.set()
    spec = container(env=[{"name": "URL", "value": "x-$(DB_SERVICE_HOST)"}, {"name": "DB_PORT", "value": "own"}])
    env = await resolve_env(context, pod(), spec, [])
    assert (env["URL"], env["DB_PORT"], env["DB_SERVICE_PORT"]) == ("x-10.0.0.1", "own", "5")
    assert await service_variables(context, pod(enableServiceLinks=False)) == {}


async def test_a_container_waits_for_services_to_be_known(context, pod, monkeypatch):
    monkeypatch.setattr("windlass_hostagent.pods.steps.containers.SERVICES_SECONDS", 0.01)
    context.services = Services()
    with pytest.raises(RuntimeDriverError, match="services have not yet been read") as caught:
        await service_variables(context, pod())
    assert caught.value.reason == "CreateContainerConfigError"


def test_sandboxes_carry_namespaces_and_cgroups(pod):
    made = pod(hostPID=True, hostIPC=True, shareProcessNamespace=True,
               securityContext={"sysctls": [{"name": "net/ipv4/x", "value": "1"}]})  # fmt: skip
    config = sandbox_config(made, 0, "n1", PodOptions(max_pids=9), "kata")
    assert (config.host_pid, config.host_ipc, config.share_process_namespace) == (True, True, True)
    assert (config.sysctls, config.runtime_handler) == ({"net.ipv4.x": "1"}, "kata")
    assert (config.cgroup_parent, config.resources.pids_limit) == ("/kubepods/besteffort/poduid-1", 9)


async def test_runtime_classes(context, pod):
    """C286."""
    classes = {"fast": {"handler": "kata"}}

    async def fetch(kind, namespace, name):
        assert (kind, namespace) == ("RuntimeClass", "")
        return classes.get(name)

    context.fetch = fetch
    assert await runtime_handler_of(context, pod()) == ""
    assert await runtime_handler_of(context, pod(runtimeClassName="fast")) == "kata"
    with pytest.raises(RuntimeDriverError, match='"gone" not found'):
        await runtime_handler_of(context, pod(runtimeClassName="gone"))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"hostUsers": False}, "does not support user namespaces"),
        ({"hostname": "a" * 60, "subdomain": "b", "setHostnameAsFQDN": True}, "is too long"),
    ],
)
async def test_sandboxes_that_cannot_be_are_told(context, pod, spec, message):
    with pytest.raises(RuntimeDriverError, match=message):
        await run_sandbox(context, pod(**spec), 0)
    assert context.recorder.reasons() == ["FailedCreatePodSandBox"]


async def test_a_cluster_without_dns_is_told_once_per_sandbox(context, pod):
    await run_sandbox(context, pod(), 0)
    assert context.recorder.reasons() == ["MissingClusterDNS"]
    context.options = PodOptions(dns=ClusterDns(("10.96.0.10",)))
    await run_sandbox(context, pod("other", uid="uid-2"), 0)
    assert context.recorder.reasons() == ["MissingClusterDNS"]


async def test_a_pod_with_a_forbidden_sysctl_fails(boxes, pod):
    """C299: the node says so in the pod's status; nothing of it runs."""
    node = boxes()
    sysctls = {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}
    from windlass.apis.resources import PODS

    node.api.put(PODS, pod(securityContext=sysctls))
    await node.start()
    await node.settle()
    status = node.api.stored("pods", "web")["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "SysctlForbidden")
    assert status["message"] == 'forbidden sysctl: "kernel.msgmax" not allowlisted'
    assert await node.runtime.list_pod_sandboxes() == []
