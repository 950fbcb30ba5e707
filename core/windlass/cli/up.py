"""`windlass up`: a cluster on this machine, in the background."""

import json
import os
import re
import socket
import time
from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import click

from windlass.cli import host_docker, hosts
from windlass.cli.cluster import Cluster, issue_identities
from windlass.cli.datadir import DataDir
from windlass.cli.members import WINDLASS, members, remove_members, start_agent, wait_alive
from windlass.cli.options import config_option, data_dir_option
from windlass.cli.processes import ProcessTable
from windlass.cli.ready import admin_context, fetch, wait_until
from windlass.config import load_config
from windlass.errors import ConfigError, PluginError, WindlassError
from windlass.plugin.manager import PluginManager

STORE_PATTERN = re.compile(r"(sqlite|memory|zookeeper://.+)")
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
@click.option("--max-pods", default=110, show_default=True, type=click.IntRange(1), help="How many pods a Node takes.")
@click.option(
    "--nodes",
    default=0,
    type=click.IntRange(0, hosts.MAX_HOSTS),
    help="Make so many hosts, node1 and so on, each a network namespace with an agent of its own.  [default: none: this "
    "machine is the Node]",
)
@data_dir_option
@config_option
def up(  # noqa: PLR0913, PLR0917 - one per option
    store: str,
    runtime: str,
    port: int,
    node_name: str,
    node_ip: str,
    pod_cidr: str,
    max_pods: int,
    nodes: int,
    data_dir: DataDir,
    config_path: Path | None,
) -> None:
    """Start API server, manager and host agents, and wait until the Nodes are ready. Running parts are left alone."""
    started = time.monotonic()
    chosen = _choose_runtime(runtime)
    _check_plugins(chosen, config_path)
    if nodes:
        _check_hosts(nodes, chosen)
    data_dir.prepare()
    config = str(config_path.resolve()) if config_path else ""
    cluster = Cluster(store, chosen, port, node_name, node_ip, pod_cidr, config, max_pods=max_pods)
    if nodes:
        cluster = replace(cluster, nodes=nodes, underlay=_underlay(data_dir, nodes), cluster_cidrs=_ranges(config_path))
    _refuse_other_choices(data_dir, cluster)
    issue_identities(data_dir, cluster)
    cluster.save(data_dir)
    processes = ProcessTable(data_dir.run, data_dir.logs)
    running = {record.name for record in processes.all() if record.running}
    try:
        _start(cluster, data_dir, processes, running)
    except WindlassError:
        _take_back(cluster, data_dir, processes, running)
        raise
    names = ", ".join(member.name for member in members(cluster, data_dir))
    click.echo(
        f"Windlass is ready after {time.monotonic() - started:.1f} s: {cluster.server}, node{'s' * (nodes > 1)} {names}, "
        f"runtime {cluster.runtime}, store {store.split('://', maxsplit=1)[0]}"
    )
    click.echo(f"export KUBECONFIG={data_dir.kubeconfig('admin')}")


def _check_hosts(nodes: int, runtime: str) -> None:
    hosts.check_possible(nodes)
    if runtime == "docker":
        host_docker.check_installed()


def _underlay(data_dir: DataDir, nodes: int) -> str:
    """Return the range of the hosts' link: the one they have, or a new one."""
    known = Cluster.load(data_dir)
    if known is not None and known.nodes == nodes and known.underlay:
        return known.underlay
    return str(hosts.choose_network(hosts.cluster_tag(data_dir), hosts.used_ranges()))


def _ranges(config_path: Path | None) -> tuple[str, ...]:
    """Return the pods' ranges as the manager's configuration has them; empty for the default."""
    section = load_config(config_path).plugins.config.get("windlass-controllers", {})
    return tuple(section.get("cluster_cidrs", ()))


def _start(cluster: Cluster, data_dir: DataDir, processes: ProcessTable, running: Collection[str]) -> None:
    """Start what does not run and wait for each part: the API answers, a manager leads, the Nodes are Ready."""
    began = datetime.now(UTC)
    underlay = cluster.underlay_of(hosts.cluster_tag(data_dir))
    if underlay is not None:
        hosts.make_hosts(underlay, underlay.hosts(cluster.nodes))
    _start_control_plane(cluster, data_dir, processes)
    found = members(cluster, data_dir)
    for member in found:
        start_agent(cluster, data_dir, member, processes)
    context, server = admin_context(data_dir), cluster.server
    lease = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/windlass-manager"
    wait_until(lambda: fetch(server, "/readyz", context)[0] == 200, processes, "apiserver", READY_SECONDS)
    wait_until(lambda: fetch(server, lease, context)[0] == 200, processes, "manager", READY_SECONDS)
    for member in found:
        since = datetime.fromtimestamp(0, UTC) if member.process in running else began
        wait_alive(cluster, data_dir, member, processes, since)
    if underlay is not None:
        _route_pods(cluster, data_dir, underlay)


def _route_pods(cluster: Cluster, data_dir: DataDir, underlay: hosts.Underlay) -> None:
    """Let this machine, and so the API server's proxy, reach the pods of every host."""
    code, body = fetch(cluster.server, "/api/v1/nodes", admin_context(data_dir))
    items = json.loads(body)["items"] if code == 200 else []
    ranges = {item["metadata"]["name"]: item["spec"].get("podCIDRs") or () for item in items}
    for host in underlay.hosts(cluster.nodes):
        for cidr in ranges.get(host.name, ()):
            if ":" not in cidr and not hosts.route_pods(underlay, host, cidr):
                click.echo(f"{cidr}, the pods of {host.name}, is in use on this machine: `kubectl proxy` to them fails")


def _take_back(cluster: Cluster, data_dir: DataDir, processes: ProcessTable, running: Collection[str]) -> None:
    """Stop what was started; hosts go too when nothing ran before."""
    found = members(cluster, data_dir)
    for name in ("manager", *(member.process for member in found), "apiserver"):
        if name not in running:
            processes.stop(name, STOP_SECONDS)
    if cluster.nodes and not running:
        remove_members(cluster, data_dir, processes)


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


def _start_control_plane(cluster: Cluster, data_dir: DataDir, processes: ProcessTable) -> None:
    common = ["--config", cluster.config] if cluster.config else []
    processes.start(
        "apiserver",
        [
            *WINDLASS,
            "apiserver",
            "--data-dir",
            str(data_dir.root),
            "--store",
            cluster.store,
            "--bind",
            f"{cluster.address}:{cluster.port}",
            *common,
        ],
    )
    processes.start(
        "manager", [*WINDLASS, "manager", "--kubeconfig", str(data_dir.kubeconfig("manager")), "--port", "0", *common]
    )
