"""`windlass version`."""

import click

import windlass


@click.command()
def version() -> None:
    """Print the version."""
    click.echo(f"windlass {windlass.__version__}")
