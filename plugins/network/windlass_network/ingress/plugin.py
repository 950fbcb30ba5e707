"""Registration of `windlass ingress`."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from windlass.logs import configure_logging
from windlass.plugin.hookspecs import hookimpl

windlass_hookspec_versions = (1,)
PORT = click.IntRange(1, 65535)


@click.command("ingress")
@click.option(
    "--kubeconfig", type=click.Path(path_type=Path, dir_okay=False), required=True, help="How to reach the API."
)
@click.option(
    "--data-dir", type=click.Path(path_type=Path, file_okay=False), required=True, help="Where nginx has its files."
)
@click.option("--address", default="", help="Address to listen at; every IPv4 one by default.")
@click.option("--http-port", default=80, show_default=True, type=PORT, help="Port of HTTP.")
@click.option("--https-port", default=443, show_default=True, type=PORT, help="Port of HTTPS.")
@click.option("--publish-address", default="", help="Address in Ingresses' status; --address by default.")
@click.option("--ingress-class", default="nginx", show_default=True, help="IngressClass to make when it is missing.")
@click.option("--nginx", default="nginx", show_default=True, help="The nginx to run.")
@click.option(
    "--log-level", default="info", show_default=True, type=click.Choice(["debug", "info", "warning", "error"])
)
def ingress(log_level: str, **options: Any) -> None:
    """Serve Ingresses through an nginx of its own."""
    from windlass_network.ingress.main import IngressOptions, serve  # noqa: PLC0415 - other commands start faster

    configure_logging(log_level)
    asyncio.run(serve(IngressOptions(**options)))


@hookimpl
def register_commands() -> Sequence[click.Command]:
    """Hand out the command."""
    return [ingress]
