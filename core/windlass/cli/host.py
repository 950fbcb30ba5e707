"""`windlass host`: stop, start, cut off and reconnect the hosts that `windlass up --nodes N` made."""

from datetime import UTC, datetime

import click

from windlass.cli import hosts
from windlass.cli.cluster import Cluster
from windlass.cli.datadir import DataDir
from windlass.cli.members import Member, clean_member, members, start_agent, stop_agent, wait_alive
from windlass.cli.options import data_dir_option
from windlass.cli.processes import ProcessTable
from windlass.errors import ConfigError


@click.group()
def host() -> None:
    """Do to a host of this cluster what happens to machines."""


def _cluster(data_dir: DataDir) -> Cluster:
    cluster = Cluster.load(data_dir)
    if cluster is None or not cluster.nodes:
        raise ConfigError(f"no hosts in {data_dir.root}; `windlass up --nodes N` makes them")
    return cluster


def _find(data_dir: DataDir, name: str) -> tuple[Cluster, Member, hosts.Host]:
    cluster = _cluster(data_dir)
    found = {member.name: member for member in members(cluster, data_dir)}
    member = found.get(name)
    if member is None or member.host is None:
        raise ConfigError(f'no host "{name}"; there are: {", ".join(found)}')
    if not member.host.exists:
        raise ConfigError(f"host {name} is not there; `windlass up --nodes {cluster.nodes}` makes it")
    return cluster, member, member.host


@host.command("list")
@data_dir_option
def list_hosts(data_dir: DataDir) -> None:
    """Show every host: address, whether its agent runs, whether it is connected."""
    processes = ProcessTable(data_dir.run, data_dir.logs)
    for member in members(_cluster(data_dir), data_dir):
        record = processes.get(member.process)
        state = "running" if record is not None and record.running else "stopped"
        cable = "connected" if member.host and hosts.is_connected(member.host) else "cut off"
        namespace = member.host.namespace if member.host else ""
        click.echo(f"{member.name:<10}{member.ip:<16}{state:<9}{cable:<11}{namespace}")


@host.command()
@click.argument("name")
@data_dir_option
def stop(name: str, data_dir: DataDir) -> None:
    """Switch a host off: its agent, its pods and its cable; the Node object stays, as a machine's does."""
    cluster, member, found = _find(data_dir, name)
    processes = ProcessTable(data_dir.run, data_dir.logs)
    stop_agent(member, processes)
    hosts.connect(found, connected=False)
    clean_member(cluster, data_dir, member, processes)
    click.echo(f"{name} is off")


@host.command()
@click.argument("name")
@data_dir_option
def start(name: str, data_dir: DataDir) -> None:
    """Switch a host on and wait until its Node is Ready."""
    cluster, member, _ = _find(data_dir, name)
    processes = ProcessTable(data_dir.run, data_dir.logs)
    since = datetime.now(UTC)
    start_agent(cluster, data_dir, member, processes)
    wait_alive(cluster, data_dir, member, processes, since)
    click.echo(f"{name} is Ready")


@host.command()
@click.argument("name")
@data_dir_option
def cut(name: str, data_dir: DataDir) -> None:
    """Pull a host's cable out: everything on it goes on, and nothing reaches it."""
    _, _, found = _find(data_dir, name)
    hosts.connect(found, connected=False)
    click.echo(f"{name} is cut off")


@host.command()
@click.argument("name")
@data_dir_option
def heal(name: str, data_dir: DataDir) -> None:
    """Plug a host's cable in again."""
    _, _, found = _find(data_dir, name)
    hosts.connect(found, connected=True)
    click.echo(f"{name} is connected")
