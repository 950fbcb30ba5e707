"""What the process runtime gives containers beyond the common suite: namespaces, security, streams, bounds. Needs root."""

import asyncio
import contextlib
import json
import os
import signal
import stat
from pathlib import Path

import pytest

from windlass.errors import RuntimeDriverError
from windlass.plugin.interfaces.runtime import ContainerResources, ContainerState, Device, Mount, RuntimeEvent
from windlass_runtime.process import cgroups

pytestmark = [pytest.mark.root, pytest.mark.busybox]
WAIT_SECONDS = 30


async def test_a_launcher_that_dies_is_started_again(box):
    await box.start()
    os.kill(box.driver._launcher.pid, signal.SIGKILL)
    assert await box.run("echo alive") == "alive"


async def test_a_container_does_not_outlive_its_shim(box):
    container = await box.start()
    run = json.loads((box.root / "containers" / container / "run.json").read_text())
    os.kill(run["shim"], signal.SIGKILL)
    await box.end(container)
    status = await box.driver.container_status(container)
    assert (status.state, status.reason) == (ContainerState.EXITED, "ContainerStatusUnknown")
    async with asyncio.timeout(WAIT_SECONDS):
        while Path(f"/proc/{run['pid']}").exists():
            await asyncio.sleep(0.02)


async def test_figures_of_a_container(box):
    container = await box.start("busybox dd if=/dev/zero of=/file bs=1M count=3; echo done; exec sleep 1000")
    async with asyncio.timeout(WAIT_SECONDS):
        async for line in box.driver.container_logs(container, follow=True):
            if line.content == b"done\n":
                break
    (figures,) = await box.driver.container_stats()
    assert figures.container_id == container
    assert figures.cpu_usage_nanoseconds > 0
    assert figures.memory_usage_bytes >= figures.memory_working_set_bytes >= 0
    assert figures.rootfs_bytes >= 3 << 20
    assert figures.log_bytes > 0
    assert figures.pids == 1


async def test_a_pod_that_shares_its_processes(box):
    """shareProcessNamespace: one container sees and may signal another's processes; the sandbox is process 1."""
    await box.pod(share_process_namespace=True)
    await box.start("exec sleep 1111")
    other = await box.start("exec sleep 2222")
    seen = (await box.exec(other, "busybox ps")).output.decode()
    assert "sleep 1111" in seen
    assert "1 root     /pause" in seen
    ended = await box.start("sleep 0.1 & exit 4")
    assert (await box.end(ended)).exit_code == 4


async def test_containers_do_not_see_each_others_processes(box):
    await box.start("exec sleep 1111")
    assert "1111" not in await box.run("busybox ps")


async def test_an_ephemeral_container_sees_its_targets_processes(box):
    """`kubectl debug --target`."""
    target = await box.start("exec sleep 1111")
    assert "sleep 1111" in await box.run("busybox ps", target_container_id=target)


async def test_the_nodes_processes_when_asked(box):
    await box.pod(host_pid=True)
    container = await box.start("(sleep 3333 &); exec sleep 1000")
    assert str(os.getpid()) in (await box.exec(container, "ls /proc")).output.decode().split()
    await box.driver.stop_container(container, 0)
    await box.end(container)
    assert list(cgroups.members(cgroups.folder(f"windlass/{container}", "pids"))) == []


async def test_host_network_and_host_ipc(box):
    await box.pod(host_network=True, host_ipc=True)
    names = ("net", "ipc", "uts")
    found = await box.run("for n in net ipc uts; do busybox readlink /proc/self/ns/$n; done")
    assert found.splitlines() == [str(Path(f"/proc/self/ns/{name}").readlink()) for name in names]


async def test_a_pods_own_kernel_settings(box):
    """Sysctls are set in the pod's namespaces and nowhere else."""
    before = Path("/proc/sys/kernel/shm_rmid_forced").read_text()
    await box.pod(sysctls={"kernel.shm_rmid_forced": "1", "net.ipv4.ip_local_port_range": "2000 3000"})
    found = await box.run("cat /proc/sys/kernel/shm_rmid_forced /proc/sys/net/ipv4/ip_local_port_range")
    assert found.split() == ["1", "2000", "3000"]
    assert Path("/proc/sys/kernel/shm_rmid_forced").read_text() == before


async def test_containers_of_a_pod_share_memory_files(box):
    await box.start("echo shared > /dev/shm/x; exec sleep 1000")
    async with asyncio.timeout(WAIT_SECONDS):
        while await box.run("cat /dev/shm/x") != "shared":
            continue


async def test_users_groups_and_homes(box):
    assert (
        await box.run("id -u; id -g; id -G; echo $HOME", user="0:5", supplemental_groups=[77, 88]) == "0\n5\n5 77 88\n/"
    )
    assert await box.run("id -u; echo $HOME", user="4321") == "4321\n/"
    with pytest.raises(RuntimeDriverError, match="unable to find user ghost"):
        await box.start(user="ghost")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "00000000a80425fb"),
        ({"drop_capabilities": ["ALL"]}, "0000000000000000"),
        ({"drop_capabilities": ["ALL"], "add_capabilities": ["NET_ADMIN"]}, "0000000000001000"),
    ],
)
async def test_capabilities(box, options, expected):
    """Added, dropped, all of them."""
    assert f"CapEff:\t{expected}" in await box.run("cat /proc/self/status", **options)


async def test_the_default_filter_and_none(box):
    """Seccomp."""
    assert "Seccomp:\t2" in await box.run("cat /proc/self/status")
    assert "Seccomp:\t0" in await box.run("cat /proc/self/status", seccomp_profile="unconfined")
    refused = await box.run("busybox unshare -m true && echo no", add_capabilities=["SYS_PTRACE"])
    assert "Operation not permitted" in refused
    assert "no" not in refused.splitlines()


async def test_a_filter_from_a_file(box):
    profile = box.root / "profile.json"
    rules = [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}]
    profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules}))
    for no_new_privileges in (False, True):
        found = await box.run(
            "busybox mkdir /x; echo $?", seccomp_profile=f"localhost/{profile}", no_new_privileges=no_new_privileges
        )
        assert "Operation not supported" in found or "Not supported" in found


async def test_a_read_only_root_and_masked_paths(box):
    """C251, on the process runtime."""
    found = await box.run(
        "echo x > /f; echo x > /dev/shm/ok && echo fine; cat /proc/kcore | busybox wc -c; echo 1 > /proc/sys/kernel/panic; ls /sys/firmware | busybox wc -l",
        readonly_rootfs=True,
    )
    assert "can't create /f: Read-only file system" in found
    assert "fine" in found
    assert "can't create /proc/sys/kernel/panic: Read-only file system" in found
    assert found.split().count("0") == 2, "nothing in kcore, nothing in firmware"


async def test_a_privileged_container(box):
    found = await box.run(
        "busybox mount -t tmpfs none /tmp && echo mounted; ls /dev; cat /proc/self/status", privileged=True
    )
    assert "mounted" in found
    assert "Seccomp:\t0" in found
    assert "kmsg" in found.split()


async def test_devices(box):
    """A device that was asked for can be used, another one not even when it is made."""
    device = Device("/dev/zero", "/dev/mine", "r")
    container = await box.start(devices=[device])
    assert (
        await box.exec(container, "busybox head -c 1 /dev/mine > /dev/null && echo ok; echo x > /dev/mine")
    ).output.startswith(b"ok\n")
    number = Path("/dev/kmsg").stat().st_rdev
    other = await box.start()
    made = f"busybox mknod /tmp/k c {os.major(number)} {os.minor(number)} && cat /tmp/k"
    if not cgroups.is_unified():
        assert b"Operation not permitted" in (await box.exec(other, made)).output
    assert (
        await box.exec(other, "echo x > /dev/null && busybox head -c 2 /dev/urandom | busybox wc -c")
    ).output == b"2\n"


async def test_mounts(box, tmp_path):
    """Read-only and writable, files and directories, one inside another; places are made."""
    (tmp_path / "data/sub").mkdir(parents=True)
    (tmp_path / "data/file").write_text("content")
    (tmp_path / "one").write_text("one")
    mounts = [
        Mount(str(tmp_path / "one"), "/srv/new/sub/one"),
        Mount(str(tmp_path / "data"), "/srv/new", readonly=False),
        Mount(str(tmp_path / "data"), "/ro", readonly=True),
    ]
    found = await box.run(
        "cat /srv/new/file /srv/new/sub/one; echo x > /ro/f; echo x > /srv/new/written", mounts=mounts
    )
    assert "contentone" in found
    assert "Read-only file system" in found
    assert (tmp_path / "data/written").read_text() == "x\n"


async def test_a_mount_whose_place_is_a_symlink_stays_inside(box, tmp_path):
    """N67: the place of a mount is resolved as the container sees it."""
    (tmp_path / "volume").mkdir()
    (tmp_path / "volume/escape").symlink_to("/etc")
    (tmp_path / "evil").mkdir()
    (tmp_path / "evil/passwd").write_text("evil")
    before = Path("/etc/passwd").read_text()
    mounts = [Mount(str(tmp_path / "volume"), "/v"), Mount(str(tmp_path / "evil"), "/v/escape")]
    assert await box.run("cat /etc/passwd", mounts=mounts) == "evil"
    assert Path("/etc/passwd").read_text() == before


async def test_mounts_travel_as_asked(box, tmp_path):
    """Bidirectional and HostToContainer; None sees nothing of later mounts."""
    from windlass_runtime.process import syscalls

    shared = tmp_path / "shared"
    shared.mkdir()
    syscalls.mount("tmpfs", str(shared), "tmpfs")
    syscalls.mount("none", str(shared), flags=syscalls.MS_SHARED)
    (shared / "a").mkdir()
    (shared / "b").mkdir()
    ways = ("private", "rslave", "rshared")
    try:
        mounts = [Mount(str(shared), f"/{way}", propagation=way) for way in ways]
        container = await box.start(mounts=mounts, privileged=True)
        syscalls.mount("tmpfs", str(shared / "a"), "tmpfs")
        (shared / "a/later").write_text("")
        found = (await box.exec(container, "ls /private/a /rslave/a /rshared/a")).output.decode()
        assert found.replace("\n", " ").split() == ["/private/a:", "/rshared/a:", "later", "/rslave/a:", "later"] or (
            found.count("later") == 2 and "/private/a:\n\n" in found
        )
        await box.exec(container, "busybox mount -t tmpfs none /rshared/b && echo > /rshared/b/back")
        assert (shared / "b/back").exists()
    finally:
        for name in ("a", "b", "."):
            with contextlib.suppress(OSError):
                syscalls.unmount(str(shared / name))


async def test_a_mount_that_cannot_travel_back_is_refused(box, tmp_path):
    from windlass_runtime.process import syscalls

    place = tmp_path / "private"
    place.mkdir()
    syscalls.mount("tmpfs", str(place), "tmpfs")
    syscalls.mount("none", str(place), flags=syscalls.MS_PRIVATE)
    try:
        with pytest.raises(RuntimeDriverError, match="not shared"):
            await box.start(mounts=[Mount(str(place), "/m", propagation="rshared")], privileged=True)
    finally:
        syscalls.unmount(str(place))


async def test_a_fork_bomb_meets_its_bound(box):
    """N72: the pids limit holds, and the container can still be stopped."""
    container = await box.start("b() { b | b & }; b; sleep 1000", resources=ContainerResources(pids_limit=50))
    directory = cgroups.folder(f"windlass/{container}", "pids")
    async with asyncio.timeout(WAIT_SECONDS):
        while int((directory / "pids.current").read_text()) < 40 and (directory / "pids.current").exists():
            if (await box.driver.container_status(container)).state is not ContainerState.RUNNING:
                break
            await asyncio.sleep(0.02)
    assert int((directory / "pids.max").read_text()) == 50
    await box.driver.stop_container(container, 0)
    await box.end(container)


async def test_out_of_memory_is_said_and_told(box):
    """N66: OOMKilled, and an event while it happens."""
    seen = []

    async def listen():
        async for event in box.driver.events():
            seen.append(event)  # noqa: PERF401 - looked at while they come

    listener = asyncio.ensure_future(listen())
    await asyncio.sleep(0)
    container = await box.start("busybox tail /dev/zero", resources=ContainerResources(memory_limit_bytes=16 << 20))
    status = await box.end(container)
    assert (status.exit_code, status.reason) == (137, "OOMKilled")
    async with asyncio.timeout(WAIT_SECONDS):
        while RuntimeEvent("stopped", box.sandbox, container) not in seen:
            await asyncio.sleep(0.01)
    assert RuntimeEvent("oom", box.sandbox, container) in seen
    listener.cancel()
    await asyncio.gather(listener, return_exceptions=True)


async def test_the_images_own_stop_signal(box):
    (box.root / "images" / "busybox%3Alocal" / "config.json").write_text(json.dumps({"StopSignal": "SIGUSR1"}))
    container = await box.start("trap 'exit 21' USR1; echo ready; while :; do sleep 0.05; done")
    async for _ in box.driver.container_logs(container, follow=True):
        break
    await box.driver.stop_container(container, WAIT_SECONDS)
    assert (await box.driver.container_status(container)).exit_code == 21


async def test_removing_a_pod_leaves_no_group_mount_or_process(box):
    """N72: nothing is left: cgroups, mounts, processes, files."""
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        sandbox = await box.pod()
        container = await box.start("sleep 1000 & sleep 1000")
        await box.exec(container, "true")
        pid = (await box.driver.container_status(container)).pid
        await box.driver.remove_pod_sandbox(sandbox)
        assert not Path(f"/proc/{pid}").exists()
        assert not cgroups.folder(f"windlass/{container}", "pids").exists()
    assert str(box.root) not in Path("/proc/mounts").read_text()
    assert list((box.root / "containers").iterdir()) == list((box.root / "sandboxes").iterdir()) == []
    assert len(list(Path("/proc/self/fd").iterdir())) <= descriptors + 3


async def test_no_descriptor_of_ours_reaches_a_container(box):
    container = await box.start("ls /proc/self/fd | busybox wc -l")
    assert await box.output(container) == "4\n", "0, 1, 2 and the directory that ls reads"
    other = await box.start()
    assert (await box.exec(other, "ls /proc/self/fd | busybox wc -l")).output == b"4\n"


async def test_a_start_that_fails_says_why_and_leaves_nothing(box):
    for options, message in (
        ({"command": ["/nope"]}, "no such file"),
        ({"mounts": [Mount("/no/such/path", "/x")]}, "/no/such/path"),
        ({"devices": [Device("/dev/null", "/outside/null")]}, "does not lie under /dev"),
    ):
        with pytest.raises(RuntimeDriverError, match=message):
            await box.start(**options)
    for status in await box.driver.list_containers():
        assert (status.state, status.reason, status.exit_code) == (ContainerState.EXITED, "StartError", 128)
    assert str(box.root / "containers") not in Path("/proc/mounts").read_text()


async def test_the_nodes_own_files_copy_on_write(box):
    found = await box.run("echo changed > /etc/windlass-test; cat /etc/windlass-test", image="host")
    assert found == "changed"
    assert not Path("/etc/windlass-test").exists()
    assert stat.S_ISDIR(Path("/etc").stat().st_mode)


async def test_after_a_reboot_nothing_counts_as_running(box, monkeypatch):
    """N74: process ids and start times begin anew, and may name somebody else."""
    container = await box.start()
    sandbox = box.sandbox
    with monkeypatch.context() as patch:
        patch.setattr("windlass_runtime.process.records.boot_id", lambda: "another")
        status = await box.driver.container_status(container)
        assert (status.state, status.reason) == (ContainerState.EXITED, "ContainerStatusUnknown")
        assert not (await box.driver.pod_sandbox_status(sandbox)).ready
    assert (await box.driver.container_status(container)).state is ContainerState.RUNNING
