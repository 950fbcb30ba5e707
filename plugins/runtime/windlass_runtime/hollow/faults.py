"""What a hollow runtime shall do wrong, or slowly: read from its configuration and from pod annotations. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from windlass.plugin.interfaces.runtime import ContainerStats, ContainerStatus

PREFIX = "hollow.windlass.dev/"
"""Annotations: `start-seconds`, `run-seconds`, `exit-code`, `stop-seconds`, `oom`, `fail-<verb>` (value: reason).

What a command in a container does: `exec-exit-code`, `exec-output`, `exec-seconds`, each also for one program only, as
`exec-exit-code.<program>`; exec probes and hooks meet these too. What a container uses: `cpu-millis`, `memory-bytes`,
`rootfs-bytes`, `log-bytes`, `pids`; each also as `<key>.<container>`.
"""


@dataclass(slots=True)
class Fault:
    """A verb that fails. `times` counts down; -1 means for ever."""

    reason: str
    message: str = "told to fail"
    times: int = -1


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How one container behaves. `run_seconds` below 0 means it runs until stopped."""

    start_seconds: float = 0.0
    run_seconds: float = -1.0
    exit_code: int = 0
    stop_seconds: float = 0.0
    oom: bool = False


@dataclass(slots=True)
class HollowConfig:
    """Configuration of the driver: delays in seconds and faults per verb, the default behaviour, missing images."""

    delays: Mapping[str, float] = field(default_factory=dict)
    faults: dict[str, Fault] = field(default_factory=dict)
    behaviour: Behaviour = field(default_factory=Behaviour)
    missing_images: frozenset[str] = frozenset()
    local_images: frozenset[str] = frozenset()
    output: str = ""


def parse_config(config: Mapping[str, Any]) -> HollowConfig:
    """Read the plugin's configuration section (already validated by its schema)."""
    faults = {
        str(verb): Fault(
            str(f.get("reason", "RuntimeError")), str(f.get("message", "told to fail")), int(f.get("times", -1))
        )
        for verb, f in (config.get("faults") or {}).items()
    }
    return HollowConfig(
        delays={str(k): float(v) for k, v in (config.get("delays") or {}).items()},
        faults=faults,
        behaviour=Behaviour(
            start_seconds=float(config.get("start_seconds", 0.0)),
            run_seconds=float(config.get("run_seconds", -1.0)),
            exit_code=int(config.get("exit_code", 0)),
            stop_seconds=float(config.get("stop_seconds", 0.0)),
        ),
        missing_images=frozenset(config.get("missing_images") or ()),
        local_images=frozenset(config.get("local_images") or ()),
        output=str(config.get("output", "")),
    )


def _number(annotations: Mapping[str, str], key: str, default: float) -> float:
    try:
        return float(annotations[PREFIX + key])
    except (KeyError, ValueError):
        return default


def behaviour_of(annotations: Mapping[str, str], default: Behaviour) -> Behaviour:
    """Overlay a pod's annotations on the driver's default; unreadable numbers leave the default."""
    return Behaviour(
        start_seconds=_number(annotations, "start-seconds", default.start_seconds),
        run_seconds=_number(annotations, "run-seconds", default.run_seconds),
        exit_code=int(_number(annotations, "exit-code", default.exit_code)),
        stop_seconds=_number(annotations, "stop-seconds", default.stop_seconds),
        oom=annotations.get(PREFIX + "oom", str(default.oom)).lower() == "true",
    )


def fault_of(annotations: Mapping[str, str], verb: str) -> Fault | None:
    """Return the fault that a pod asks for in a verb, if any."""
    reason = annotations.get(f"{PREFIX}fail-{verb.replace('_', '-')}")
    return Fault(reason, f"{verb} told to fail by annotation") if reason else None


@dataclass(frozen=True, slots=True)
class ExecBehaviour:
    """How one command in a container behaves."""

    exit_code: int = 0
    output: str = ""
    seconds: float = 0.0


def exec_behaviour(annotations: Mapping[str, str], program: str) -> ExecBehaviour:
    """Return what a command does; the annotation of its own program wins."""
    name = program.rpartition("/")[2]

    def text(key: str) -> str:
        return annotations.get(f"{PREFIX}{key}.{name}", annotations.get(f"{PREFIX}{key}", ""))

    def number(key: str) -> float:
        return _number(annotations, f"{key}.{name}", _number(annotations, key, 0.0))

    return ExecBehaviour(int(number("exec-exit-code")), text("exec-output"), number("exec-seconds"))


def made_up_stats(status: ContainerStatus, annotations: Mapping[str, str], now: float) -> ContainerStats:
    """Return what the annotations say that a container uses; 0 without one."""

    def figure(key: str) -> int:
        return int(_number(annotations, f"{key}.{status.name}", _number(annotations, key, 0.0)))

    memory = figure("memory-bytes")
    return ContainerStats(
        container_id=status.id,
        name=status.name,
        labels=status.labels,
        timestamp=now,
        cpu_usage_nanoseconds=int((now - status.started_at) * figure("cpu-millis") * 1_000_000),
        memory_usage_bytes=memory,
        memory_working_set_bytes=memory,
        memory_rss_bytes=memory,
        rootfs_bytes=figure("rootfs-bytes"),
        log_bytes=figure("log-bytes"),
        pids=figure("pids") or 1,
    )
