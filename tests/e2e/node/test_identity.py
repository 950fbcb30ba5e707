"""Who a container is and what it finds: environment, users, privileges, sysctls, host files, cgroups, runtime classes."""

import json
import socket
from pathlib import Path

import pytest

from windlass.apimachinery.quantity import int_value

pytestmark = [pytest.mark.docker, pytest.mark.root]


@pytest.fixture
def printed(pods, shell):
    """Run a script to its end and return what it printed."""

    def run(script, *, phase="Succeeded", container=None, **spec):
        name = f"p{len(made)}"
        made.append(name)
        pods.create(name, shell("main", script, **(container or {})), restartPolicy="Never", **spec)
        pods.until_phase(name, phase)
        return pods.logs(name)

    made = []
    return run


def lines(text):
    return dict(line.partition("=")[::2] for line in text.splitlines() if "=" in line)


def test_environment_from_everywhere(pods, printed):
    """C220, C221, C239, C241, C289, C301, C302."""
    pods.kubectl("create", "configmap", "settings", "--from-literal=colour=green", "--from-literal=size=3")
    pods.kubectl("create", "secret", "generic", "hidden", "--from-literal=word=open")
    env = [
        {"name": "ONE", "value": "1"},
        {"name": "TWO", "value": "$(ONE)2$$(ONE)$(NONE)"},
        {"name": "COLOUR", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "colour"}}},
        {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "SPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "HOST", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}},
    ]
    whole = [
        {"configMapRef": {"name": "settings"}},
        {"prefix": "S_", "secretRef": {"name": "hidden"}},
        {"prefix": "C_", "configMapRef": {"name": "settings"}},
    ]
    container = {
        "env": env,
        "envFrom": whole,
        "command": ["sh", "-c", "env; echo args=$0 $1"],
        "args": ["$(ONE)", "$(TWO)"],
    }
    found = lines(printed("", container=container))
    assert (found["TWO"], found["args"]) == ("12$(ONE)$(NONE)", "1 12$(ONE)$(NONE)")
    assert (found["COLOUR"], found["colour"], found["C_size"], found["S_word"]) == ("green", "green", "3", "open")
    status = pods.status("p0")
    assert (found["NAME"], found["SPACE"]) == ("p0", pods.namespace)
    assert (found["IP"], found["HOST"]) == (status["podIP"], status["hostIP"])


def test_limits_that_are_not_set_are_the_nodes(pods, printed):
    """C238."""
    env = [
        {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
        {"name": "MEMORY", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory"}}},
    ]
    found = lines(printed("env", container={"env": env}))
    (node,) = pods.cluster.get("nodes")["items"]
    assert found["CPU"] == node["status"]["allocatable"]["cpu"]
    assert int(found["MEMORY"]) == int_value(node["status"]["allocatable"]["memory"])


def test_services_of_the_namespace_are_in_the_environment(pods, printed):
    """C265."""
    address = "10.96.7.7"
    body = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "fooservice"}}
    spec = {"clusterIP": address, "ports": [{"port": 8765}], "selector": {"app": "foo"}}
    pods.kubectl("create", "-f", "-", text=json.dumps({**body, "spec": spec}))
    pods.until(lambda: "FOOSERVICE_SERVICE_HOST" in printed("env"))
    found = lines(printed("env"))
    url = f"tcp://{address}:8765"
    assert found["FOOSERVICE_SERVICE_HOST"] == found["FOOSERVICE_PORT_8765_TCP_ADDR"] == address
    assert found["FOOSERVICE_SERVICE_PORT"] == found["FOOSERVICE_PORT_8765_TCP_PORT"] == "8765"
    assert found["FOOSERVICE_PORT"] == found["FOOSERVICE_PORT_8765_TCP"] == url
    assert found["FOOSERVICE_PORT_8765_TCP_PROTO"] == "tcp"
    assert "FOOSERVICE_SERVICE_HOST" not in lines(printed("env", enableServiceLinks=False))


def test_a_missing_key_waits_with_its_reason(pods, shell):
    """A container whose ConfigMap key is missing starts once the key is there."""
    ref = {"configMapKeyRef": {"name": "late", "key": "word"}}
    pods.create("waits", shell("main", "echo $WORD", env=[{"name": "WORD", "valueFrom": ref}]), restartPolicy="Never")
    pods.until(lambda: pods.main("waits")["state"].get("waiting", {}).get("reason") == "CreateContainerConfigError")
    assert pods.main("waits")["state"]["waiting"]["message"] == 'configmap "late" not found'
    pods.kubectl("create", "configmap", "late", "--from-literal=word=now")
    pods.until_phase("waits", "Succeeded")
    assert pods.logs("waits") == "now\n"


def test_users_and_groups(printed):
    """C292, C295, C296."""
    assert printed("id -u", container={"securityContext": {"runAsUser": 65534}}) == "65534\n"
    both = {"runAsUser": 1001, "runAsGroup": 2002}
    for where in ({"container": {"securityContext": both}}, {"securityContext": both}):
        text = printed("id", **where)
        assert "uid=1001" in text
        assert "gid=2002" in text
    more = {**both, "supplementalGroups": [3003], "fsGroup": 4004}
    assert printed("id -G", securityContext=more).split() == ["2002", "3003", "4004"]


def test_root_where_it_may_not_be(pods, shell):
    """A container that would run as root against `runAsNonRoot` waits, and says why."""
    pods.create("root", shell("main", "true"), securityContext={"runAsNonRoot": True})
    pods.until(lambda: pods.main("root")["state"].get("waiting", {}).get("reason") == "CreateContainerConfigError")
    assert "container has runAsNonRoot and image will run as root" in pods.main("root")["state"]["waiting"]["message"]
    assert any(r == "Failed" and "runAsNonRoot" in m for r, m in pods.events("root"))


def test_a_read_only_root(printed):
    """C251."""
    assert "Read-only file system" in printed(
        "echo a > /tmp/a", phase="Failed", container={"securityContext": {"readOnlyRootFilesystem": True}}
    )


def test_privileges(printed):
    """C293."""
    add = "ip link add dummy0 type dummy && echo done || echo refused"
    assert "refused" in printed(add, container={"securityContext": {"privileged": False}})
    seen = "busybox grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status"
    dropped = {"capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}, "allowPrivilegeEscalation": False}
    found = dict(line.split() for line in printed(seen, container={"securityContext": dropped}).splitlines())
    assert (int(found["CapEff:"], 16), found["NoNewPrivs:"], found["Seccomp:"]) == (1 << 10, "1", "0")
    default = {"seccompProfile": {"type": "RuntimeDefault"}}
    assert "Seccomp:\t2" in printed(seen, securityContext=default)


def test_a_seccomp_profile_of_the_node(pods, shell, printed):
    """A profile of the node's directory is applied; one that is not there keeps the container waiting."""
    printed("true")
    folder = next(path for path in pods.cluster.data_dir.rglob("pods") if path.is_dir()).parent / "seccomp"
    folder.mkdir(exist_ok=True)
    rule = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}
    (folder / "no-mkdir.json").write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}))
    profile = {"seccompProfile": {"type": "Localhost", "localhostProfile": "no-mkdir.json"}}
    assert "refused" in printed("busybox mkdir /tmp/a || echo refused", securityContext=profile)
    missing = {"seccompProfile": {"type": "Localhost", "localhostProfile": "none.json"}}
    pods.create("missing", shell("main", "true"), securityContext=missing)
    waiting = pods.until(lambda: pods.main("missing")["state"].get("waiting", {}).get("message"))
    assert "cannot load seccomp profile" in waiting or pods.until(
        lambda: "cannot load seccomp profile" in pods.main("missing")["state"]["waiting"]["message"]
    )
    assert pods.main("missing")["state"]["waiting"]["reason"] == "CreateContainerError"


def test_sysctls(pods, shell, printed):
    """C299."""
    asked = {"sysctls": [{"name": "kernel.shm_rmid_forced", "value": "1"}]}
    assert printed("cat /proc/sys/kernel/shm_rmid_forced", securityContext=asked) == "1\n"
    unsafe = {"sysctls": [{"name": "kernel.msgmax", "value": "65536"}]}
    pods.create("unsafe", shell("main", "true"), securityContext=unsafe)
    status = pods.until_phase("unsafe", "Failed")
    assert status["reason"] == "SysctlForbidden"


def test_hosts_files(pods, printed):
    """C253."""
    header = "# Kubernetes-managed hosts file."
    aliases = [{"ip": "192.0.2.7", "hostnames": ["foo.local", "bar.local"]}]
    text = printed("cat /etc/hosts; hostname", hostAliases=aliases, hostname="box", subdomain="sub")
    assert text.startswith(header)
    assert f"{pods.status('p0')['podIP']}\tbox.sub.{pods.namespace}.svc.cluster.local\tbox\n" in text
    assert "192.0.2.7\tfoo.local\tbar.local\nbox\n" in text
    assert header not in printed("cat /etc/hosts", hostNetwork=True)
    pods.kubectl("create", "configmap", "own", "--from-literal=hosts=127.0.0.1 mine")
    mount = {"volumeMounts": [{"name": "own", "mountPath": "/etc/hosts", "subPath": "hosts"}]}
    volume = [{"name": "own", "configMap": {"name": "own"}}]
    assert printed("cat /etc/hosts", container=mount, volumes=volume) == "127.0.0.1 mine"


def test_fully_qualified_host_names(printed, pods):
    """`setHostnameAsFQDN` gives the kernel the whole name."""
    text = printed("cat /etc/hostname; hostname", hostname="a", subdomain="b", setHostnameAsFQDN=True)
    assert text == f"a.b.{pods.namespace}.svc.cluster.local\n" * 2


def test_resolvers(pods, printed):
    """A pod's own resolver, and the cluster's."""
    own = {"nameservers": ["192.0.2.1"], "searches": ["a.example"], "options": [{"name": "ndots", "value": "2"}]}
    text = printed("cat /etc/resolv.conf", dnsPolicy="None", dnsConfig=own)
    assert text == "search a.example\nnameserver 192.0.2.1\noptions ndots:2\n"
    text = printed("cat /etc/resolv.conf", dnsPolicy="ClusterFirst")
    assert f"nameserver {pods.cluster.gateway}\n" in text
    assert f"search {pods.namespace}.svc.cluster.local svc.cluster.local cluster.local" in text


def test_shared_and_host_namespaces(pods, shell, printed):
    """The containers of a pod see each other's processes where the pod says so; the node's where it says that."""
    pods.create("shared", shell("one", "exec sleep 4321"), shell("two", "exec sleep 1234"), shareProcessNamespace=True)
    pods.until_ready("shared")
    seen = pods.kubectl("exec", "shared", "-c", "one", "--", "busybox", "ps")
    assert "sleep 1234" in seen
    assert "/pause" in seen
    pods.create("alone", shell("one", "exec sleep 4321"), shell("two", "exec sleep 1234"))
    pods.until_ready("alone")
    assert "sleep 1234" not in pods.kubectl("exec", "alone", "-c", "one", "--", "busybox", "ps")
    assert "dockerd" in printed("busybox ps", hostPID=True)
    name = printed("hostname", hostNetwork=True).strip()
    assert name == socket.gethostname()


def test_cgroups_of_pods(pods, shell):
    """Requests and limits are in the cgroups of the container and of its pod, below its quality class."""
    limits = {"resources": {"limits": {"cpu": "500m", "memory": "64Mi"}}}
    pods.create("sure", shell("main", "exec sleep 1000", **limits), shell("more", "exec sleep 1000", **limits))
    pods.create("best", shell("main", "exec sleep 1000"))
    for name in ("sure", "best"):
        pods.until_ready(name)
    assert pods.status("sure")["qosClass"] == "Guaranteed"
    assert pods.status("best")["qosClass"] == "BestEffort"
    uid, other = (pods.get(name)["metadata"]["uid"] for name in ("sure", "best"))
    root = Path("/sys/fs/cgroup")
    unified = (root / "cgroup.controllers").exists()
    memory = root / ("" if unified else "memory")
    pod = memory / "kubepods" / f"pod{uid}"
    file = "memory.max" if unified else "memory.limit_in_bytes"
    assert int((pod / file).read_text()) == 128 << 20
    inner = [int((folder / file).read_text()) for folder in pod.iterdir() if (folder / file).exists()]
    assert sorted(inner)[:2] == [64 << 20, 64 << 20]
    assert (memory / "kubepods" / "besteffort" / f"pod{other}").is_dir()
    pods.kubectl("delete", "pod", "sure", "best", "--grace-period=0", "--force")
    pods.until(lambda: not pod.exists())
    pods.until(lambda: not (memory / "kubepods" / "besteffort" / f"pod{other}").exists())


def test_runtime_classes(pods, shell):
    """C283, C284, C286."""
    name = f"class-{pods.namespace}"

    def make(handler):
        body = {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": name}, "handler": handler}
        pods.kubectl("create", "-f", "-", text=json.dumps(body))

    make("runc")
    pods.create("classed", shell("main", "exec sleep 1000"), runtimeClassName=name)
    pods.until_ready("classed")
    assert "overhead" not in pods.get("classed")["spec"]
    pods.kubectl("delete", "runtimeclass", name)
    with pytest.raises(AssertionError, match=r"RuntimeClass .* not found"):
        pods.create("gone", shell("main", "true"), runtimeClassName=name)
    with pytest.raises(AssertionError, match="Forbidden"):
        pods.create("never", shell("main", "true"), runtimeClassName="never-there")
    make("no-such-handler")
    pods.create("unknown", shell("main", "true"), runtimeClassName=name)
    pods.until(lambda: any(r == "FailedCreatePodSandBox" and "runtime" in m for r, m in pods.events("unknown")))
    pods.kubectl("delete", "runtimeclass", name)


def test_users_that_do_not_exist_and_capabilities_that_are_none(pods, shell):
    """What the runtime cannot give is told in the container's state, and another pod runs."""
    pods.create("strange", shell("main", "true", securityContext={"capabilities": {"add": ["NO_SUCH"]}}))
    pods.create("fine", shell("main", "true"), restartPolicy="Never")
    pods.until(lambda: pods.main("strange")["state"].get("waiting", {}).get("reason") == "CreateContainerError")
    assert "NO_SUCH" in pods.main("strange")["state"]["waiting"]["message"]
    pods.until_phase("fine", "Succeeded")
    pods.create("foreign", shell("main", "true"), hostUsers=False)
    pods.until(lambda: any(r == "FailedCreatePodSandBox" and "user namespaces" in m for r, m in pods.events("foreign")))
