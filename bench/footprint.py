"""What an idle cluster costs: ready time, memory (PSS and RSS) and CPU of all its processes. No peer in this run.

Targets: ready <= 3 s, over SQLite and over ZooKeeper; together <= 250 MB and <= 2% of a core. Ready counts from the
command to a Node that is Ready, in a data directory that did not exist.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from api import ROUNDS, free_port

from windlass.testing.zookeeper import Ensemble

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


@contextmanager
def cluster(store: str):
    """Start a cluster with nothing deployed; yields its data directory and the seconds that it took; stop it."""
    data_dir = Path(tempfile.mkdtemp(prefix="windlass-bench-")) / "data"
    windlass = [sys.executable, "-m", "windlass.cli"]
    options = ["--port", str(free_port()), "--node-name", "bench", "--runtime", "hollow", "--store", store]
    started = time.monotonic()
    subprocess.run([*windlass, "up", "--data-dir", data_dir, *options], check=True, stdout=subprocess.DEVNULL)
    try:
        yield data_dir, time.monotonic() - started
    finally:
        subprocess.run([*windlass, "down", "--purge", "--data-dir", data_dir], check=True, stdout=subprocess.DEVNULL)
        shutil.rmtree(data_dir.parent, ignore_errors=True)


def ready(name: str, stores: list[str]) -> None:
    """Start a cluster over each store in turn and print the median."""
    seconds = []
    for store in stores:
        with cluster(store) as (_, taken):
            seconds.append(taken)
    spread = ", ".join(f"{taken:.1f}" for taken in seconds)
    print(f"ready over {name} after {statistics.median(seconds):.1f} s ({spread})", flush=True)


def rest(store: str) -> None:
    """Let a cluster settle and measure it."""
    with cluster(store) as (data_dir, _):
        time.sleep(SETTLE_SECONDS)
        pids = processes(data_dir)
        before = sum(map(cpu_seconds, pids))
        time.sleep(MEASURE_SECONDS)
        cpu = (sum(map(cpu_seconds, pids)) - before) / MEASURE_SECONDS
        pss, rss = (sum(memory_kib(pid, field) for pid in pids) / 1024 for field in ("Pss", "Rss"))
    name = store.partition(":")[0]
    print(
        f"idle over {name}: {len(pids)} processes; PSS {pss:.0f} MB (RSS {rss:.0f} MB); {cpu:.2%} of a core", flush=True
    )


def main() -> None:
    """Measure over SQLite, and where there is Java over a ZooKeeper of one server, which is not counted itself."""
    ready("sqlite", ["sqlite"] * ROUNDS)
    rest("sqlite")
    if shutil.which("java") is None:
        print("no Java on this machine: nothing over ZooKeeper")
        return
    with tempfile.TemporaryDirectory(prefix="zookeeper-bench-") as name:
        ensemble = Ensemble(Path(name), 1)
        ensemble.start()
        try:
            ready("zookeeper", [f"zookeeper://{ensemble.hosts}/bench{number}" for number in range(ROUNDS)])
            rest(f"zookeeper://{ensemble.hosts}/idle")
        finally:
            ensemble.stop()


if __name__ == "__main__":
    main()
