"""Registration of the process runtime."""

from collections.abc import Mapping, Sequence
from typing import Any

from marshmallow import Schema, fields, validate

from windlass.plugin.hookspecs import hookimpl
from windlass.plugin.registration import DriverRegistration

windlass_hookspec_versions = (1,)


class ProcessSchema(Schema):
    """The section `windlass-runtime-process`."""

    isolated = fields.Boolean()
    log_max_bytes = fields.Integer(validate=validate.Range(min=4096))
    log_max_files = fields.Integer(validate=validate.Range(min=1, max=12))
    max_image_bytes = fields.Integer(validate=validate.Range(min=1))
    pids_limit = fields.Integer(validate=validate.Range(min=0))


def _build(config: Mapping[str, Any]) -> Any:
    from windlass_runtime.process.driver import build  # noqa: PLC0415 - only where it runs

    return build(config)


@hookimpl
def register_runtimes() -> Sequence[DriverRegistration]:
    """Hand out the process runtime."""
    return [DriverRegistration("process", _build, "Linux namespaces without a daemon, or plain processes without root")]


@hookimpl
def register_config_schema() -> Mapping[str, Any]:
    """Hand out the schema of the plugin's section."""
    return {"section": "windlass-runtime-process", "schema": ProcessSchema}
