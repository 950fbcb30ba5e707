"""Registration of the docker runtime."""

from collections.abc import Mapping, Sequence
from typing import Any

from marshmallow import Schema, fields, validate

from windlass.plugin.hookspecs import hookimpl
from windlass.plugin.registration import DriverRegistration
from windlass_runtime.docker.driver import build

windlass_hookspec_versions = (1,)


class DockerSchema(Schema):
    """The section `windlass-runtime-docker`."""

    endpoint = fields.String(validate=validate.Regexp(r"^(unix|tcp)://"))
    call_seconds = fields.Float(validate=validate.Range(min=1, max=600))


@hookimpl
def register_runtimes() -> Sequence[DriverRegistration]:
    """Hand out the docker runtime."""
    return [DriverRegistration("docker", build, "Docker, or Podman's Docker-compatible socket")]


@hookimpl
def register_config_schema() -> Mapping[str, Any]:
    """Hand out the schema of the plugin's section."""
    return {"section": "windlass-runtime-docker", "schema": DockerSchema}
