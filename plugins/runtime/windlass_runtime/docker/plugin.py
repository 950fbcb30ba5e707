"""Registration of the docker runtime."""

from collections.abc import Mapping, Sequence
from typing import Any

from marshmallow import Schema, fields, validate

from windlass.plugin.hookspecs import hookimpl
from windlass.plugin.registration import DriverRegistration

windlass_hookspec_versions = (1,)


class DockerSchema(Schema):
    """The section `windlass-runtime-docker`."""

    endpoint = fields.String(validate=validate.Regexp(r"^(unix|tcp)://"))
    ulimits = fields.Dict(
        keys=fields.String(validate=validate.Regexp(r"^[a-z]+$")),
        values=fields.String(validate=validate.Regexp(r"^-?\d+(:-?\d+)?$")),
    )
    call_seconds = fields.Float(validate=validate.Range(min=1, max=600))


def _build(config: Mapping[str, Any]) -> Any:
    from windlass_runtime.docker.driver import build  # noqa: PLC0415 - the Docker SDK is large: only where it runs

    return build(config)


@hookimpl
def register_runtimes() -> Sequence[DriverRegistration]:
    """Hand out the docker runtime."""
    return [DriverRegistration("docker", _build, "Docker, or Podman's Docker-compatible socket")]


@hookimpl
def register_config_schema() -> Mapping[str, Any]:
    """Hand out the schema of the plugin's section."""
    return {"section": "windlass-runtime-docker", "schema": DockerSchema}
