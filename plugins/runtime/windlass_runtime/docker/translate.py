"""Between CRI's words and Docker's: configurations out, statuses in. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from windlass.plugin.interfaces.runtime import (
    ContainerConfig,
    ContainerResources,
    ContainerState,
    ContainerStatus,
    Mount,
    SandboxConfig,
    SandboxStatus,
)
from windlass_runtime import pause

TYPE = "windlass.dev/type"
SANDBOX_ID = "windlass.dev/sandbox"
NAME = "windlass.dev/name"
ATTEMPT = "windlass.dev/attempt"
NODE = "windlass.dev/node"
SHARED_PID = "windlass.dev/shared-pid"
OURS = (TYPE, SANDBOX_ID, NAME, ATTEMPT, SHARED_PID)

CPU_PERIOD_MICROS = 100_000
MIN_CPU_QUOTA = 1_000
MIN_SHARES = 2
MAX_SHARES = 262_144
SANDBOX_OOM_SCORE = -998
LOG_CONFIG = {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "5"}}
_SANDBOX_NAME = "POD"


def object_name(name: str, config_labels: Mapping[str, str], attempt: int) -> str:
    """Name a Docker container so that `docker ps` reads well and a repeated create meets the first."""
    parts = [config_labels.get(f"io.kubernetes.pod.{key}", "-") for key in ("name", "namespace", "uid")]
    return "_".join(["k8s", name, *parts, str(attempt)])


def sandbox_name(config: SandboxConfig) -> str:
    """Name a sandbox's container."""
    return "_".join(["k8s", _SANDBOX_NAME, config.name, config.namespace, config.uid, str(config.attempt)])


@dataclass(frozen=True, slots=True)
class Place:
    """What a body depends on beside its configuration: this node, and for a container the pod's sandbox.

    `oom_floor` is the least that the kernel takes; `cgroup_parent` and `runtime` are in Docker's own words.
    """

    node_name: str
    oom_floor: int = -1000
    sandbox_id: str = ""
    cgroup_parent: str = ""
    runtime: str = ""
    host_ipc: bool = False
    shared_pid: str = ""
    ulimits: Mapping[str, str] = field(default_factory=dict)
    seccomp: str = ""


def sandbox_body(config: SandboxConfig, place: Place) -> dict[str, Any]:
    """Build the body of `POST /containers/create` for a sandbox."""
    labels = {**config.labels, TYPE: "sandbox", ATTEMPT: str(config.attempt), NODE: place.node_name}
    if config.share_process_namespace and not config.host_pid:
        labels[SHARED_PID] = "true"
    host: dict[str, Any] = {
        "NetworkMode": "host" if config.host_network else "none",
        "IpcMode": "host" if config.host_ipc else "shareable",
        "OomScoreAdj": max(SANDBOX_OOM_SCORE, place.oom_floor),
        "ReadonlyRootfs": True,
        "LogConfig": {"Type": "none"},
        "CgroupParent": place.cgroup_parent,
    }
    if config.host_pid:
        host["PidMode"] = "host"
    if config.sysctls:
        host["Sysctls"] = dict(config.sysctls)
    if config.runtime_handler:
        host["Runtime"] = config.runtime_handler
    body: dict[str, Any] = {
        "Image": pause.IMAGE,
        "Entrypoint": [pause.PROGRAM],
        "Labels": labels,
        "HostConfig": host,
    }
    if config.hostname and not config.host_network:
        body["Hostname"] = config.hostname
    return body


def place_in(attrs: Mapping[str, Any], place: Place) -> Place:
    """Return where a sandbox's containers go: its cgroup, its runtime, the process ids that it shares."""
    host = attrs["HostConfig"]
    sandbox_id = str(attrs["Id"])
    labels = attrs["Config"].get("Labels") or {}
    shared = "host" if host.get("PidMode") == "host" else ""
    if labels.get(SHARED_PID):
        shared = f"container:{sandbox_id}"
    return replace(
        place,
        sandbox_id=sandbox_id,
        cgroup_parent=str(host.get("CgroupParent") or ""),
        runtime=str(host.get("Runtime") or ""),
        host_ipc=host.get("IpcMode") == "host",
        shared_pid=shared,
    )


def _mount(mount: Mount) -> dict[str, Any]:
    # Private is Docker's own choice, but for sources around its data, where it takes rslave and refuses to be told.
    options: dict[str, Any] = {} if mount.propagation == "private" else {"Propagation": mount.propagation}
    if mount.recursive_readonly:
        # Docker makes what lies below read-only where the kernel can; this has it refuse where it cannot.
        options["ReadOnlyForceRecursive"] = True
    return {
        "Type": "bind",
        "Source": mount.host_path,
        "Target": mount.container_path,
        "ReadOnly": mount.readonly,
        "BindOptions": options,
    }


def cpu_shares(millis: int) -> int:
    """Translate a cpu request into cgroup shares as kubelet does; no request gives the minimum."""
    return min(max(MIN_SHARES, millis * 1024 // 1000), MAX_SHARES)


def security_options(config: ContainerConfig, seccomp: str) -> list[str]:
    """Build `SecurityOpt`. `seccomp` is the content of a profile of the node, empty where none is named."""
    options = []
    if config.no_new_privileges:
        options.append("no-new-privileges")
    if seccomp:
        options.append(f"seccomp={seccomp}")
    elif config.seccomp_profile == "unconfined":
        options.append("seccomp=unconfined")
    if config.apparmor_profile not in ("", "runtime/default"):
        options.append(f"apparmor={config.apparmor_profile.removeprefix('localhost/')}")
    return options


def ulimit(name: str, limits: str) -> dict[str, Any]:
    """Translate `soft[:hard]` as `docker run --ulimit` has it."""
    soft, _, hard = limits.partition(":")
    return {"Name": name, "Soft": int(soft), "Hard": int(hard or soft)}


def host_config(config: ContainerConfig, place: Place) -> dict[str, Any]:
    """Build a container's HostConfig: it lives in its sandbox's network and ipc namespaces."""
    sandbox = f"container:{place.sandbox_id}"
    host: dict[str, Any] = {
        "NetworkMode": sandbox,
        "IpcMode": "host" if place.host_ipc else sandbox,
        "OomScoreAdj": max(config.resources.oom_score_adj, place.oom_floor),
        "LogConfig": LOG_CONFIG,
        "Privileged": config.privileged,
        "ReadonlyRootfs": config.readonly_rootfs,
        "CapAdd": list(config.add_capabilities),
        "CapDrop": list(config.drop_capabilities),
        "Mounts": [_mount(m) for m in config.mounts],
        "CgroupParent": place.cgroup_parent,
        "SecurityOpt": security_options(config, place.seccomp),
        **limits(config.resources),
    }
    pid_mode = f"container:{config.target_container_id}" if config.target_container_id else place.shared_pid
    if pid_mode:
        host["PidMode"] = pid_mode
    if config.supplemental_groups:
        host["GroupAdd"] = [str(group) for group in config.supplemental_groups]
    if config.unmasked_proc:
        host |= {"MaskedPaths": [], "ReadonlyPaths": []}
    if config.devices:
        host["Devices"] = [
            {"PathOnHost": d.host_path, "PathInContainer": d.container_path, "CgroupPermissions": d.permissions}
            for d in config.devices
        ]
    if place.runtime:
        host["Runtime"] = place.runtime
    if place.ulimits:
        host["Ulimits"] = [ulimit(name, value) for name, value in place.ulimits.items()]
    return host


def limits(resources: ContainerResources) -> dict[str, Any]:
    """Translate cgroup limits."""
    host: dict[str, Any] = {"CpuShares": cpu_shares(resources.cpu_request_millis)}
    if resources.cpu_limit_millis:
        quota = resources.cpu_limit_millis * CPU_PERIOD_MICROS // 1000
        host |= {"CpuPeriod": CPU_PERIOD_MICROS, "CpuQuota": max(quota, MIN_CPU_QUOTA)}
    if resources.memory_limit_bytes:
        host |= {"Memory": resources.memory_limit_bytes, "MemorySwap": resources.memory_limit_bytes}
    if resources.pids_limit:
        host["PidsLimit"] = resources.pids_limit
    return host


def container_body(config: ContainerConfig, place: Place) -> dict[str, Any]:
    """Build the body of `POST /containers/create` for a container."""
    labels = {
        **config.labels,
        TYPE: "container",
        SANDBOX_ID: place.sandbox_id,
        NAME: config.name,
        ATTEMPT: str(config.attempt),
        NODE: place.node_name,
    }
    body: dict[str, Any] = {
        "Image": config.image,
        "Env": [f"{key}={value}" for key, value in config.env.items()],
        "Labels": labels,
        "OpenStdin": config.stdin,
        "StdinOnce": config.stdin and config.stdin_once,
        "Tty": config.tty,
        "HostConfig": host_config(config, place),
    }
    if config.command is not None:
        body["Entrypoint"] = list(config.command)
    if config.args is not None:
        body["Cmd"] = list(config.args)
    if config.working_dir:
        body["WorkingDir"] = config.working_dir
    if config.user:
        body["User"] = config.user
    return body


def parse_time(text: str) -> float:
    """Parse Docker's time (nanoseconds, zero year for never) into UNIX seconds, 0 for never."""
    if not text or text.startswith("0001-"):
        return 0.0
    whole, _, rest = text.partition(".")
    digits = rest.rstrip("Z").partition("+")[0].partition("-")[0]
    stamp = datetime.fromisoformat(whole.rstrip("Z")).replace(tzinfo=UTC).timestamp()
    return stamp + (float("0." + digits) if digits else 0.0)


def user_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Return the labels that the caller gave."""
    return {k: v for k, v in labels.items() if k not in OURS}


def sandbox_status(attrs: Mapping[str, Any]) -> SandboxStatus:
    """Read a sandbox from `GET /containers/{id}/json`."""
    state = attrs["State"]
    labels = attrs["Config"].get("Labels") or {}
    running = bool(state.get("Running"))
    private = attrs["HostConfig"].get("NetworkMode") != "host"
    return SandboxStatus(
        id=attrs["Id"],
        ready=running,
        created_at=parse_time(attrs.get("Created", "")),
        labels=user_labels(labels),
        netns_path=f"/proc/{state['Pid']}/ns/net" if running and private else "",
        attempt=int(labels.get(ATTEMPT, "0")),
    )


def _end_reason(state: Mapping[str, Any], exit_code: int) -> str:
    if state.get("OOMKilled"):
        return "OOMKilled"
    return "Completed" if exit_code == 0 else "Error"


def container_status(attrs: Mapping[str, Any]) -> ContainerStatus:
    """Read a container from `GET /containers/{id}/json`.

    A container whose start failed stays `created` with an error in Docker; CRI says that it exited with code 128.
    """
    raw = attrs["State"]
    labels = attrs["Config"].get("Labels") or {}
    exit_code = int(raw.get("ExitCode") or 0)
    failed_start = raw.get("Status") == "created" and bool(raw.get("Error"))
    state, reason, finished = ContainerState.EXITED, "", parse_time(raw.get("FinishedAt", ""))
    if raw.get("Running"):
        state, finished = ContainerState.RUNNING, 0.0
    elif failed_start:
        reason, exit_code, finished = "StartError", exit_code or 128, parse_time(attrs.get("Created", ""))
    elif raw.get("Status") == "created":
        state, finished = ContainerState.CREATED, 0.0
    else:
        reason = _end_reason(raw, exit_code)
    return ContainerStatus(
        id=attrs["Id"],
        sandbox_id=labels.get(SANDBOX_ID, ""),
        name=labels.get(NAME, ""),
        attempt=int(labels.get(ATTEMPT, "0")),
        state=state,
        image=attrs["Config"].get("Image", ""),
        image_id=attrs.get("Image", ""),
        created_at=parse_time(attrs.get("Created", "")),
        started_at=parse_time(raw.get("StartedAt", "")),
        finished_at=finished,
        exit_code=exit_code if state is ContainerState.EXITED else 0,
        reason=reason,
        message=str(raw.get("Error") or "") if state is ContainerState.EXITED else "",
        labels=user_labels(labels),
        pid=int(raw.get("Pid") or 0),
    )
