"""`windlass status`."""

import sys

import click

from windlass.cli.cluster import Cluster
from windlass.cli.datadir import DataDir
from windlass.cli.members import members
from windlass.cli.options import data_dir_option
from windlass.cli.processes import ProcessTable
from windlass.cli.ready import admin_context, fetch, node_is_ready


@click.command()
@data_dir_option
def status(data_dir: DataDir) -> None:
    """Show the processes of the cluster and whether they are ready; exit 1 when something is not."""
    cluster = Cluster.load(data_dir)
    if cluster is None:
        click.echo(f"no cluster in {data_dir.root}; start one with `windlass up`")
        sys.exit(1)
    processes = ProcessTable(data_dir.run, data_dir.logs)
    well = True
    found = members(cluster, data_dir)
    parts = ["apiserver", "manager", *(member.process for member in found)]
    width = max(len(name) for name in parts) + 3
    for name in parts:
        record = processes.get(name)
        running = record is not None and record.running
        well = well and running
        state = f"running, pid {record.pid}" if record and running else "not running"
        click.echo(f"{name:<{width}}{state:<24}{processes.log_path(name)}")
    if well:
        context = admin_context(data_dir)
        code, body = fetch(cluster.server, "/readyz?verbose", context)
        ready = {member.name: node_is_ready(cluster.server, member.name, context) for member in found}
        well = code == 200 and all(ready.values())
        click.echo(f"API {cluster.server}: {'ready' if code == 200 else body.decode(errors='replace')}")
        for node, is_ready in ready.items():
            click.echo(
                f"node {node}: {'Ready' if is_ready else 'NotReady'}; runtime {cluster.runtime}, "
                f"store {cluster.store.split('://')[0]}"
            )
    sys.exit(0 if well else 1)
