"""Registration of the process runtime."""

from collections.abc import Mapping, Sequence
from typing import Any

from marshmallow import Schema, fields

from windlass.plugin.hookspecs import hookimpl
from windlass.plugin.registration import DriverRegistration
from windlass_runtime.process.driver import build

windlass_hookspec_versions = (1,)


class ProcessSchema(Schema):
    """The section `windlass-runtime-process`."""

    isolated = fields.Boolean()


@hookimpl
def register_runtimes() -> Sequence[DriverRegistration]:
    """Hand out the process runtime."""
    return [DriverRegistration("process", build, "Linux namespaces without a daemon, or plain processes without root")]


@hookimpl
def register_config_schema() -> Mapping[str, Any]:
    """Hand out the schema of the plugin's section."""
    return {"section": "windlass-runtime-process", "schema": ProcessSchema}
