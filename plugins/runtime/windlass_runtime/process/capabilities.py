"""Capabilities of a container's processes. Standard library only: the shim imports this."""

from collections.abc import Sequence
from pathlib import Path

from windlass_runtime.process import syscalls as sys_

DEFAULT = frozenset(
    {"CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "NET_BIND_SERVICE", "NET_RAW",
     "SYS_CHROOT", "MKNOD", "AUDIT_WRITE", "SETFCAP"}
)  # fmt: skip
NAMES = (
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
    "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
    "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
    "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
    "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
    "CHECKPOINT_RESTORE",
)  # fmt: skip


def _plain(name: str) -> str:
    return name.upper().removeprefix("CAP_")


def allowed(add: Sequence[str], drop: Sequence[str], *, privileged: bool = False) -> frozenset[str]:
    """Return the capabilities that stay. Pure. Raises ValueError naming one that the kernel does not have."""
    if privileged:
        return frozenset(NAMES)
    added, dropped = {_plain(name) for name in add}, {_plain(name) for name in drop}
    unknown = sorted((added | dropped) - set(NAMES) - {"ALL"})
    if unknown:
        raise ValueError(f'unknown capability "CAP_{unknown[0]}"')
    kept = set() if "ALL" in dropped else set(DEFAULT)
    kept |= set(NAMES) if "ALL" in added else added
    return frozenset(kept - dropped)


def held() -> int:
    """Return the capabilities that this process holds, as bits."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapPrm:"):
            return int(line.split()[1], 16)
    return 0


def confine(kept: Sequence[str]) -> None:
    """Take every other capability out of the bounding set, which the program's exec then honours. Raises OSError."""
    sys_.clear_inheritable(held())
    for number, name in enumerate(NAMES):
        if name not in kept:
            sys_.prctl(sys_.PR_CAPBSET_DROP, number)
