"""Where one cluster keeps its files on this machine."""

import os
from dataclasses import dataclass
from pathlib import Path


def default_data_dir() -> Path:
    """Return WINDLASS_DATA_DIR, or the system's place for root, or the user's own."""
    chosen = os.environ.get("WINDLASS_DATA_DIR")
    if chosen:
        return Path(chosen)
    if os.geteuid() == 0:
        return Path("/var/lib/windlass")
    return Path(os.environ.get("XDG_DATA_HOME", Path.home() / ".local/share")) / "windlass"


@dataclass(frozen=True, slots=True)
class DataDir:
    """The layout of a data directory. Everything in it is readable by its owner only."""

    root: Path

    @property
    def pki(self) -> Path:
        """CA, certificates and keys."""
        return self.root / "pki"

    @property
    def logs(self) -> Path:
        """One file per process."""
        return self.root / "logs"

    @property
    def run(self) -> Path:
        """Process records of what `windlass up` started."""
        return self.root / "run"

    @property
    def cluster_file(self) -> Path:
        """How the cluster was started, for `down` and `status`."""
        return self.root / "cluster.json"

    def agent(self, node: str) -> Path:
        """State of a host agent, its runtime and its network."""
        return self.root / "agent" / node

    def docker(self, node: str) -> Path:
        """Images and containers of a host's own Docker daemon."""
        return self.root / "docker" / node

    def kubeconfig(self, user: str) -> Path:
        """`admin`, `manager` or `node-NAME`."""
        return self.root / f"{user}.kubeconfig"

    def prepare(self) -> None:
        """Make the directories, owner-only."""
        for directory in (self.root, self.pki, self.logs, self.run, self.root / "agent"):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            directory.chmod(0o700)
