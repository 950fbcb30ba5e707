"""What a node decides about its pods where the pods do not: set once, from the agent's options."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from windlass_hostagent.pods.dns import ClusterDns
from windlass_hostagent.pods.security import RUNTIME_DEFAULT, UNCONFINED, SecurityDefaults

SYSTEMD_RESOLV_CONF = Path("/run/systemd/resolve/resolv.conf")
"""Behind systemd's stub resolver, whose loopback address no pod reaches."""
RESOLV_CONF = Path("/etc/resolv.conf")
APPARMOR = Path("/sys/module/apparmor/parameters/enabled")


@dataclass(frozen=True, slots=True)
class PodOptions:
    """`max_pids` bounds each pod's processes, 0 leaves them; `cgroup_root` empty gives pods no cgroup of their own."""

    dns: ClusterDns = field(default_factory=ClusterDns)
    resolv_conf: Path = RESOLV_CONF
    hosts: Path = Path("/etc/hosts")
    security: SecurityDefaults = field(default_factory=SecurityDefaults)
    allowed_unsafe_sysctls: Sequence[str] = ()
    max_pids: int = 0
    cgroup_root: str = "kubepods"
    apparmor: bool = False


def _says_yes(path: Path) -> bool:
    try:
        return path.read_text().startswith("Y")
    except OSError:
        return False


def pod_options(  # noqa: PLR0913 - one keyword for each of the agent's options
    *,
    data_dir: Path,
    cluster_dns: Sequence[str] = (),
    cluster_domain: str = "cluster.local",
    resolv_conf: Path | None = None,
    allowed_unsafe_sysctls: Sequence[str] = (),
    pod_max_pids: int = 0,
    seccomp_default: bool = False,
) -> PodOptions:
    """Build the options from what the command line says."""
    if resolv_conf is None:
        resolv_conf = SYSTEMD_RESOLV_CONF if SYSTEMD_RESOLV_CONF.exists() else RESOLV_CONF
    return PodOptions(
        dns=ClusterDns(tuple(cluster_dns), cluster_domain),
        resolv_conf=resolv_conf,
        security=SecurityDefaults(
            (data_dir / "seccomp").absolute(), RUNTIME_DEFAULT if seccomp_default else UNCONFINED
        ),
        allowed_unsafe_sysctls=tuple(allowed_unsafe_sysctls),
        max_pids=pod_max_pids,
        apparmor=_says_yes(APPARMOR),
    )
