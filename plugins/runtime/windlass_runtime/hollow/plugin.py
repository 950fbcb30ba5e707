"""Registration of the hollow runtime."""

from collections.abc import Mapping, Sequence
from typing import Any

from marshmallow import Schema, fields

from windlass.plugin.hookspecs import hookimpl
from windlass.plugin.registration import DriverRegistration

windlass_hookspec_versions = (1,)


class FaultSchema(Schema):
    """One verb that fails."""

    reason = fields.String(load_default="RuntimeError")
    message = fields.String(load_default="told to fail")
    times = fields.Integer(load_default=-1)


class HollowSchema(Schema):
    """The section `windlass-runtime-hollow`."""

    delays = fields.Dict(keys=fields.String(), values=fields.Float())
    faults = fields.Dict(keys=fields.String(), values=fields.Nested(FaultSchema))
    missing_images = fields.List(fields.String())
    local_images = fields.List(fields.String())
    start_seconds = fields.Float()
    run_seconds = fields.Float()
    stop_seconds = fields.Float()
    exit_code = fields.Integer()
    output = fields.String()


def _build(config: Mapping[str, Any]) -> Any:
    from windlass_runtime.hollow.driver import build  # noqa: PLC0415 - only where it runs

    return build(config)


@hookimpl
def register_runtimes() -> Sequence[DriverRegistration]:
    """Hand out the hollow runtime."""
    return [DriverRegistration("hollow", _build, "pretends to run containers, with faults and delays on demand")]


@hookimpl
def register_config_schema() -> Mapping[str, Any]:
    """Hand out the schema of the section `windlass-runtime-hollow`."""
    return {"section": "windlass-runtime-hollow", "schema": HollowSchema}
