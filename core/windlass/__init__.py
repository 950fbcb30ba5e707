"""Windlass: a container orchestrator that speaks the Kubernetes API and whose every part is a plugin.

This module is the facade: the only name, beside `windlass.testing`, that a third party needs to import.
"""

from windlass.apimachinery.scheme import Column, KindDefinition, Resource, Strategy
from windlass.errors import (
    ApiError,
    ConfigError,
    ForbiddenError,
    InvalidError,
    NetworkDriverError,
    PluginError,
    RuntimeDriverError,
    UnauthorizedError,
    VolumeDriverError,
    WindlassError,
)
from windlass.plugin.hookspecs import hookimpl
from windlass.plugin.interfaces.admission import AdmissionPlugin, AdmissionRequest
from windlass.plugin.interfaces.authn import Authenticator, Authorizer, Decision, UserInfo
from windlass.plugin.interfaces.controller import ControllerContext, ControllerRegistration
from windlass.plugin.interfaces.network import NetworkDriver
from windlass.plugin.interfaces.runtime import RuntimeDriver
from windlass.plugin.interfaces.scheduler import SchedulerPluginRegistration
from windlass.plugin.interfaces.volume import NodeVolumeDriver, Published, PublishRequest, VolumeAccess, VolumeUsage
from windlass.plugin.registration import DriverRegistration

__version__ = "0.1.0"
__all__ = [
    "AdmissionPlugin",
    "AdmissionRequest",
    "ApiError",
    "Authenticator",
    "Authorizer",
    "Column",
    "ConfigError",
    "ControllerContext",
    "ControllerRegistration",
    "Decision",
    "DriverRegistration",
    "ForbiddenError",
    "InvalidError",
    "KindDefinition",
    "NetworkDriver",
    "NetworkDriverError",
    "NodeVolumeDriver",
    "PluginError",
    "PublishRequest",
    "Published",
    "Resource",
    "RuntimeDriver",
    "RuntimeDriverError",
    "SchedulerPluginRegistration",
    "Strategy",
    "UnauthorizedError",
    "UserInfo",
    "VolumeAccess",
    "VolumeDriverError",
    "VolumeUsage",
    "WindlassError",
    "__version__",
    "hookimpl",
]
