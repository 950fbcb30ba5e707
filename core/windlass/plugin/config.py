"""A plugin's own section of the configuration file, checked by the marshmallow schema that the plugin brings."""

from collections.abc import Mapping
from typing import Any

import marshmallow

from windlass.errors import ConfigError


def validate_section(
    plugin: str, declared: Mapping[str, Any] | None, sections: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Return a plugin's section with its schema's defaults.

    `declared` is what `register_config_schema` returned. Raises ConfigError that names the plugin and the key: for an
    unknown key, a bad value, or a section for a plugin that declares none.
    """
    if declared is None:
        if sections.get(plugin):
            raise ConfigError(f"[plugins.config.{plugin}]: plugin {plugin} takes no configuration")
        return {}
    section = str(declared["section"])
    schema = declared["schema"](unknown=marshmallow.RAISE)
    try:
        return dict(schema.load(sections.get(section, {})))
    except marshmallow.ValidationError as error:
        key, reasons = next(iter(_messages(error).items()))
        known = ", ".join(schema.fields)
        raise ConfigError(
            f"[plugins.config.{section}] {key}: {reasons[0] if isinstance(reasons, list) else reasons} "
            f"(plugin {plugin}; its keys: {known})"
        ) from error


def _messages(error: marshmallow.ValidationError) -> Mapping[str, Any]:
    messages: Any = error.messages
    return messages if isinstance(messages, dict) else {"": messages}
