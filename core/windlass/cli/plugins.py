"""`windlass plugins list|info`."""

import json
from pathlib import Path
from typing import Any

import click

from windlass.cli.options import config_option
from windlass.config import load_config
from windlass.errors import PluginError
from windlass.plugin.manager import PluginManager


@click.group()
def plugins() -> None:
    """Show the installed plugins."""


def _inventory(config_path: Path | None) -> list[dict[str, Any]]:
    manager = PluginManager(load_config(config_path).plugins)
    manager.load()
    return manager.inventory()


@plugins.command("list")
@config_option
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table")
def list_plugins(config_path: Path | None, output: str) -> None:
    """List every plugin found, loaded or not, and why not."""
    inventory = _inventory(config_path)
    if output == "json":
        click.echo(json.dumps(inventory, indent=2))
        return
    rows = [("NAME", "DISTRIBUTION", "VERSION", "STATE", "PROVIDES OR REASON")]
    rows += [
        (
            p["metadata"]["name"],
            p["spec"]["distribution"],
            p["spec"]["version"],
            p["status"]["state"],
            _summary(p["status"]),
        )
        for p in inventory
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        click.echo("  ".join([*(cell.ljust(width) for cell, width in zip(row[:4], widths, strict=True)), row[4]]))


def _summary(status: dict[str, Any]) -> str:
    if status["reason"]:
        return str(status["reason"]).splitlines()[0]
    drivers = status["drivers"]
    more = f" and {len(drivers) - 4} more" if len(drivers) > 4 else ""
    return ", ".join(drivers[:4]) + more


@plugins.command("info")
@config_option
@click.argument("name")
def info(config_path: Path | None, name: str) -> None:
    """Show everything known of one plugin, with the traceback when it failed."""
    found = next((p for p in _inventory(config_path) if p["metadata"]["name"] == name), None)
    if found is None:
        raise PluginError(f"no plugin named {name!r}; `windlass plugins list` shows them all")
    spec, status = found["spec"], found["status"]
    for key, value in (
        ("Name", name),
        ("State", status["state"]),
        ("Reason", status["reason"] or "-"),
        ("Module", spec["module"]),
        ("Distribution", f"{spec['distribution']} {spec['version']}"),
        ("Hook-spec versions", ", ".join(map(str, spec["hookspecVersions"]))),
        ("Hooks", ", ".join(status["hooks"]) or "-"),
        ("Drivers", ", ".join(status["drivers"]) or "-"),
    ):
        click.echo(f"{key + ':':<20}{value}")
    if status["traceback"]:
        click.echo(f"\n{status['traceback']}")
