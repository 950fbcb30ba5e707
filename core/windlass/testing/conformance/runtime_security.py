"""What every runtime that confines containers owes to a pod's security contexts. Part of `RuntimeConformance`."""

import json
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from windlass.errors import RuntimeDriverError
from windlass.plugin.interfaces.runtime import ContainerResources, Device, Mount, RuntimeDriver, SandboxConfig
from windlass.testing.conformance.runtime_subject import LABELS, RuntimeSubject

STATUS = "busybox grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status"
NET_BIND_SERVICE = 1 << 10
FIN_TIMEOUT = "/proc/sys/net/ipv4/tcp_fin_timeout"


def _read(path: str) -> str:
    return Path(path).read_text()


def _may_everything() -> bool:
    """Say whether a privileged container can be: in nested machines even root lacks some capabilities."""
    rows = dict(line.split(":", 1) for line in _read("/proc/self/status").splitlines())
    last = int(_read("/proc/sys/kernel/cap_last_cap"))
    return int(rows["CapBnd"], 16) == (1 << (last + 1)) - 1


def _limits(parent: str) -> set[str]:
    """Return the memory and process limits of a cgroup, version 1 or 2; nothing of one that is not there."""
    root = Path("/sys/fs/cgroup")
    files = ("memory/{}/memory.limit_in_bytes", "pids/{}/pids.max", "{}/memory.max", "{}/pids.max")
    paths = [root / file.format(parent.lstrip("/")) for file in files]
    return {path.read_text().strip() for path in paths if path.exists()}


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class RuntimeSecurityConformance(RuntimeSubject):
    """Users, privileges, filters, namespaces."""

    async def printed(self, driver: RuntimeDriver, script: str, **options: Any) -> str:
        """Run a script in a container of its own and return what it wrote."""
        self.needs_isolation()
        sandbox_options = options.pop("sandbox", {})
        uid = LABELS["io.kubernetes.pod.uid"]
        config = SandboxConfig("web", "default", uid, hostname="web", labels=LABELS, **sandbox_options)
        sandbox_id = await driver.run_pod_sandbox(config)
        try:
            container_id = await self.run(driver, sandbox_id, self.container(script, **options))
            return await self.output_of(driver, container_id)
        finally:
            await driver.remove_pod_sandbox(sandbox_id)

    async def status_of(self, driver: RuntimeDriver, **options: Any) -> dict[str, str]:
        """Return what the kernel says of a container's process."""
        text = await self.printed(driver, STATUS, **options)
        return dict(line.replace(":", " ").split() for line in text.splitlines())

    async def test_users_and_groups(self, driver: RuntimeDriver) -> None:
        """C292, C295: numbers need no entry in the image; more groups come on top."""
        text = await self.printed(driver, "id -u; id -g; id -G", user="1001:2002", supplemental_groups=(3003, 4004))
        uid, gid, groups = text.splitlines()
        assert (uid, gid) == ("1001", "2002")
        assert groups.split() == ["2002", "3003", "4004"]
        assert await self.printed(driver, "id -u", user="nobody") == "65534\n"

    async def test_a_user_that_the_image_has_not(self, driver: RuntimeDriver) -> None:
        """A name without an entry is an error that says so, before anything runs."""
        with pytest.raises(RuntimeDriverError, match="no-such-user"):
            await self.printed(driver, "true", user="no-such-user")

    async def test_a_root_that_cannot_be_written(self, driver: RuntimeDriver) -> None:
        """C251."""
        script = "echo a > /file || echo refused"
        assert "refused" in await self.printed(driver, script, readonly_rootfs=True)
        assert "refused" not in await self.printed(driver, script)

    async def test_capabilities(self, driver: RuntimeDriver) -> None:
        """C293: ALL but one may be dropped; a privileged container has them all."""
        few = await self.status_of(driver, drop_capabilities=("ALL",), add_capabilities=("NET_BIND_SERVICE",))
        assert int(few["CapEff"], 16) == NET_BIND_SERVICE
        usual = int((await self.status_of(driver))["CapEff"], 16)
        if not _may_everything():
            pytest.skip("this machine's root has not all capabilities itself")
        everything = int((await self.status_of(driver, privileged=True))["CapEff"], 16)
        assert usual & ~everything == 0
        assert usual.bit_count() < everything.bit_count()

    async def test_no_new_privileges(self, driver: RuntimeDriver) -> None:
        """`allowPrivilegeEscalation: false` is the kernel's no_new_privs."""
        assert (await self.status_of(driver, no_new_privileges=True))["NoNewPrivs"] == "1"
        assert (await self.status_of(driver))["NoNewPrivs"] == "0"

    async def test_seccomp(self, driver: RuntimeDriver, tmp_path: Path) -> None:
        """The runtime's own filter, none, and one of the node's."""
        assert (await self.status_of(driver))["Seccomp"] == "2"
        assert (await self.status_of(driver, seccomp_profile="unconfined"))["Seccomp"] == "0"
        profile = tmp_path / "profile.json"
        rule = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}
        profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}))
        script = "busybox mkdir /tmp/a || echo refused"
        assert "refused" in await self.printed(driver, script, seccomp_profile=f"localhost/{profile}")
        with pytest.raises(RuntimeDriverError, match="cannot load seccomp profile"):
            await self.printed(driver, script, seccomp_profile=f"localhost/{tmp_path}/none.json")

    async def test_sysctls(self, driver: RuntimeDriver) -> None:
        """C299: set in the pod's namespaces, not the node's."""
        script = "cat /proc/sys/kernel/shm_rmid_forced /proc/sys/net/ipv4/tcp_fin_timeout"
        before = _read(FIN_TIMEOUT)
        sandbox = {"sysctls": {"kernel.shm_rmid_forced": "1", "net.ipv4.tcp_fin_timeout": "17"}}
        assert await self.printed(driver, script, sandbox=sandbox) == "1\n17\n"
        assert _read(FIN_TIMEOUT) == before

    async def test_process_ids(self, driver: RuntimeDriver) -> None:
        """A container's first process is 1, unless the pod shares its process ids or the node's."""
        assert await self.printed(driver, "echo $$") == "1\n"
        shared = int(await self.printed(driver, "echo $$", sandbox={"share_process_namespace": True}))
        assert shared > 1
        visible = await self.printed(driver, "ls /proc | busybox grep -c '^[0-9]'",
                                     sandbox={"host_pid": True})  # fmt: skip
        assert int(visible) > 5

    async def test_kernel_files_are_masked(self, driver: RuntimeDriver) -> None:
        """/proc/timer_list and the like show nothing and /proc/sys is read-only, unless the pod asks for them."""
        script = (
            "busybox head -c 4 /proc/timer_list | busybox wc -c; busybox grep -c ' /proc/sys ro' /proc/self/mountinfo"
        )
        assert (await self.printed(driver, script)).split() == ["0", "1"]
        assert (await self.printed(driver, script, unmasked_proc=True)).split()[-1] == "0"

    async def test_devices(self, driver: RuntimeDriver) -> None:
        """A device of the node is there under its new name; what is not asked for is not."""
        device = Device("/dev/zero", "/dev/nothing", "r")
        text = await self.printed(driver, "busybox head -c 3 /dev/nothing | busybox wc -c; ls /dev", devices=(device,))
        assert text.split()[0] == "3"
        assert "mem" not in text.split()

    async def test_mounts_that_cannot_be_written(self, driver: RuntimeDriver, tmp_path: Path) -> None:
        """A read-only mount refuses writes, another takes them to the node."""
        folder = tmp_path / "mounted"
        folder.mkdir()
        mounts = (Mount(str(folder), "/write"), Mount(str(folder), "/read", readonly=True))
        script = "echo a > /write/file && cat /read/file; echo b > /read/other || echo refused"
        text = await self.printed(driver, script, mounts=mounts)
        lines = text.splitlines()  # of two streams, in whatever order
        assert "a" in lines
        assert "refused" in lines
        assert _names(folder) == ["file"]

    async def test_host_names(self, driver: RuntimeDriver) -> None:
        """The pod's host name is its containers'."""
        assert await self.printed(driver, "busybox hostname") == "web\n"

    async def test_a_pod_has_a_cgroup_of_its_own(self, driver: RuntimeDriver) -> None:
        """The container's group lies in the pod's, which has the pod's limits and goes with it."""
        self.needs_isolation()
        parent = f"/windlass-test/pod{uuid.uuid4().hex}"
        limits = ContainerResources(cpu_request_millis=100, memory_limit_bytes=64 << 20, pids_limit=50)
        config = replace(self.sandbox(), cgroup_parent=parent, resources=limits)
        sandbox_id = await driver.run_pod_sandbox(config)
        try:
            container_id = await self.run(driver, sandbox_id, self.container())
            status = await driver.container_status(container_id)
            assert status is not None
            assert parent.rpartition("/")[2] in _read(f"/proc/{status.pid}/cgroup")
            assert _limits(parent) == {str(64 << 20), "50"}
        finally:
            await driver.remove_pod_sandbox(sandbox_id)
        assert _limits(parent) == set()
