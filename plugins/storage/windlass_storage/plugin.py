"""Registers the built-in volume drivers, by the same road as a third party's."""

from collections.abc import Mapping, Sequence
from typing import Any

from windlass.plugin.hookspecs import hookimpl
from windlass.plugin.registration import DriverRegistration

windlass_hookspec_versions = (1,)


def _empty_dir(_config: Mapping[str, Any]) -> Any:
    from windlass_storage.emptydir import EmptyDirDriver  # noqa: PLC0415 - every process loads this module

    return EmptyDirDriver()


def _host_path(_config: Mapping[str, Any]) -> Any:
    from windlass_storage.hostpath import HostPathDriver  # noqa: PLC0415

    return HostPathDriver()


def _config_map(_config: Mapping[str, Any]) -> Any:
    from windlass_storage.api_data import ConfigMapDriver  # noqa: PLC0415

    return ConfigMapDriver()


def _secret(_config: Mapping[str, Any]) -> Any:
    from windlass_storage.api_data import SecretDriver  # noqa: PLC0415

    return SecretDriver()


def _downward_api(_config: Mapping[str, Any]) -> Any:
    from windlass_storage.api_data import DownwardApiDriver  # noqa: PLC0415

    return DownwardApiDriver()


def _projected(_config: Mapping[str, Any]) -> Any:
    from windlass_storage.api_data import ProjectedDriver  # noqa: PLC0415

    return ProjectedDriver()


@hookimpl
def register_volume_drivers() -> Sequence[DriverRegistration]:
    """Hand out the drivers of volumes that live as long as their pod, and of the node's own paths."""
    return (
        DriverRegistration("empty-dir", _empty_dir, "emptyDir: a folder on the node's disk or in its memory"),
        DriverRegistration("host-path", _host_path, "hostPath: a file or folder of the node"),
        DriverRegistration("configmap", _config_map, "configMap: a ConfigMap's keys as files"),
        DriverRegistration("secret", _secret, "secret: a Secret's keys as files in memory"),
        DriverRegistration("downward-api", _downward_api, "downwardAPI: fields of the pod as files"),
        DriverRegistration("projected", _projected, "projected: several sources in one folder, and tokens"),
    )
