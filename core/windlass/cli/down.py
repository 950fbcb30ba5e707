"""`windlass down`: stop what `up` started and leave nothing behind."""

import shutil
import subprocess
import sys

import click

from windlass.cli.cluster import Cluster
from windlass.cli.datadir import DataDir
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
    for name in ("manager", "hostagent"):
        processes.stop(name, GRACE_SECONDS)
    try:
        if cluster is not None and started:
            _clean_host(cluster, data_dir)
    finally:
        processes.stop("apiserver", GRACE_SECONDS)
    if purge and cluster is not None:
        shutil.rmtree(data_dir.root)
    click.echo("Windlass is down" + (" and its data removed" if purge else "") if cluster else "Nothing runs here")


def _clean_host(cluster: Cluster, data_dir: DataDir) -> None:
    """Have the host agent remove the pods and the network that it made."""
    command = [
        sys.executable,
        "-m",
        "windlass.cli",
        "hostagent",
        "--cleanup",
        "--node-name",
        cluster.node_name,
        "--runtime",
        cluster.runtime,
        "--data-dir",
        str(data_dir.agent(cluster.node_name)),
        "--pod-cidr",
        cluster.pod_cidr,
        "--node-ip",
        cluster.node_ip,
        *(["--config", cluster.config] if cluster.config else []),
    ]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)  # noqa: S603 - our own command
    if result.returncode != 0:
        raise WindlassError(
            f"the host agent could not clean up; its processes are stopped. It said:\n{result.stderr[-2000:]}"
        )
