"""Docker's figures from inspect results, this very process standing in for a container's."""

import os

from windlass.testing.clock import FakeClock
from windlass_runtime.docker import translate
from windlass_runtime.docker.stats import DISK_SECONDS, StatsReader, log_bytes


def attrs(identifier, *, pid=0, running=True, layer="", log=""):
    labels = {translate.NAME: "main", "io.kubernetes.pod.name": "web"}
    return {
        "Id": identifier,
        "State": {"Running": running, "Pid": pid},
        "Config": {"Labels": labels},
        "GraphDriver": {"Data": {"UpperDir": layer}},
        "LogPath": log,
    }


async def test_what_runs_is_measured_with_its_disk(tmp_path):
    layer = tmp_path / "layer"
    layer.mkdir()
    (layer / "file").write_bytes(b"x" * 8192)
    for name, size in (("c.log", 100), ("c.log.1", 50)):
        (tmp_path / name).write_bytes(b"x" * size)
    clock = FakeClock()
    reader = StatsReader(clock)
    mine = attrs("a", pid=os.getpid(), layer=str(layer), log=str(tmp_path / "c.log"))
    others = [attrs("b", running=False), attrs("gone", pid=2**22 + 1)]
    (found,) = await reader.read([mine, *others])
    assert (found.container_id, found.name, found.labels) == ("a", "main", {"io.kubernetes.pod.name": "web"})
    assert found.rootfs_bytes >= 8192
    assert found.log_bytes == 150
    assert found.timestamp == clock.now().timestamp()

    (layer / "more").write_bytes(b"x" * 1_000_000)
    (again,) = await reader.read([mine])
    assert again.rootfs_bytes == found.rootfs_bytes
    await clock.advance(DISK_SECONDS)
    (later,) = await reader.read([mine])
    assert later.rootfs_bytes > found.rootfs_bytes + 900_000
    assert await reader.read([]) == []


async def test_what_cannot_be_seen_is_minus_one():
    (found,) = await StatsReader(FakeClock()).read([attrs("a", pid=os.getpid())])
    assert (found.rootfs_bytes, found.log_bytes) == (-1, -1)
    assert log_bytes("/no/such/log") == -1
