"""The `windlass` command: one file per group, and whatever commands plugins bring."""

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

import click

from windlass.errors import WindlassError

OWN_COMMANDS = {
    "up": "windlass.cli.up:up",
    "down": "windlass.cli.down:down",
    "host": "windlass.cli.host:host",
    "status": "windlass.cli.status:status",
    "kubeconfig": "windlass.cli.kubeconfig:kubeconfig",
    "apiserver": "windlass.cli.apiserver:apiserver",
    "manager": "windlass.cli.manager:manager",
    "backup": "windlass.cli.backup:backup",
    "restore": "windlass.cli.backup:restore",
    "images": "windlass.cli.images:images",
    "plugins": "windlass.cli.plugins:plugins",
    "version": "windlass.cli.version:version",
}


class WindlassGroup(click.Group):
    """Imports a command only when it is asked for: `windlass version` must not pay for the API server."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return our own commands, then the plugins'."""
        return [*OWN_COMMANDS, *sorted(set(self._from_plugins()) - set(OWN_COMMANDS))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Find a command: our own first, so that no plugin can take their place."""
        if cmd_name in OWN_COMMANDS:
            module, name = OWN_COMMANDS[cmd_name].split(":")
            command: click.Command = getattr(import_module(module), name)
            return command
        return self._from_plugins().get(cmd_name)

    def _from_plugins(self) -> dict[str, click.Command]:
        from windlass.plugin.manager import PluginManager  # noqa: PLC0415 - see the class docstring

        manager = PluginManager()
        manager.load()
        return {name: owned.value for name, owned in manager.drivers("register_commands").items()}


@click.command(cls=WindlassGroup, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Run containers on many machines from Kubernetes manifests."""


def main(run: Callable[..., Any] = cli.main) -> None:
    """Entry point: an error that we raise on purpose is one line on stderr and exit code 1."""
    try:
        run(prog_name="windlass")
    except WindlassError as error:
        click.echo(f"windlass: {error}", err=True)
        sys.exit(1)
