"""What an idle cluster costs: ready time, memory (PSS and RSS) and CPU of all its processes. No peer in this run.

Targets: ready <= 3 s; together <= 250 MB and <= 2% of a core.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from api import free_port

SETTLE_SECONDS, MEASURE_SECONDS = 10, 30
TICKS = os.sysconf("SC_CLK_TCK")


def processes(data_dir: Path) -> list[int]:
    """Return every process of the cluster, workers included."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(data_dir).encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def memory_kib(pid: int, field: str) -> int:
    """Return Pss or Rss of a process."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def cpu_seconds(pid: int) -> float:
    """Return user and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def main() -> None:
    """Start a cluster with nothing deployed, let it settle, measure, stop it."""
    data_dir = Path(tempfile.mkdtemp(prefix="windlass-bench-")) / "data"
    windlass = [sys.executable, "-m", "windlass.cli"]
    started = time.monotonic()
    subprocess.run(
        [
            *windlass,
            "up",
            "--data-dir",
            data_dir,
            "--port",
            str(free_port()),
            "--node-name",
            "bench",
            "--runtime",
            "hollow",
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    ready = time.monotonic() - started
    try:
        time.sleep(SETTLE_SECONDS)
        pids = processes(data_dir)
        before = sum(map(cpu_seconds, pids))
        time.sleep(MEASURE_SECONDS)
        cpu = (sum(map(cpu_seconds, pids)) - before) / MEASURE_SECONDS
        pss, rss = (sum(memory_kib(pid, field) for pid in pids) / 1024 for field in ("Pss", "Rss"))
        print(
            f"ready after {ready:.1f} s; {len(pids)} processes; PSS {pss:.0f} MB (RSS {rss:.0f} MB); {cpu:.2%} of a core"
        )
    finally:
        subprocess.run([*windlass, "down", "--purge", "--data-dir", data_dir], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
