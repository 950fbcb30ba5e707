"""What each pod uses, from the Summary that users see: eviction and `kubectl top` go by the same figures. Pure."""

from typing import Any

from windlass_hostagent.eviction.ranking import PodUsage
from windlass_hostagent.pods.observation import LABEL_UID
from windlass_hostagent.stats.sample import NodeSample

Obj = dict[str, Any]


def pod_usage(summary: Obj, sample: NodeSample) -> dict[str, PodUsage]:
    """Return the usage by pod uid."""
    pids: dict[str, int] = {}
    for container in sample.containers:
        uid = container.labels.get(LABEL_UID, "")
        pids[uid] = pids.get(uid, 0) + container.pids
    found = {}
    for pod in summary["pods"]:
        uid = pod["podRef"]["uid"]
        found[uid] = PodUsage(
            memory=pod["memory"]["workingSetBytes"],
            ephemeral_storage=pod["ephemeral-storage"]["usedBytes"],
            pids=pids.get(uid, 0),
            containers={
                c["name"]: c.get("rootfs", {}).get("usedBytes", 0) + c.get("logs", {}).get("usedBytes", 0)
                for c in pod["containers"]
            },
            volumes={v["name"]: v["usedBytes"] for v in pod["volume"]},
        )
    return found
