"""`windlass manager`."""

from pathlib import Path

import click

from windlass.cli.options import config_option, log_level_option


@click.command()
@click.option(
    "--kubeconfig", type=click.Path(path_type=Path, dir_okay=False), required=True, help="How to reach the API."
)
@click.option("--address", default="127.0.0.1", show_default=True, help="Address of /livez, /readyz and /metrics.")
@click.option("--port", default=10257, show_default=True, help="Their port; 0 picks one.")
@click.option("--controllers", default="", help="Only these, separated by commas.  [default: all]")
@click.option("--no-scheduler", is_flag=True, help="Leave scheduling to another process.")
@click.option(
    "--lease-seconds",
    default=15.0,
    show_default=True,
    type=click.FloatRange(min=1.5),
    help="How long a leader's Lease holds; it gives up after two thirds of that.",
)
@config_option
@log_level_option
def manager(  # noqa: PLR0913 - one per option
    kubeconfig: Path,
    address: str,
    port: int,
    controllers: str,
    *,
    no_scheduler: bool,
    lease_seconds: float,
    config_path: Path | None,
    log_level: str,
) -> None:
    """Run controllers and scheduler; of several managers one leads."""
    from windlass.client.election import ElectionTiming  # noqa: PLC0415
    from windlass.controlplane.main import ManagerOptions, run_manager  # noqa: PLC0415 - other commands start faster
    from windlass.logs import configure_logging  # noqa: PLC0415

    configure_logging(log_level)
    chosen = tuple(name.strip() for name in controllers.split(",") if name.strip()) or None
    run_manager(
        ManagerOptions(
            kubeconfig=kubeconfig,
            config=config_path,
            address=address,
            port=port,
            controllers=chosen,
            run_scheduler=not no_scheduler,
            timing=ElectionTiming.of_lease(lease_seconds),
        )
    )
