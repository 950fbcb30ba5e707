"""Start processes in the background, find them again, and stop exactly those.

A record holds the process id and its start time, so that a number which the kernel has given to somebody else since is
never signalled.
"""

import json
import os
import select
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO


def _start_ticks(pid: int) -> int:
    """Return a process's start time in clock ticks since boot; 0 when there is no such process or it is a zombie."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return 0
    return 0 if after_name[0] in ("Z", "X") else int(after_name[19])


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """A process that we started."""

    name: str
    pid: int
    start_ticks: int

    @property
    def running(self) -> bool:
        """Whether that very process still runs."""
        return self.start_ticks != 0 and _start_ticks(self.pid) == self.start_ticks

    def stop(self, grace_seconds: float) -> bool:
        """TERM, wait for the end, KILL after the grace; return whether it ended by itself. Fine when it has gone."""
        if not self.running:
            return True
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return True
        try:
            return _end(handle, grace_seconds)
        finally:
            os.close(handle)


def _end(handle: int, grace_seconds: float) -> bool:
    for number, seconds in ((signal.SIGTERM, grace_seconds), (signal.SIGKILL, 10.0)):
        try:
            signal.pidfd_send_signal(handle, number)
        except ProcessLookupError:
            return True
        if select.select([handle], [], [], seconds)[0]:
            return number == signal.SIGTERM
    return False


class ProcessTable:
    """The records of one data directory."""

    def __init__(self, run_dir: Path, log_dir: Path) -> None:
        self._run_dir = run_dir
        self._log_dir = log_dir

    def get(self, name: str) -> ProcessRecord | None:
        """Return the record of that name, running or not."""
        try:
            raw = json.loads((self._run_dir / f"{name}.json").read_text())
            return ProcessRecord(name, int(raw["pid"]), int(raw["startTicks"]))
        except (FileNotFoundError, ValueError, KeyError):
            return None

    def all(self) -> list[ProcessRecord]:
        """Return every record, by name."""
        records = (self.get(path.stem) for path in sorted(self._run_dir.glob("*.json")))
        return [record for record in records if record is not None]

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None) -> ProcessRecord:
        """Start a command in a session of its own, output appended to LOGS/NAME.log; one that runs is left alone."""
        known = self.get(name)
        if known is not None and known.running:
            return known
        with _open_private(self.log_path(name)) as log:
            # Not subprocess: these children outlive us and nobody waits for them.
            pid = os.posix_spawnp(
                command[0],
                list(command),
                {**os.environ, **(environment or {})},
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, log.fileno(), 1),
                    (os.POSIX_SPAWN_DUP2, log.fileno(), 2),
                ],
                setsid=True,
            )
        record = ProcessRecord(name, pid, _start_ticks(pid))
        path = self._run_dir / f"{name}.json"
        path.write_text(json.dumps({"pid": record.pid, "startTicks": record.start_ticks, "command": list(command)}))
        path.chmod(0o600)
        return record

    def stop(self, name: str, grace_seconds: float) -> None:
        """Stop a recorded process and forget it."""
        record = self.get(name)
        if record is not None:
            record.stop(grace_seconds)
        (self._run_dir / f"{name}.json").unlink(missing_ok=True)

    def log_path(self, name: str) -> Path:
        """Where a process's output goes."""
        return self._log_dir / f"{name}.log"


def _open_private(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")
