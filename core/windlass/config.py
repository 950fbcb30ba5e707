"""The configuration file: TOML, one section per part, validated where the part lives.

[plugins]
required = ["windlass-runtime-docker"]
blocked = []

[plugins.config.my-plugin]      # validated by the schema that my-plugin brings
colour = "green"
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from windlass.errors import ConfigError

SECTIONS = frozenset({"plugins"})


@dataclass(frozen=True, slots=True)
class PluginsConfig:
    """Which plugins may load, which must, and their own sections.

    `allowed` None means every installed plugin. `on_contract_error`: "fail" refuses to start when a plugin breaks the
    contract (misspelt hook, wrong signature, name claimed twice, unsupported version), "skip" goes on without it.
    """

    required: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()
    allowed: tuple[str, ...] | None = None
    on_contract_error: str = "fail"
    deadline_seconds: float = 10.0
    config: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Config:
    """The whole file, parsed."""

    plugins: PluginsConfig = field(default_factory=PluginsConfig)


def load_config(path: Path | None) -> Config:
    """Read a configuration file; None gives the defaults. Raises ConfigError naming the file and the key."""
    if path is None:
        return Config()
    try:
        raw = tomllib.loads(path.read_text())
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such configuration file; leave --config out to use the defaults") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error
    unknown = sorted(set(raw) - SECTIONS)
    if unknown:
        raise ConfigError(f"{path}: unknown section [{unknown[0]}]; known: {', '.join(sorted(SECTIONS))}")
    return Config(plugins=_plugins_config(raw.get("plugins", {}), path))


def _plugins_config(raw: Mapping[str, Any], path: Path) -> PluginsConfig:
    unknown = sorted(set(raw) - set(PluginsConfig.__slots__))
    if unknown:
        raise ConfigError(f"{path}: unknown key plugins.{unknown[0]}; known: {', '.join(PluginsConfig.__slots__)}")
    values = dict(raw)
    for key in ("required", "blocked", "allowed"):
        if key in values:
            if not (isinstance(values[key], list) and all(isinstance(item, str) for item in values[key])):
                raise ConfigError(f"{path}: plugins.{key} must be a list of plugin names")
            values[key] = tuple(values[key])
    if values.get("on_contract_error", "fail") not in ("fail", "skip"):
        raise ConfigError(f'{path}: plugins.on_contract_error must be "fail" or "skip"')
    return PluginsConfig(**values)
