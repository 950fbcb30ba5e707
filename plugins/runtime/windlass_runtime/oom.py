"""How far down this machine lets `oom_score_adj` go."""

from pathlib import Path

CAP_SYS_RESOURCE = 24
LOWEST = -1000


def lowest_oom_score_adj(proc: Path = Path("/proc/self")) -> int:
    """Return the least value that may be set: without CAP_SYS_RESOURCE (nested machines) the one inherited.

    A container whose value the kernel refuses does not start at all, so that a driver has to ask for no less.
    """
    for line in (proc / "status").read_text().splitlines():
        if line.startswith("CapEff:") and int(line.split()[1], 16) >> CAP_SYS_RESOURCE & 1:
            return LOWEST
    return int((proc / "oom_score_adj").read_text())
