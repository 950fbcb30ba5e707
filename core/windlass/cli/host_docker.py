"""A Docker daemon for each host: data, sockets and containers of its own, in the host's network."""

import shutil
import socket
from pathlib import Path

from windlass.cli.datadir import DataDir
from windlass.cli.hosts import Host, runtime_dir
from windlass.cli.processes import ProcessTable
from windlass.cli.ready import wait_until
from windlass.errors import ConfigError
from windlass.plugin.hostfs import mounts

START_SECONDS = 60
STOP_SECONDS = 30


def process_name(host: Host) -> str:
    """Name the daemon's process record."""
    return f"dockerd-{host.name}"


def socket_path(data_dir: DataDir, host: Host) -> Path:
    """Where the host's daemon listens."""
    return runtime_dir(data_dir) / host.name / "docker.sock"


def check_installed() -> None:
    """Refuse when there is no daemon to start. Raises ConfigError."""
    if shutil.which("dockerd") is None:
        raise ConfigError("--runtime docker with --nodes starts a dockerd for each host, and none is installed")


def start(data_dir: DataDir, host: Host, processes: ProcessTable) -> str:
    """Start the host's daemon unless it runs, wait until it listens, and return its endpoint. Raises NotReadyError."""
    run_dir = runtime_dir(data_dir) / host.name
    run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    config = run_dir / "daemon.json"
    config.write_text("{}")  # and not the machine's own, which may say otherwise
    path = socket_path(data_dir, host)
    space = runtime_dir(data_dir).name + "-" + host.name
    command = [
        "dockerd",
        f"--config-file={config}",
        f"--data-root={data_dir.docker(host.name)}",
        f"--exec-root={run_dir / 'exec'}",
        f"--pidfile={run_dir / 'docker.pid'}",
        f"--host=unix://{path}",
        f"--containerd-namespace={space}",
        f"--containerd-plugins-namespace={space}-plugins",
        "--bridge=none",
        "--iptables=false",
        "--ip6tables=false",
        "--ip-forward=false",
    ]
    processes.start(process_name(host), host.enter(command))
    wait_until(lambda: _listens(path), processes, process_name(host), START_SECONDS)
    return f"unix://{path}"


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def stop(data_dir: DataDir, host: Host, processes: ProcessTable) -> None:
    """Stop the daemon and undo its mounts; images stay in its data. Fine when it does not run."""
    processes.stop(process_name(host), STOP_SECONDS)
    run_dir = runtime_dir(data_dir) / host.name
    for directory in (data_dir.docker(host.name), run_dir):
        mounts.unmount_all(str(directory))
    shutil.rmtree(run_dir, ignore_errors=True)
    if run_dir.parent.is_dir() and not any(run_dir.parent.iterdir()):
        run_dir.parent.rmdir()
