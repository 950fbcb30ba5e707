"""What Docker is told of a pod's wishes: namespaces, privileges, devices, cgroups."""

import pytest

from windlass.plugin.interfaces.runtime import ContainerConfig, ContainerResources, Device, Mount, SandboxConfig
from windlass_runtime import pod_cgroups
from windlass_runtime.docker import translate
from windlass_runtime.docker.translate import Place

PLACE = Place("n", 0, sandbox_id="sb")


def host(place=PLACE, **options):
    return translate.host_config(ContainerConfig("c", 0, "i", **options), place)


def sandbox(place=PLACE, **options):
    return translate.sandbox_body(SandboxConfig("p", "d", "u", **options), place)


def test_a_plain_container_asks_for_nothing():
    plain = host()
    assert not {"PidMode", "GroupAdd", "MaskedPaths", "Devices", "Runtime", "Ulimits"} & plain.keys()
    assert plain["SecurityOpt"] == []
    assert plain["IpcMode"] == "container:sb"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"no_new_privileges": True}, ["no-new-privileges"]),
        ({"seccomp_profile": "unconfined"}, ["seccomp=unconfined"]),
        ({"seccomp_profile": "runtime/default"}, []),
        ({"apparmor_profile": "unconfined"}, ["apparmor=unconfined"]),
        ({"apparmor_profile": "localhost/mine"}, ["apparmor=mine"]),
        ({"apparmor_profile": "runtime/default"}, []),
    ],
)
def test_security_options(options, expected):
    assert host(**options)["SecurityOpt"] == expected


def test_a_profile_of_the_node_goes_as_its_content():
    found = host(Place("n", 0, seccomp="{}"), seccomp_profile="localhost//x")
    assert found["SecurityOpt"] == ["seccomp={}"]


def test_identity_and_devices():
    found = host(
        supplemental_groups=(5, 6),
        unmasked_proc=True,
        devices=(Device("/dev/a", "/dev/b", "r"),),
        add_capabilities=("NET_ADMIN",),
        drop_capabilities=("ALL",),
        mounts=(Mount("/a", "/b", readonly=True, propagation="rshared"),),
    )
    assert found["GroupAdd"] == ["5", "6"]
    assert found["MaskedPaths"] == found["ReadonlyPaths"] == []
    assert found["Devices"] == [{"PathOnHost": "/dev/a", "PathInContainer": "/dev/b", "CgroupPermissions": "r"}]
    assert (found["CapAdd"], found["CapDrop"]) == (["NET_ADMIN"], ["ALL"])
    assert found["Mounts"][0]["BindOptions"] == {"Propagation": "rshared"}


def test_stdin_once_needs_stdin():
    once = translate.container_body(ContainerConfig("c", 0, "i", stdin=True, stdin_once=True), PLACE)
    assert (once["OpenStdin"], once["StdinOnce"]) == (True, True)
    assert translate.container_body(ContainerConfig("c", 0, "i", stdin_once=True), PLACE)["StdinOnce"] is False


def test_sandboxes_of_the_host():
    body = sandbox(host_pid=True, host_ipc=True, sysctls={"net.a": "1"}, runtime_handler="kata")
    found = body["HostConfig"]
    assert (found["PidMode"], found["IpcMode"], found["Sysctls"], found["Runtime"]) == (
        "host", "host", {"net.a": "1"}, "kata",
    )  # fmt: skip
    plain = sandbox()["HostConfig"]
    assert not {"PidMode", "Sysctls", "Runtime"} & plain.keys()


@pytest.mark.parametrize(
    ("options", "pid", "ipc"),
    [
        ({}, None, "container:abc"),
        ({"host_pid": True}, "host", "container:abc"),
        ({"host_ipc": True}, None, "host"),
        ({"share_process_namespace": True}, "container:abc", "container:abc"),
        ({"share_process_namespace": True, "host_pid": True}, "host", "container:abc"),
    ],
)
def test_containers_follow_their_sandbox(options, pid, ipc):
    body = sandbox(Place("n", 0, cgroup_parent="/kubepods/podu"), runtime_handler="kata", **options)
    attrs = {"Id": "abc", "Config": {"Labels": body["Labels"]}, "HostConfig": body["HostConfig"]}
    place = translate.place_in(attrs, Place("n", 0, ulimits={"nofile": "1024:4096"}))
    found = host(place)
    assert (found.get("PidMode"), found["IpcMode"]) == (pid, ipc)
    assert (found["CgroupParent"], found["Runtime"]) == ("/kubepods/podu", "kata")
    assert found["Ulimits"] == [{"Name": "nofile", "Soft": 1024, "Hard": 4096}]
    aimed = host(place, target_container_id="other")
    assert aimed["PidMode"] == "container:other"
    assert not set(translate.user_labels(body["Labels"])) - {translate.NODE}


def test_cgroup_parents_in_both_drivers_words():
    assert pod_cgroups.docker_parent("/kubepods/burstable/podu-1", systemd=False) == "/kubepods/burstable/podu-1"
    named = pod_cgroups.docker_parent("/kubepods/burstable/podu-1", systemd=True)
    assert named == "kubepods-burstable-podu_1.slice"
    assert pod_cgroups.docker_parent("", systemd=True) == ""
    assert pod_cgroups.group_of(named) == ("kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podu_1.slice")
    assert pod_cgroups.group_of("/kubepods/podu") == "kubepods/podu"


def test_pod_limits_are_written_and_removed(tmp_path):
    """The files of a version 1 hierarchy, made of plain directories."""
    for controller in ("cpu", "memory", "pids", "blkio"):
        (tmp_path / controller).mkdir()
    (tmp_path / "blkio/kubepods/besteffort/podu").mkdir(parents=True)
    resources = ContainerResources(cpu_request_millis=2, memory_limit_bytes=4096, pids_limit=7)
    pod_cgroups.apply("/kubepods/besteffort/podu", resources, tmp_path)
    group = "kubepods/besteffort/podu"
    assert (tmp_path / "memory" / group / "memory.limit_in_bytes").read_text() == "4096"
    assert (tmp_path / "pids" / group / "pids.max").read_text() == "7"
    assert (tmp_path / "cpu/kubepods/besteffort/cpu.shares").read_text() == "2"
    for path in tmp_path.glob(f"*/{group}/*"):
        path.unlink()
    pod_cgroups.remove("/kubepods/besteffort/podu", tmp_path)
    pod_cgroups.remove("/kubepods/besteffort/podu", tmp_path)
    assert not list(tmp_path.glob(f"*/{group}"))
    pod_cgroups.remove("", tmp_path)
    assert (tmp_path / "blkio").is_dir()
