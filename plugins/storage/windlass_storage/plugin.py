"""Registers the built-in volume drivers, by the same road as a third party's."""

from collections.abc import Mapping, Sequence
from typing import Any

from windlass.plugin.hookspecs import hookimpl
from windlass.plugin.registration import DriverRegistration

windlass_hookspec_versions = (1,)
DEFAULT_STATE = "/var/lib/windlass/volumes"


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


def _local(config: Mapping[str, Any]) -> Any:
    from windlass_storage.local import LocalDriver  # noqa: PLC0415

    return LocalDriver(config.get("state_dir") or DEFAULT_STATE)


def _nfs(_config: Mapping[str, Any]) -> Any:
    from windlass_storage.nfs import NfsDriver  # noqa: PLC0415

    return NfsDriver()


def _loop(config: Mapping[str, Any]) -> Any:
    from windlass_storage.loop import LoopDriver  # noqa: PLC0415

    return LoopDriver(config.get("state_dir") or DEFAULT_STATE)


@hookimpl
def register_volume_drivers() -> Sequence[DriverRegistration]:
    """Hand out the drivers of volumes that live as long as their pod, of the node's own paths, and of persistent volumes."""
    return (
        DriverRegistration("empty-dir", _empty_dir, "emptyDir: a folder on the node's disk or in its memory"),
        DriverRegistration("host-path", _host_path, "hostPath: a file or folder of the node"),
        DriverRegistration("configmap", _config_map, "configMap: a ConfigMap's keys as files"),
        DriverRegistration("secret", _secret, "secret: a Secret's keys as files in memory"),
        DriverRegistration("downward-api", _downward_api, "downwardAPI: fields of the pod as files"),
        DriverRegistration("projected", _projected, "projected: several sources in one folder, and tokens"),
        DriverRegistration("local", _local, "local: directories of the node; windlass.dev/hostpath makes them on demand"),
        DriverRegistration("loop", _loop, "windlass.dev/loop: ext4 images of a hard size on the node's disk"),
        DriverRegistration("nfs", _nfs, "nfs: an export of a file server"),
    )
