"""From the interface's configurations to the records that shims read. Pure but for looking at devices."""

import base64
import os
import signal
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from windlass.errors import RuntimeDriverError
from windlass.plugin.interfaces.runtime import ContainerConfig, SandboxConfig
from windlass_runtime.oom import lowest_oom_score_adj
from windlass_runtime.process import capabilities, cgroups, seccomp
from windlass_runtime.process import syscalls as sys_
from windlass_runtime.process.images import LocalImage

Record = dict[str, Any]
FAILED = "CreateContainerError"
AGENT_FILES = frozenset({"/dev/termination-log", "/etc/hosts", "/etc/resolv.conf", "/etc/hostname"})
"""What the agent gives every container: without isolation the host's own stand in for it."""
IPC_SYSCTLS = ("kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue.")


@dataclass(frozen=True, slots=True)
class Settings:
    """How the driver is configured."""

    isolated: bool = True
    log_max_bytes: int = 10 << 20
    log_max_files: int = 3
    pids_limit: int = 0


def sandbox_record(config: SandboxConfig, *, isolated: bool) -> Record:
    """Return a sandbox's record. Raises RuntimeDriverError for sysctls that would change the node."""
    flags = 0
    flags |= 0 if config.host_network else sys_.CLONE_NEWNET | sys_.CLONE_NEWUTS
    flags |= 0 if config.host_ipc else sys_.CLONE_NEWIPC
    flags |= sys_.CLONE_NEWPID if config.share_process_namespace and not config.host_pid else 0
    for name in config.sysctls:
        check_sysctl(name, config)
    if config.sysctls and not isolated:
        raise RuntimeDriverError("sysctls need root: this runtime is not isolated", reason="CreatePodSandboxError")
    return {
        "labels": dict(config.labels),
        "attempt": config.attempt,
        "host_network": config.host_network,
        "hostname": config.hostname,
        "namespaces": isolated,
        "unshare": flags,
        "sysctls": dict(config.sysctls),
        "host_pid": config.host_pid,
        "host_ipc": config.host_ipc,
        "share_process_namespace": config.share_process_namespace,
        "cgroup_parent": config.cgroup_parent,
    }


def check_sysctl(name: str, config: SandboxConfig) -> None:
    """Refuse a kernel setting that has no namespace, or whose namespace is the node's. Pure."""
    plain = name.replace("/", ".")
    if plain.startswith("net."):
        host = config.host_network
    elif plain.startswith(IPC_SYSCTLS):
        host = config.host_ipc
    else:
        raise RuntimeDriverError(f'sysctl "{name}" is not in a separate kernel namespace', reason="SysctlForbidden")
    if host or ".." in name:
        raise RuntimeDriverError(f'sysctl "{name}" is not allowed in the host\'s namespace', reason="SysctlForbidden")


def command_line(config: ContainerConfig, defaults: Mapping[str, Any]) -> list[str]:
    """Join command and args with the image's defaults, as Kubernetes does. Pure."""
    if config.command is not None:
        return [*config.command, *(config.args or ())]
    arguments = config.args if config.args is not None else defaults.get("Cmd") or ()
    return [*(defaults.get("Entrypoint") or ()), *arguments]


def _limits(config: ContainerConfig, settings: Settings) -> dict[str, int]:
    limits = asdict(config.resources)
    limits["pids_limit"] = limits["pids_limit"] or settings.pids_limit
    return limits


def _security(config: ContainerConfig) -> Record:
    """Return what the container may do. Raises RuntimeDriverError for what this machine cannot give."""
    try:
        kept = capabilities.allowed(config.add_capabilities, config.drop_capabilities, privileged=config.privileged)
        rules = cgroups.device_rules([asdict(device) for device in config.devices])
    except (ValueError, OSError) as error:
        raise RuntimeDriverError(str(error), reason=FAILED) from error
    profile = seccomp.UNCONFINED if config.privileged else config.seccomp_profile
    if config.apparmor_profile not in ("", "runtime/default", "unconfined"):
        raise RuntimeDriverError("AppArmor profiles are not supported by the process runtime", reason=FAILED)
    return {
        "capabilities": sorted(kept),
        "device_rules": rules,
        "seccomp": base64.b64encode(seccomp.program_for(profile, kept)).decode(),
    }


def _check_unisolated(config: ContainerConfig, image: LocalImage) -> None:
    """Without root nothing of this can be given, and is refused rather than left out in silence."""
    if image.lower != "/":
        raise RuntimeDriverError("without root only the image `host` can run", reason=FAILED)
    if any(mount.container_path not in AGENT_FILES for mount in config.mounts):
        raise RuntimeDriverError("volumes need root: this runtime is not isolated", reason=FAILED)
    uid = config.user.partition(":")[0]
    if uid and os.geteuid() != 0 and uid != str(os.geteuid()):
        raise RuntimeDriverError(f"only root can run as user {uid}: this runtime is not isolated", reason=FAILED)


def container_record(
    config: ContainerConfig, image: LocalImage, sandbox: Mapping[str, Any], settings: Settings
) -> Record:
    """Return a container's record but for ids, pids and times. Raises RuntimeDriverError(CreateContainerError)."""
    defaults = image.config
    argv = command_line(config, defaults)
    if not argv:
        raise RuntimeDriverError("no command specified", reason=FAILED)
    if not settings.isolated:
        _check_unisolated(config, image)
    image_env = dict(entry.partition("=")[::2] for entry in defaults.get("Env") or ())
    security = _security(config) if settings.isolated else {"capabilities": [], "device_rules": [], "seccomp": ""}
    host_shm = "/dev/shm"  # noqa: S108 - the host's own, for pods that share its IPC namespace
    return {
        **asdict(config),
        **security,
        "namespaces": settings.isolated,
        "cgroups": settings.isolated,
        "lower": image.lower,
        "layers": list(image.layers),
        "image_id": image.id,
        "argv": argv,
        "env": {**image_env, **config.env},
        "working_dir": config.working_dir or defaults.get("WorkingDir") or "/",
        "user": config.user or defaults.get("User") or "",
        "stop_signal": defaults.get("StopSignal") or "SIGTERM",
        "resources": _limits(config, settings),
        "oom_score_adj": max(config.resources.oom_score_adj, lowest_oom_score_adj()),
        "host_pid": bool(sandbox.get("host_pid")),
        "shm": host_shm if sandbox.get("host_ipc") else sandbox.get("shm") or "",
        "log_max_bytes": settings.log_max_bytes,
        "log_max_files": settings.log_max_files,
    }


def stop_signal(text: str) -> int:
    """Return the number of a signal as images name it: SIGTERM, TERM, 15, SIGRTMIN+3. TERM for nonsense. Pure."""
    name = text.upper().removeprefix("SIG")
    if name.isdigit():
        return int(name) if 0 < int(name) <= signal.SIGRTMAX else int(signal.SIGTERM)
    plain, _, more = name.partition("+")
    found = getattr(signal, f"SIG{plain}", signal.SIGTERM)
    return int(found) + (int(more) if more.isdigit() else 0)
