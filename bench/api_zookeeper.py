"""The API as in `api`, over a ZooKeeper server with fsync on. Beside it etcd, the same bytes.

Target: durable create >= 1,500/s at 64 clients, p99 < 50 ms. Needs Java and Debian's zookeeper.
"""

import shutil
import sys
import tempfile
from pathlib import Path

import api

from windlass.testing.zookeeper import Ensemble


def main() -> None:
    """Start a server of our own, measure, stop it."""
    if shutil.which("java") is None:
        sys.exit("no Java on this machine: install default-jre-headless and zookeeper")
    with tempfile.TemporaryDirectory(prefix="zookeeper-bench-") as name:
        ensemble = Ensemble(Path(name), 1)
        ensemble.start()
        try:
            api.main(f"zookeeper://{ensemble.hosts}/bench")
        finally:
            ensemble.stop()


if __name__ == "__main__":
    main()
