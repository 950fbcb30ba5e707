"""What this machine is and has: read from /proc, /etc and the file system. Blocking, quick, run once."""

import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from windlass_hostagent.context import NodeCapacity

MAX_PODS = 110
KUBELET_VERSION = "v1.32.0"


def read_capacity(data_dir: Path, max_pods: int = MAX_PODS) -> NodeCapacity:
    """Measure cpu, memory and disk."""
    memory_kib = parse_meminfo(Path("/proc/meminfo").read_text()).get("MemTotal", 0)
    disk = os.statvfs(data_dir)
    return NodeCapacity(
        cpu=str(len(os.sched_getaffinity(0))),
        memory=f"{memory_kib}Ki",
        ephemeral_storage=f"{disk.f_blocks * disk.f_frsize // 1024}Ki",
        pods=str(max_pods),
        memory_bytes=memory_kib * 1024,
    )


def parse_meminfo(text: str) -> dict[str, int]:
    """Parse /proc/meminfo into KiB. Pure."""
    found: dict[str, int] = {}
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        number = rest.split()
        if number and number[0].isdigit():
            found[name] = int(number[0])
    return found


def parse_os_release(text: str) -> str:
    """Return PRETTY_NAME of an os-release file. Pure."""
    for line in text.splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip().strip('"')
    return "Linux"


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def read_node_info(runtime: str) -> Mapping[str, Any]:
    """Build `status.nodeInfo`. `runtime` as in `docker://28.2.2`."""
    machine_id = _read("/etc/machine-id")
    return {
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine()),
        "bootID": _read("/proc/sys/kernel/random/boot_id"),
        "containerRuntimeVersion": runtime,
        "kernelVersion": platform.release(),
        "kubeProxyVersion": KUBELET_VERSION,
        "kubeletVersion": KUBELET_VERSION,
        "machineID": machine_id,
        "operatingSystem": "linux",
        "osImage": parse_os_release(_read("/etc/os-release")),
        "systemUUID": _read("/sys/class/dmi/id/product_uuid") or machine_id,
    }
