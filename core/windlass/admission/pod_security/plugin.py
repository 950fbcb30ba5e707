"""Registers PodSecurity and its configuration: what holds in namespaces that say nothing, and who is exempt."""

from collections.abc import Mapping, Sequence
from typing import Any

from marshmallow import Schema, fields, validate

from windlass.admission.pod_security.admission import MODES, VERSION, Exemptions, PodSecurity, Policy
from windlass.admission.pod_security.standards import LEVELS
from windlass.plugin.hookspecs import hookimpl
from windlass.plugin.registration import DriverRegistration


def _level() -> fields.String:
    return fields.String(load_default=LEVELS[0], validate=validate.OneOf(LEVELS))


def _version() -> fields.String:
    return fields.String(load_default="latest", validate=validate.Regexp(f"^(?:{VERSION.pattern})$"))


class PodSecuritySchema(Schema):
    """`[plugins.config.windlass-pod-security]`: a level and a version for each mode, and exemptions."""

    enforce = _level()
    enforce_version = _version()
    audit = _level()
    audit_version = _version()
    warn = _level()
    warn_version = _version()
    exempt_namespaces = fields.List(fields.String(), load_default=list)
    exempt_usernames = fields.List(fields.String(), load_default=list)
    exempt_runtime_classes = fields.List(fields.String(), load_default=list)


def build(config: Mapping[str, Any]) -> PodSecurity:
    """Build the plugin from its section."""
    return PodSecurity(
        {mode: Policy(config[mode], config[f"{mode}_version"]) for mode in MODES},
        Exemptions(
            frozenset(config["exempt_namespaces"]),
            frozenset(config["exempt_usernames"]),
            frozenset(config["exempt_runtime_classes"]),
        ),
    )


@hookimpl
def register_config_schema() -> Mapping[str, Any]:
    """Hand out the schema of PodSecurity's section."""
    return {"section": "windlass-pod-security", "schema": PodSecuritySchema}


@hookimpl
def register_admission_plugins() -> Sequence[DriverRegistration]:
    """Hand out PodSecurity."""
    return (DriverRegistration("PodSecurity", build, "pods keep the standard that their namespace names"),)
