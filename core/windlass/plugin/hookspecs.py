"""Every hook of Windlass. Hooks register and notify; they are synchronous, cheap and never in a hot path.

Each hook runs once per process at start-up, for the processes named in its docstring, and returns a sequence of
registrations; None means none. A plugin module implements any of them with `@windlass.hookimpl`.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pluggy

from windlass.apimachinery.scheme import KindDefinition
from windlass.plugin.interfaces.controller import ControllerRegistration
from windlass.plugin.interfaces.scheduler import SchedulerPluginRegistration
from windlass.plugin.registration import DriverRegistration

if TYPE_CHECKING:
    import click

PROJECT = "windlass"
SPEC_VERSION = 1
"""Version of this set of hooks. A plugin states the ones it supports as `windlass_hookspec_versions = (1,)`."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def register_kinds() -> Sequence[KindDefinition]:  # type: ignore[empty-body]
    """Hand out kinds to serve. Runs in the API server. Implemented by `windlass.registry.plugin`."""


@hookspec
def register_stores() -> Sequence[DriverRegistration]:  # type: ignore[empty-body]
    """Hand out `Store` builders by URL scheme (`sqlite`, `memory`, `zookeeper`). Runs in the API server.

    `build(config)` receives `{"url": str, "data_dir": str, ...}`. Implemented by `windlass.store.plugin`.
    """


@hookspec
def register_authenticators() -> Sequence[DriverRegistration]:  # type: ignore[empty-body]
    """Hand out `Authenticator` builders, asked in order. Runs in the API server. See `windlass.auth.plugin`.

    `build(config)` receives `{"token_file": path or None, "pki_dir": str, "reader": ObjectReader, "clock": Clock}`.
    """


@hookspec
def register_authorizers() -> Sequence[DriverRegistration]:  # type: ignore[empty-body]
    """Hand out `Authorizer` builders, asked in order. Runs in the API server. See `windlass.auth.plugin`."""


@hookspec
def register_admission_plugins() -> Sequence[DriverRegistration]:  # type: ignore[empty-body]
    """Hand out `AdmissionPlugin` builders. Runs in the API server. See `windlass.admission.plugin`."""


@hookspec
def register_scheduler_plugins() -> Sequence[SchedulerPluginRegistration]:  # type: ignore[empty-body]
    """Hand out scheduler plugins. Runs in the manager. Implemented by `windlass_scheduler.plugin`."""


@hookspec
def register_controllers() -> Sequence[ControllerRegistration]:  # type: ignore[empty-body]
    """Hand out controllers. Runs in the manager. Implemented by `windlass_controllers.plugin`."""


@hookspec
def register_runtimes() -> Sequence[DriverRegistration]:  # type: ignore[empty-body]
    """Hand out `RuntimeDriver` builders. Runs in the host agent. See `windlass_runtime.docker.plugin`.

    `build(config)` receives the plugin's section plus `{"state_dir": str, "node_name": str}`.
    """


@hookspec
def register_network_drivers() -> Sequence[DriverRegistration]:  # type: ignore[empty-body]
    """Hand out `NetworkDriver` builders. Runs in the host agent. See `windlass_network.bridge.plugin`."""


@hookspec
def register_service_proxies() -> Sequence[DriverRegistration]:  # type: ignore[empty-body]
    """Hand out `ProxyDriver` builders. Runs in the host agent. See `windlass_network.nftables.plugin`."""


@hookspec
def register_volume_drivers() -> Sequence[DriverRegistration]:  # type: ignore[empty-body]
    """Hand out `NodeVolumeDriver` builders. Runs in the host agent. See `windlass_storage.plugin`.

    `build(config)` receives the plugin's section plus `{"node_name": str, "state_dir": str}`.
    """


@hookspec
def register_commands() -> "Sequence[click.Command]":  # type: ignore[empty-body]
    """Hand out click commands that `windlass` shows beside its own. See `windlass_hostagent.plugin`."""


@hookspec
def register_config_schema() -> "Mapping[str, Any]":  # type: ignore[empty-body]
    """Hand out `{"section": name, "schema": marshmallow Schema class}` for the plugin's own configuration section."""


@hookspec
def on_startup(process: str) -> None:
    """Tell that a process (`apiserver`, `manager`, `hostagent`) has started."""


@hookspec
def on_shutdown(process: str) -> None:
    """Tell that a process is about to end."""
