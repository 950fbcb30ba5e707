"""`windlass up`: a cluster on this machine, in the background."""

import os
import re
import socket
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import click

from windlass.cli.cluster import Cluster, issue_identities
from windlass.cli.datadir import DataDir
from windlass.cli.options import config_option, data_dir_option
from windlass.cli.processes import ProcessTable
from windlass.cli.ready import NotReadyError, admin_context, fetch, node_is_alive, wait_until
from windlass.config import load_config
from windlass.errors import ConfigError, PluginError
from windlass.plugin.manager import PluginManager

STORE_PATTERN = re.compile(r"(sqlite|memory|zookeeper://.+)")
PARTS = ("manager", "hostagent", "apiserver")
READY_SECONDS = 60
STOP_SECONDS = 5
DOCKER_SOCKET = "/var/run/docker.sock"


def _check_store(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    if not STORE_PATTERN.fullmatch(value):
        raise click.BadParameter("want sqlite, memory or zookeeper://host:port[,host:port...][/chroot]")
    return value


@click.command()
@click.option(
    "--store",
    default="sqlite",
    show_default=True,
    callback=_check_store,
    help="sqlite, memory, or zookeeper://host:port,.../chroot",
)
@click.option(
    "--runtime",
    default="auto",
    show_default=True,
    help="auto, or the name of an installed runtime: docker, process, hollow, ...",
)
@click.option("--port", default=6443, show_default=True, type=click.IntRange(1, 65535), help="Port of the API server.")
@click.option(
    "--node-name", default=lambda: socket.gethostname().lower(), help="Name of this Node.  [default: the host's]"
)
@click.option("--node-ip", default="127.0.0.1", show_default=True, help="Address of this Node.")
@click.option("--pod-cidr", default="10.244.0.0/24", show_default=True, help="Addresses for this Node's pods.")
@data_dir_option
@config_option
def up(  # noqa: PLR0913, PLR0917 - one per option
    store: str,
    runtime: str,
    port: int,
    node_name: str,
    node_ip: str,
    pod_cidr: str,
    data_dir: DataDir,
    config_path: Path | None,
) -> None:
    """Start API server, manager and host agent, and wait until the Node is ready. Running parts are left alone."""
    started = time.monotonic()
    chosen = _choose_runtime(runtime)
    _check_plugins(chosen, config_path)
    data_dir.prepare()
    config = str(config_path.resolve()) if config_path else ""
    cluster = Cluster(store, chosen, port, node_name, node_ip, pod_cidr, config)
    _refuse_other_choices(data_dir, cluster)
    issue_identities(data_dir, cluster)
    cluster.save(data_dir)
    processes = ProcessTable(data_dir.run, data_dir.logs)
    running = {record.name for record in processes.all() if record.running}
    since = datetime.fromtimestamp(0, UTC) if "hostagent" in running else datetime.now(UTC)
    _start(cluster, data_dir, processes, config_path)
    try:
        _wait_ready(cluster, data_dir, processes, since)
    except NotReadyError:
        for name in PARTS:
            if name not in running:
                processes.stop(name, STOP_SECONDS)
        raise
    click.echo(
        f"Windlass is ready after {time.monotonic() - started:.1f} s: {cluster.server}, node {node_name}, "
        f"runtime {cluster.runtime}, store {store.split('://', maxsplit=1)[0]}"
    )
    click.echo(f"export KUBECONFIG={data_dir.kubeconfig('admin')}")


def _wait_ready(cluster: Cluster, data_dir: DataDir, processes: ProcessTable, since: datetime) -> None:
    """Wait for each part in turn: the API answers, a manager leads, the Node is Ready. Raises NotReadyError."""
    context, server = admin_context(data_dir), cluster.server
    lease = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/windlass-manager"
    wait_until(lambda: fetch(server, "/readyz", context)[0] == 200, processes, "apiserver", READY_SECONDS)
    wait_until(lambda: fetch(server, lease, context)[0] == 200, processes, "manager", READY_SECONDS)
    wait_until(lambda: node_is_alive(server, cluster.node_name, context, since), processes, "hostagent", READY_SECONDS)


def _choose_runtime(asked: str) -> str:
    if asked != "auto":
        return asked
    if _docker_answers():
        return "docker"
    found = "process" if os.geteuid() == 0 else "hollow"
    click.echo(f"No Docker daemon answers, so the runtime is {found}: it pulls no images")
    return found


def _check_plugins(runtime: str, config_path: Path | None) -> None:
    """Refuse a runtime that is not installed, and plugins that cannot start, before anything is made."""
    plugins = PluginManager(load_config(config_path).plugins)
    plugins.load()
    plugins.check()
    installed = plugins.drivers("register_runtimes")
    if runtime not in installed:
        raise PluginError(
            f"--runtime {runtime}: no such runtime is installed; choose from auto, {', '.join(sorted(installed))}"
        )


def _docker_answers() -> bool:
    host = os.environ.get("DOCKER_HOST", f"unix://{DOCKER_SOCKET}")
    if not host.startswith("unix://"):
        return True
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        try:
            probe.connect(host.removeprefix("unix://"))
        except OSError:
            return False
    return True


def _refuse_other_choices(data_dir: DataDir, cluster: Cluster) -> None:
    known = Cluster.load(data_dir)
    running = any(record.running for record in ProcessTable(data_dir.run, data_dir.logs).all())
    if known is not None and running and known != cluster:
        raise ConfigError(f"a cluster with other options runs from {data_dir.root}; `windlass down` stops it first")


def _start(cluster: Cluster, data_dir: DataDir, processes: ProcessTable, config_path: Path | None) -> None:
    windlass = [sys.executable, "-m", "windlass.cli"]
    common = ["--config", str(config_path)] if config_path else []
    node = f"node-{cluster.node_name}"
    docker_host = os.environ.get("DOCKER_HOST", "")
    endpoint = ["--runtime-endpoint", docker_host] if docker_host and cluster.runtime == "docker" else []
    processes.start(
        "apiserver",
        [
            *windlass,
            "apiserver",
            "--data-dir",
            str(data_dir.root),
            "--store",
            cluster.store,
            "--bind",
            f"127.0.0.1:{cluster.port}",
            *common,
        ],
    )
    processes.start(
        "manager", [*windlass, "manager", "--kubeconfig", str(data_dir.kubeconfig("manager")), "--port", "0", *common]
    )
    processes.start(
        "hostagent",
        [
            *windlass,
            "hostagent",
            "--kubeconfig",
            str(data_dir.kubeconfig(node)),
            "--node-name",
            cluster.node_name,
            "--runtime",
            cluster.runtime,
            "--data-dir",
            str(data_dir.agent(cluster.node_name)),
            "--node-ip",
            cluster.node_ip,
            "--pod-cidr",
            cluster.pod_cidr,
            "--tls-cert",
            str(data_dir.pki / f"{node}.crt"),
            "--tls-key",
            str(data_dir.pki / f"{node}.key"),
            "--client-ca",
            str(data_dir.pki / "ca.crt"),
            "--port",
            "0",
            *endpoint,
            *common,
        ],
    )
