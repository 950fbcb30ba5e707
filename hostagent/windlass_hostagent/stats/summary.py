"""`/stats/summary` and the figures of `metrics.k8s.io`, from two samples. Pure.

The shape is kubelet's `stats/v1alpha1` Summary: CPU in nanocores over the time between the samples and in cumulative
core nanoseconds, everything else in bytes.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from windlass.clock import rfc3339
from windlass.plugin.interfaces.runtime import ContainerStats
from windlass_hostagent.pods.observation import LABEL_UID
from windlass_hostagent.stats.sample import FilesystemSample, NodeSample

Obj = dict[str, Any]


def stamp(seconds: float) -> str:
    """Format UNIX seconds for the wire."""
    return rfc3339(datetime.fromtimestamp(seconds, UTC))


def nano_cores(used: int, used_before: int, seconds: float) -> int:
    """Return the rate between two counters; 0 when the counter went back (a restart) or no time went by."""
    return int((used - used_before) / seconds) if seconds > 0 and used >= used_before else 0


def _filesystem(sample: FilesystemSample, when: float, used: int | None = None) -> Obj:
    return {
        "time": stamp(when),
        "availableBytes": sample.available,
        "capacityBytes": sample.capacity,
        "usedBytes": sample.used if used is None else used,
        "inodesFree": sample.inodes_free,
        "inodes": sample.inodes,
        "inodesUsed": max(0, sample.inodes - sample.inodes_free),
    }


def container_summary(now: ContainerStats, before: ContainerStats | None, node: NodeSample) -> Obj:
    """Summarise one container. The rate needs an earlier look; without one it covers the container's whole life."""
    made: Obj = {
        "name": now.name,
        "cpu": {"time": stamp(now.timestamp), "usageCoreNanoSeconds": now.cpu_usage_nanoseconds},
        "memory": {
            "time": stamp(now.timestamp),
            "usageBytes": now.memory_usage_bytes,
            "workingSetBytes": now.memory_working_set_bytes,
            "rssBytes": now.memory_rss_bytes,
        },
    }
    if before is not None:
        seconds = now.timestamp - before.timestamp
        made["cpu"]["usageNanoCores"] = nano_cores(now.cpu_usage_nanoseconds, before.cpu_usage_nanoseconds, seconds)
    if now.rootfs_bytes >= 0:
        made["rootfs"] = _filesystem(node.imagefs, now.timestamp, now.rootfs_bytes)
    if now.log_bytes >= 0:
        made["logs"] = _filesystem(node.nodefs, now.timestamp, now.log_bytes)
    return made


def _total(containers: Sequence[Obj], part: str, field: str) -> int:
    return sum(int(c.get(part, {}).get(field, 0)) for c in containers)


def pod_summary(
    reference: Obj, containers: Sequence[Obj], node: NodeSample, volumes: Sequence[Obj], started: str
) -> Obj:
    """Add up a pod's containers. `volumes` are `{"name", "usedBytes"}` entries of its local ephemeral volumes."""
    when = stamp(node.time)
    used = _total(containers, "rootfs", "usedBytes") + _total(containers, "logs", "usedBytes")
    used += sum(int(v["usedBytes"]) for v in volumes if v["usedBytes"] > 0)
    cpu: Obj = {"time": when, "usageCoreNanoSeconds": _total(containers, "cpu", "usageCoreNanoSeconds")}
    if all("usageNanoCores" in c["cpu"] for c in containers):
        cpu["usageNanoCores"] = _total(containers, "cpu", "usageNanoCores")
    return {
        "podRef": reference,
        "startTime": started,
        "containers": list(containers),
        "cpu": cpu,
        "memory": {
            "time": when,
            "usageBytes": _total(containers, "memory", "usageBytes"),
            "workingSetBytes": _total(containers, "memory", "workingSetBytes"),
            "rssBytes": _total(containers, "memory", "rssBytes"),
        },
        "volume": list(volumes),
        "ephemeral-storage": _filesystem(node.nodefs, node.time, used),
    }


def build_summary(
    node_name: str,
    now: NodeSample,
    before: NodeSample | None,
    pods: Mapping[str, Obj],
    volumes: Mapping[str, Sequence[Obj]],
) -> Obj:
    """Build the Summary. `pods` are this node's by uid; containers of other uids are not shown."""
    earlier = {c.container_id: c for c in before.containers} if before else {}
    by_pod: dict[str, list[Obj]] = defaultdict(list)
    for container in now.containers:
        uid = container.labels.get(LABEL_UID, "")
        if uid in pods:
            by_pod[uid].append(container_summary(container, earlier.get(container.container_id), now))
    node_cpu: Obj = {"time": stamp(now.time), "usageCoreNanoSeconds": now.cpu_nanoseconds}
    if before is not None:
        node_cpu["usageNanoCores"] = nano_cores(now.cpu_nanoseconds, before.cpu_nanoseconds, now.time - before.time)
    return {
        "node": {
            "nodeName": node_name,
            "cpu": node_cpu,
            "memory": {
                "time": stamp(now.time),
                "availableBytes": now.memory.available,
                "usageBytes": now.memory.working_set,
                "workingSetBytes": now.memory.working_set,
            },
            "fs": _filesystem(now.nodefs, now.time),
            "runtime": {"imageFs": _filesystem(now.imagefs, now.time)},
            "rlimit": {"time": stamp(now.time), "maxpid": now.max_pids, "curproc": now.pids},
        },
        "pods": [
            pod_summary(pod_reference(pods[uid]), found, now, volumes.get(uid, ()), _started(pods[uid]))
            for uid, found in sorted(by_pod.items())
        ],
    }


def pod_reference(pod: Obj) -> Obj:
    """Name a pod as the Summary does."""
    meta = pod["metadata"]
    return {"name": meta["name"], "namespace": meta["namespace"], "uid": meta["uid"]}


def _started(pod: Obj) -> str:
    status = pod.get("status") or {}
    return str(status.get("startTime") or pod["metadata"].get("creationTimestamp") or stamp(0))
