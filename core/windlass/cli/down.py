"""`windlass down`: stop what `up` started and leave nothing behind."""

import shutil

import click

from windlass.cli.cluster import Cluster
from windlass.cli.datadir import DataDir
from windlass.cli.members import members, remove_members, stop_agent
from windlass.cli.options import data_dir_option
from windlass.cli.processes import ProcessTable
from windlass.errors import WindlassError

GRACE_SECONDS = 20


@click.command()
@click.option("--purge", is_flag=True, help="Remove the data directory as well: objects, certificates, logs.")
@data_dir_option
def down(*, purge: bool, data_dir: DataDir) -> None:
    """Stop every process, container, link and mount of the cluster; its objects stay unless --purge."""
    cluster = Cluster.load(data_dir)
    processes = ProcessTable(data_dir.run, data_dir.logs)
    started = bool(processes.all())
    processes.stop("manager", GRACE_SECONDS)
    problems = []
    try:
        if cluster is not None:
            for member in members(cluster, data_dir):
                stop_agent(member, processes)
            problems = remove_members(cluster, data_dir, processes) if started else []
    finally:
        processes.stop("apiserver", GRACE_SECONDS)
    if problems:
        raise WindlassError("\n".join(problems))
    if purge and cluster is not None:
        shutil.rmtree(data_dir.root)
    click.echo("Windlass is down" + (" and its data removed" if purge else "") if cluster else "Nothing runs here")
