"""Registration of the bridge network."""

from collections.abc import Mapping, Sequence
from typing import Any

from marshmallow import Schema, fields, validate

from windlass.plugin.hookspecs import hookimpl
from windlass.plugin.registration import DriverRegistration
from windlass_network.bridge.peers_plan import MODES

windlass_hookspec_versions = (1,)


class BridgeSchema(Schema):
    """The section `windlass-network-bridge`."""

    bridge = fields.String(validate=validate.Regexp(r"^[a-z][a-z0-9]{0,14}$"))
    mode = fields.String(validate=validate.OneOf(MODES))
    masquerade = fields.Boolean()
    mtu = fields.Integer(validate=validate.Range(min=576, max=65535))


def _build(config: Mapping[str, Any]) -> Any:
    from windlass_network.bridge.driver import build  # noqa: PLC0415 - pyroute2 is large: only where it runs

    return build(config)


@hookimpl
def register_network_drivers() -> Sequence[DriverRegistration]:
    """Hand out the bridge network."""
    return [DriverRegistration("bridge", _build, "one bridge per node, a veth pair per pod, VXLAN between nodes")]


@hookimpl
def register_config_schema() -> Mapping[str, Any]:
    """Hand out the schema of the plugin's section."""
    return {"section": "windlass-network-bridge", "schema": BridgeSchema}
