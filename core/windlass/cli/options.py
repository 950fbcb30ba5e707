"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from windlass.cli.datadir import DataDir, default_data_dir

F = TypeVar("F", bound=Callable[..., Any])


def data_dir_option(function: F) -> F:
    """Add `--data-dir`, given to the command as a DataDir."""
    return click.option(
        "--data-dir",
        type=click.Path(path_type=Path, file_okay=False),
        default=default_data_dir,
        callback=lambda _ctx, _param, value: DataDir(value.resolve()),
        help="Where the cluster keeps its files.  [default: $WINDLASS_DATA_DIR, /var/lib/windlass for root]",
    )(function)


def config_option(function: F) -> F:
    """Add `--config`."""
    return click.option(
        "--config",
        "config_path",
        type=click.Path(path_type=Path, dir_okay=False),
        default=None,
        help="Configuration file (TOML).",
    )(function)


def log_level_option(function: F) -> F:
    """Add `--log-level`."""
    return click.option(
        "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True
    )(function)
