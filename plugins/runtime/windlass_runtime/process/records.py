"""The process runtime's records: one directory per sandbox and per container, files written whole. Blocking, quick."""

import contextlib
import hashlib
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from windlass.plugin.interfaces.runtime import ContainerState, ContainerStatus, SandboxStatus
from windlass_runtime.process import cgroups
from windlass_runtime.process import syscalls as sys_
from windlass_runtime.process.files import boot_id, read_json, start_time, write_json

LOST_EXIT_CODE = 137


def digest(*parts: object) -> str:
    """Make an id."""
    return hashlib.sha256("\0".join(str(p) for p in parts).encode()).hexdigest()


def alive(run: Mapping[str, Any] | None, pid: str, start: str) -> bool:
    """Say whether the very process of a record lives: its pid may have been given to another one."""
    if run is None or run.get(start, 0) == 0 or run.get("boot") != boot_id():
        return False
    return start_time(int(run[pid])) == int(run[start])


@dataclass(frozen=True, slots=True)
class Records:
    """All records under one state directory."""

    root: Path

    def prepare(self) -> None:
        """Make the directories."""
        for name in ("sandboxes", "containers"):
            (self.root / name).mkdir(parents=True, exist_ok=True, mode=0o700)

    def sandbox_dir(self, sandbox_id: str) -> Path:
        """Return a sandbox's directory. Ids are digests that we made, checked before they become a path."""
        return self.root / "sandboxes" / _checked(sandbox_id)

    def container_dir(self, container_id: str) -> Path:
        """Return a container's directory."""
        return self.root / "containers" / _checked(container_id)

    def create(self, directory: Path, config: Mapping[str, Any]) -> None:
        """Write the first record; an existing one stays as it is."""
        if not (directory / "config.json").exists():
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_json(directory / "config.json", config)

    def sandbox(self, sandbox_id: str) -> SandboxStatus | None:
        """Describe a sandbox."""
        directory = self.sandbox_dir(sandbox_id)
        config = read_json(directory / "config.json")
        if config is None:
            return None
        run = read_json(directory / "run.json")
        ready = alive(run, "pid", "start")
        private = config["namespaces"] and not config["host_network"]
        path = f"/proc/{run['pid']}/ns/net" if ready and private and run else ""
        return SandboxStatus(
            sandbox_id, ready, config["created_at"], config["labels"], netns_path=path, attempt=config["attempt"]
        )

    def container(self, container_id: str) -> ContainerStatus | None:
        """Describe a container."""
        directory = self.container_dir(container_id)
        config = read_json(directory / "config.json")
        if config is None:
            return None
        run = read_json(directory / "run.json")
        living = alive(run, "shim", "shim_start")
        ended = read_json(directory / "exit.json")
        state, outcome = _state(run, ended, living=living)
        return ContainerStatus(
            id=container_id,
            sandbox_id=config["sandbox_id"],
            name=config["name"],
            attempt=config["attempt"],
            state=state,
            image=config["image"],
            image_id=config["image_id"],
            created_at=config["created_at"],
            started_at=run["started_at"] if run else 0.0,
            finished_at=outcome.get("finished_at", 0.0),
            exit_code=outcome.get("exit_code", 0),
            reason=outcome.get("reason", ""),
            message=outcome.get("message", ""),
            labels=config["labels"],
            pid=int(run["pid"]) if run and living else 0,
        )

    def sandboxes(self) -> Iterator[SandboxStatus]:
        """Describe all sandboxes."""
        for entry in sorted((self.root / "sandboxes").iterdir()):
            found = self.sandbox(entry.name)
            if found is not None:
                yield found

    def containers(self, sandbox_id: str = "") -> Iterator[ContainerStatus]:
        """Describe all containers, or one sandbox's."""
        for entry in sorted((self.root / "containers").iterdir()):
            found = self.container(entry.name)
            if found is not None and sandbox_id in ("", found.sandbox_id):
                yield found

    def remove(self, directory: Path) -> None:
        """Remove a record with what the kernel holds for it, its name first, so that a half-removed one is none."""
        config = read_json(directory / "config.json") or {}
        (directory / "config.json").unlink(missing_ok=True)
        if config.get("cgroup"):
            cgroups.remove(config["cgroup"])
        if config.get("shm") and Path(config["shm"]).parent == directory:
            with contextlib.suppress(OSError):
                sys_.unmount(config["shm"])
        shutil.rmtree(directory, ignore_errors=True)

    def layers_in_use(self) -> set[str]:
        """Return the layers that containers stand on."""
        configs = (read_json(entry / "config.json") for entry in (self.root / "containers").iterdir())
        return {layer for config in configs if config for layer in config.get("layers") or ()}


def _checked(identifier: str) -> str:
    return identifier if identifier.isalnum() else digest(identifier)


def _state(
    run: Mapping[str, Any] | None, ended: Mapping[str, Any] | None, *, living: bool
) -> tuple[ContainerState, Mapping[str, Any]]:
    """Return the state and how it ended; a shim that died without a word means that nobody knows."""
    if ended is not None:
        return ContainerState.EXITED, ended
    if run is None:
        return ContainerState.CREATED, {}
    if living:
        return ContainerState.RUNNING, {}
    lost = {
        "exit_code": LOST_EXIT_CODE,
        "reason": "ContainerStatusUnknown",
        "message": "its shim ended without a record",
    }
    return ContainerState.EXITED, {**lost, "finished_at": run["started_at"]}
