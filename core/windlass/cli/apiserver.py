"""`windlass apiserver`."""

from pathlib import Path

import click

from windlass.cli.datadir import DataDir
from windlass.cli.options import config_option, data_dir_option, log_level_option


@click.command()
@click.option("--bind", default="127.0.0.1:6443", show_default=True, help="Where to listen, host:port.")
@click.option(
    "--store", default="sqlite", show_default=True, help="sqlite, memory, or zookeeper://host:port,.../chroot"
)
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Worker processes.")
@click.option(
    "--token-file", type=click.Path(path_type=Path, dir_okay=False), help='Bearer tokens: token,user,uid,"group,..."'
)
@click.option(
    "--service-cidr",
    multiple=True,
    default=("10.96.0.0/12",),
    show_default=True,
    help="Services' addresses, per family.",
)
@click.option("--advertise-address", default="", help="Where pods reach this server; by default where it listens.")
@data_dir_option
@config_option
@log_level_option
def apiserver(  # noqa: PLR0913, PLR0917 - one per option
    bind: str,
    store: str,
    workers: int,
    token_file: Path | None,
    service_cidr: tuple[str, ...],
    advertise_address: str,
    data_dir: DataDir,
    config_path: Path | None,
    log_level: str,
) -> None:
    """Serve the API over TLS, with the certificates of DATA_DIR/pki."""
    from windlass.api.server import ServerOptions, serve  # noqa: PLC0415 - other commands start faster without

    options = ServerOptions(
        data_dir.root,
        store,
        bind,
        workers,
        config_path,
        token_file,
        log_level,
        service_cidrs=service_cidr,
        advertise_address=advertise_address,
    )
    serve(options)
