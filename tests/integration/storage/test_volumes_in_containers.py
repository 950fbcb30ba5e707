"""Volumes of the real drivers in real containers of the process runtime, without a cluster around them."""

import asyncio
import io
import tarfile
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from windlass.clock import SystemClock
from windlass.errors import NotFoundError, RuntimeDriverError
from windlass.plugin.hostfs import mounts
from windlass.plugin.interfaces.runtime import ContainerConfig, ContainerState, SandboxConfig
from windlass.testing.dockerd import busybox_layer
from windlass_hostagent.pods.volumes.manager import VolumeManager, VolumeNode
from windlass_runtime.process.driver import build
from windlass_storage.plugin import register_volume_drivers

pytestmark = pytest.mark.root
SECONDS = 120


class Objects:
    """The API, as far as volumes read it."""

    def __init__(self, **found):
        self.found = found

    async def get(self, resource, name, _namespace):
        if name not in self.found:
            raise NotFoundError(f"{resource.plural} {name}")
        return {
            "metadata": {"name": name, "namespace": "default", "uid": name, "resourceVersion": "1"},
            "immutable": True,
            **self.found[name],
        }


class Machine:
    """A runtime and the volumes of its pods."""

    def __init__(self, runtime, data_dir):
        self.runtime = runtime
        self.events = []
        node = VolumeNode(data_dir, ("192.0.2.1",), {}, 1 << 30, lambda _pod, *event: self.events.append(event))
        objects = Objects(config={"data": {"key": "value"}}, secret={"data": {"key": "czNjcmV0"}})
        self.volumes = VolumeManager(
            node, {r.name: r.build({}) for r in register_volume_drivers()}, objects, SystemClock()
        )

    @asynccontextmanager
    async def pod(self, *sources, **spec):
        volumes = [{"name": "vwxyz"[i], **source} for i, source in enumerate(sources)]
        labels = {
            "io.kubernetes.pod.name": "web",
            "io.kubernetes.pod.namespace": "default",
            "io.kubernetes.pod.uid": "uid",
        }
        meta = {"name": "web", "namespace": "default", "uid": "uid"}
        pod = {"metadata": meta, "spec": {"volumes": volumes, "containers": [], **spec}}
        mounted = await self.volumes.mount(pod, (), lambda: None)
        assert mounted.ready, self.events
        sandbox = await self.runtime.run_pod_sandbox(
            SandboxConfig("web", "default", "uid", labels=labels, host_network=True)
        )
        try:
            yield Pod(self, pod, sandbox, labels)
        finally:
            await self.runtime.stop_pod_sandbox(sandbox)
            await self.runtime.remove_pod_sandbox(sandbox)
            await self.volumes.unmount("uid")


class Pod:
    def __init__(self, machine, pod, sandbox, labels):
        self.machine, self.pod, self.sandbox, self.labels = machine, pod, sandbox, labels
        self.made = 0

    async def start(self, script, *wanted, **fields):
        """Start a container; volumes v, w, ... are at /v, /w, ... unless `wanted` says otherwise."""
        listed = list(wanted) or [
            {"name": v["name"], "mountPath": f"/{v['name']}"} for v in self.pod["spec"]["volumes"]
        ]
        spec = {
            "name": "main",
            "volumeMounts": listed,
            "securityContext": {"privileged": fields.get("privileged", False)},
        }
        found = await self.machine.volumes.container_mounts(self.pod, spec, {})
        self.made += 1
        config = ContainerConfig(
            "main", self.made, "busybox:local", command=["sh", "-c", script], mounts=found, labels=self.labels, **fields
        )
        container = await self.machine.runtime.create_container(self.sandbox, config)
        await self.machine.runtime.start_container(container)
        return container

    async def output(self, container, *, ended=True):
        async with asyncio.timeout(SECONDS):
            while ended and (await self.machine.runtime.container_status(container)).state is not ContainerState.EXITED:
                await asyncio.sleep(0.02)
        lines = self.machine.runtime.container_logs(container, follow=False)
        return [line.content.decode().rstrip("\n") async for line in lines]

    async def run(self, script, *wanted, **fields):
        return await self.output(await self.start(script, *wanted, **fields))

    async def until_printed(self, container, text):
        async with asyncio.timeout(SECONDS):
            while text not in await self.output(container, ended=False):
                await asyncio.sleep(0.02)


@pytest.fixture
async def machine(tmp_path):
    rootfs = tmp_path / "runtime/images/busybox%3Alocal/rootfs"
    rootfs.mkdir(parents=True)
    with tarfile.open(fileobj=io.BytesIO(busybox_layer())) as tar:
        tar.extractall(rootfs, filter="fully_trusted")
    runtime = build({"state_dir": str(tmp_path / "runtime"), "isolated": True})
    await runtime.start()
    yield Machine(runtime, tmp_path / "agent")
    await runtime.close()
    assert mounts.mounts_at_or_below(str(tmp_path)) == []
    assert not (tmp_path / "agent/pods/uid/volumes").exists()


async def test_every_sort_is_seen_as_it_should_be(machine, tmp_path):
    (tmp_path / "host").write_text("host")
    sources = (
        {"configMap": {"name": "config"}},
        {"secret": {"secretName": "secret", "defaultMode": 0o400}},
        {"downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}},
        {"emptyDir": {"medium": "Memory"}},
        {"hostPath": {"path": str(tmp_path / "host"), "type": "File"}},
    )
    script = "busybox head -c 99 /v/key /w/key /x/name /z; echo; busybox stat -Lc %a /w/key /y; busybox stat -fc %T /w /y; (echo > /v/n) 2>/dev/null || echo readonly; : > /y/n && echo written"
    async with machine.pod(*sources) as pod:
        text = "\n".join(await pod.run(script))
    for word in ("value", "s3cret", "web", "host", "400", "777", "readonly", "written"):
        assert word in text
    assert text.count("tmpfs") == 2


async def test_a_group_owns_what_a_user_reads_and_writes(machine):
    async with machine.pod(
        {"secret": {"secretName": "secret", "defaultMode": 0o440}}, {"emptyDir": {}}, securityContext={"fsGroup": 1001}
    ) as pod:
        found = await pod.run(
            "busybox cat /v/key; echo; : > /w/f; busybox stat -Lc %a:%g /v/key /w /w/f", user="1000:1001"
        )
    assert found == ["s3cret", "440:1001", "2777:1001", "644:1001"]


async def test_a_subpath_over_a_file_and_one_that_is_made(machine):
    wanted = (
        {"name": "v", "mountPath": "/etc/passwd", "subPath": "key"},
        {"name": "w", "mountPath": "/deep", "subPath": "a/b"},
        {"name": "w", "mountPath": "/all", "readOnly": True},
    )
    async with machine.pod({"configMap": {"name": "config"}}, {"emptyDir": {}}) as pod:
        found = await pod.run(
            "busybox cat /etc/passwd; echo; echo x > /deep/f; busybox cat /all/a/b/f; (echo > /all/g) 2>/dev/null || echo readonly",
            *wanted,
        )
    assert (found[:2], found[-1]) == (["value", "x"], "readonly")


async def test_a_running_container_sees_the_swap(machine):
    async with machine.pod({"configMap": {"name": "config"}}) as pod:
        container = await pod.start("while :; do busybox cat /v/key; echo; sleep 0.05; done")
        await pod.until_printed(container, "value")
        machine.volumes._objects._client.found["config"] = {"data": {"key": "changed"}}
        machine.volumes._object_changed(("ConfigMap", "default", "config"))
        await machine.volumes._publish_due(machine.volumes._pods["uid"])
        await pod.until_printed(container, "changed")


async def test_mount_propagation(machine, tmp_path):
    shared = tmp_path / "shared"
    (shared / "from-host").mkdir(parents=True)
    mounts.mount_tmpfs(str(shared))
    mounts.mount("none", str(shared), flags=1 << 20)
    (shared / "from-host").mkdir()
    try:
        async with machine.pod({"hostPath": {"path": str(shared)}}) as pod:
            one_way = {"name": "v", "mountPath": "/v", "mountPropagation": "HostToContainer"}
            container = await pod.start(
                "until busybox ls /v/from-host/f; do sleep 0.05; done; echo seen; sleep 100", one_way
            )
            mounts.mount_tmpfs(str(shared / "from-host"))
            (shared / "from-host/f").write_text("")
            await pod.until_printed(container, "seen")
            with pytest.raises(RuntimeDriverError, match="privileged"):
                await pod.start("true", {**one_way, "mountPropagation": "Bidirectional"})
    finally:
        mounts.unmount_all(str(shared))


@pytest.mark.parametrize(
    ("recursive", "last"), [("Disabled", "written"), ("Enabled", "readonly"), ("IfPossible", "readonly")]
)
async def test_what_is_mounted_below_is_read_only_when_asked(machine, tmp_path, recursive, last):
    below = tmp_path / "host/below"
    below.mkdir(parents=True)
    mounts.mount_tmpfs(str(below))
    wanted = {"name": "v", "mountPath": "/v", "readOnly": True, "recursiveReadOnly": recursive}
    try:
        async with machine.pod({"hostPath": {"path": str(tmp_path / "host")}}) as pod:
            found = await pod.run(
                "(echo > /v/f) 2>/dev/null || echo readonly; (echo > /v/below/f) 2>/dev/null && echo written || echo readonly",
                wanted,
            )
    finally:
        mounts.unmount_all(str(below))
    assert found == ["readonly", last]


SWAP = """
busybox mkdir /v/real; echo started
while :; do
  busybox mv /v/real /v/sub; busybox mv /v/sub /v/real
  busybox ln -s / /v/sub; busybox rm -f /v/sub
done 2>/dev/null
"""


async def test_n67_a_thousand_subpath_mounts_beside_a_container_that_swaps(machine, tmp_path):
    """N67: a directory and a symlink to / take turns; whatever is mounted lies in the volume."""
    async with machine.pod({"emptyDir": {}}) as pod:
        swapping = await pod.start(SWAP)
        await pod.until_printed(swapping, "started")
        outside = {"etc", "proc", "usr", "bin"}
        mounted = refused = 0
        spec = {"name": "look", "volumeMounts": [{"name": "v", "mountPath": "/x", "subPath": "sub/made"}]}
        for _ in range(1000):
            try:
                (mount,) = await machine.volumes.container_mounts(pod.pod, spec, {})
            except RuntimeDriverError:
                refused += 1
                continue
            mounted += 1
            shown = {path.name for path in Path(mount.host_path).iterdir()}
            assert not outside & shown
        assert mounted + refused == 1000
    assert not Path("/made").exists()
