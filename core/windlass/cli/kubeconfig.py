"""`windlass kubeconfig`."""

import click

from windlass.cli.datadir import DataDir
from windlass.cli.options import data_dir_option
from windlass.errors import ConfigError


@click.command()
@data_dir_option
def kubeconfig(data_dir: DataDir) -> None:
    """Print the path of the administrator's kubeconfig."""
    path = data_dir.kubeconfig("admin")
    if not path.exists():
        raise ConfigError(f"no cluster in {data_dir.root}; start one with `windlass up`")
    click.echo(path)
