"""What a machine cannot give is skipped with the reason; with CI=true such a skip is a failure."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from windlass.testing.dockerd import busybox_path

# How long an example takes says how busy the machine is, not whether the code is right.
settings.register_profile("windlass", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("windlass")


def _lacks_root() -> str:
    return "" if os.geteuid() == 0 else "needs root"


def _lacks_docker() -> str:
    return _lacks_root() or ("" if shutil.which("dockerd") else "needs dockerd (Debian package docker.io)")


def _lacks_zookeeper() -> str:
    if not shutil.which("java"):
        return "needs a Java runtime"
    return "" if Path("/usr/share/java/zookeeper.jar").exists() else "needs Debian package zookeeper"


def _lacks_kubectl() -> str:
    return "" if shutil.which("kubectl") else "needs kubectl"


def _lacks_busybox() -> str:
    return "" if busybox_path() else "needs Debian package busybox-static"


def _lacks_dbus() -> str:
    return "" if shutil.which("dbus-daemon") else "needs dbus-daemon (Debian package dbus)"


def _lacks_nginx() -> str:
    return "" if shutil.which("nginx") or Path("/usr/sbin/nginx").exists() else "needs Debian package nginx"


NEEDS: dict[str, Callable[[], str]] = {
    "root": _lacks_root,
    "docker": _lacks_docker,
    "zookeeper": _lacks_zookeeper,
    "kubectl": _lacks_kubectl,
    "busybox": _lacks_busybox,
    "dbus": _lacks_dbus,
    "nginx": _lacks_nginx,
}


def _lacks_loop() -> str:
    return _lacks_root() or ("" if Path("/dev/loop-control").exists() else "the kernel has no loop devices here")


def _lacks_nfs() -> str:
    if not (shutil.which("exportfs") and shutil.which("rpc.nfsd") and shutil.which("mount.nfs")):
        return "needs Debian packages nfs-kernel-server and nfs-common"
    known = Path("/proc/filesystems").read_text().split()
    return _lacks_root() or ("" if {"nfs", "nfsd"} <= set(known) else "the kernel has no NFS client and server")


KERNEL: dict[str, Callable[[], str]] = {"loop": _lacks_loop, "nfs": _lacks_nfs}
"""What no package brings to a machine: skipped with the reason in CI as well."""


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker, lacks in KERNEL.items():
        if item.get_closest_marker(marker) is not None and (reason := lacks()):
            pytest.skip(f"{marker}: {reason}")
    for marker, lacks in NEEDS.items():
        if item.get_closest_marker(marker) is not None and (reason := lacks()):
            if os.environ.get("CI") == "true":
                pytest.fail(f"{marker}: {reason}; CI must not skip", pytrace=False)
            pytest.skip(f"{marker}: {reason}")
