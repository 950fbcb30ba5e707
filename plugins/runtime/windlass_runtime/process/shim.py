"""What stands between the agent and a container: starts it, keeps its log, records how it ended, outlives the agent.

A shim is a fork of the launcher (`launcher.py`), so that it costs no start of an interpreter. It reports to the driver
over a socket when the container runs or could not start, and stays with the container. All state is in files of its
directory, written whole: `config.json` by the driver, `run.json` and `exit.json` by the shim. Standard library only.
"""

import contextlib
import json
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from windlass_runtime.process import become, cgroups, frames, rootfs
from windlass_runtime.process import syscalls as sys_
from windlass_runtime.process.console import Console
from windlass_runtime.process.crilog import LogWriter
from windlass_runtime.process.files import boot_id, receive, start_time, write_json

START_ERROR = 128
READ_BYTES = 64 * 1024
Config = Mapping[str, Any]


@dataclass(slots=True)
class Streams:
    """A container's streams as the shim holds them; -1 for none. With a terminal, all are the terminal."""

    stdin: int = -1
    stdout: int = -1
    stderr: int = -1
    terminal: bool = False


def run_sandbox(directory: Path, config: Config) -> None:
    """Become the sandbox's process: new namespaces, then the pause program. Raises OSError."""
    isolated = config["namespaces"]
    if isolated:
        sys_.unshare(config["unshare"])
        if config.get("hostname") and config["unshare"] & sys_.CLONE_NEWUTS:
            socket.sethostname(config["hostname"])
        for name, value in config["sysctls"].items():
            Path("/proc/sys", name.replace(".", "/")).write_text(value)
        if config.get("shm") and not os.path.ismount(config["shm"]):
            Path(config["shm"]).mkdir(exist_ok=True)
            flags = sys_.MS_NOSUID | sys_.MS_NODEV | sys_.MS_NOEXEC
            sys_.mount("shm", config["shm"], "tmpfs", flags, "mode=1777,size=64m")
    ready, go = os.pipe()
    # Where the sandbox has a pid namespace of its own, only a child is in it, and is its process 1.
    child = os.fork() if isolated and config["unshare"] & sys_.CLONE_NEWPID else 0
    if child == 0:
        os.close(go)
        pid = os.getpid()
        if pid == 1:
            os.read(ready, 1)
        else:
            write_json(directory / "run.json", {"pid": pid, "start": start_time(pid), "boot": boot_id()})
        become.reset_signals()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # orphans of the pod leave no zombies
        os.execv(config["pause"], ["/pause"])  # noqa: S606 - our own program, no shell
    write_json(directory / "run.json", {"pid": child, "start": start_time(child), "boot": boot_id()})
    os.close(go)


def _child(directory: Path, config: Config, theirs: Streams, go: int, report: socket.socket) -> None:
    """Become the container's program. Never returns; a failure is reported."""
    try:
        os.read(go, 1)
        os.setsid()
        if config["namespaces"]:
            rootfs.enter(directory, config)
        terminal = -1
        if config.get("tty"):
            ours, terminal = become.open_terminal()
            socket.send_fds(report, [b"T"], [ours])
            os.close(ours)
        else:
            become.use_streams(theirs.stdin, theirs.stdout, theirs.stderr)
        become.become(config, config["argv"], terminal=terminal, new_directory=True)
    except BaseException as error:  # noqa: BLE001 - whatever it is, the shim has to hear of it
        report.send(b"E" + become.failure(error)[:4000])
    os._exit(127)


def _join_namespaces(config: Config) -> None:
    """Enter the sandbox's namespaces, and the pid namespace that the container's processes shall be in."""
    sandbox = os.pidfd_open(config["sandbox_pid"])
    try:
        sys_.enter(sandbox, sys_.CLONE_NEWNET | sys_.CLONE_NEWIPC | sys_.CLONE_NEWUTS)
    finally:
        os.close(sandbox)
    shared = config.get("pid_of") or 0
    if shared:
        target = os.pidfd_open(shared)
        sys_.enter(target, sys_.CLONE_NEWPID)
        os.close(target)
    elif not config.get("host_pid"):
        sys_.unshare(sys_.CLONE_NEWPID)


def _pipes(config: Config) -> tuple[Streams, Streams]:
    """Return (ours, the container's) ends. Standard input is empty unless it was asked for."""
    ours, theirs = Streams(), Streams()
    if config.get("tty"):
        return Streams(terminal=True), theirs
    ours.stdout, theirs.stdout = os.pipe()
    ours.stderr, theirs.stderr = os.pipe()
    if config.get("stdin"):
        theirs.stdin, ours.stdin = os.pipe()
    else:
        theirs.stdin = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    return ours, theirs


def _spawn(directory: Path, config: Config) -> tuple[int, Streams, bytes]:
    """Fork the container; return its pid, its streams, and why it did not start (empty when it did)."""
    if config["cgroups"]:
        rules = None if config.get("privileged") else config["device_rules"]
        cgroups.create(config["cgroup"], config["resources"], rules)
    if config["namespaces"]:
        _join_namespaces(config)
    ours, theirs = _pipes(config)
    go_read, go_write = os.pipe()
    reports, report = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        os.close(go_write)
        reports.close()
        _child(directory, config, theirs, go_read, report)
    report.close()
    for descriptor in (theirs.stdin, theirs.stdout, theirs.stderr, go_read):
        if descriptor >= 0:
            os.close(descriptor)
    problem = b""
    try:
        if config["cgroups"]:
            cgroups.join(config["cgroup"], pid)
        Path(f"/proc/{pid}/oom_score_adj").write_text(str(config["oom_score_adj"]))
        os.write(go_write, b"x")
    except OSError as error:
        problem = become.failure(error)
        os.kill(pid, signal.SIGKILL)
    os.close(go_write)
    return pid, ours, _hear(reports, ours) or problem


def _hear(reports: socket.socket, ours: Streams) -> bytes:
    """Take the container's terminal, if it has one, and wait until its program runs; return why it does not."""
    problem = b""
    with reports:
        while True:
            message, descriptors = receive(reports, 4096, 1)
            if descriptors:
                ours.stdin = ours.stdout = descriptors[0]
            if message[:1] == b"E":
                problem = message[1:]
            if not message:
                return problem


class Pump:
    """Moves a container's output to its log and to who is attached, until it has ended."""

    def __init__(self, directory: Path, config: Config, pid: int, streams: Streams) -> None:
        self._selector = selectors.DefaultSelector()
        self._pid = pid
        self._sources = {streams.stdout: "stdout"}
        if not streams.terminal:
            self._sources[streams.stderr] = "stderr"
        self._log = LogWriter(
            Path(config["log_path"]), rotate_bytes=config["log_max_bytes"], max_files=config["log_max_files"]
        )
        terminal = streams.stdout if streams.terminal else -1
        stdin = os.dup(streams.stdin) if config.get("stdin") and streams.stdin >= 0 else -1
        if streams.stdin >= 0 and not streams.terminal:
            os.close(streams.stdin)
        once = bool(config.get("stdin_once"))
        self._console = Console(directory, self._selector, stdin=stdin, terminal=terminal, once=once)
        self._isolated = bool(config["namespaces"])

    def run(self) -> int:
        """Return the exit code (128+N for signal N)."""
        over: list[int] = []
        ended = os.pidfd_open(self._pid)
        self._selector.register(ended, selectors.EVENT_READ, over.append)
        reading = False
        while not over:
            if reading == self._console.congested:
                reading = not reading
                self._listen(reading=reading)
            for key, mask in self._selector.select(None if reading else 1.0):
                callback: Callable[[int], None] = key.data
                callback(mask)
            self._console.cut_stalled()
        for descriptor in list(self._sources):
            while self._copy(descriptor, last=True):
                pass
        self._log.flush()
        if not self._isolated:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._pid, signal.SIGKILL)
        _, status = os.waitpid(self._pid, 0)
        return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)

    def finish(self, code: int) -> None:
        """Tell who is attached. A process of its own waits for them: the end of this one is the driver's news."""
        if not self._console.attached:
            return
        if self._isolated:  # children would go into the container's pid namespace, which is gone
            sys_.setns("/proc/self/ns/pid")
        if os.fork() == 0:
            self._console.finish(code)
            os._exit(0)

    def _listen(self, *, reading: bool) -> None:
        """Begin or stop to read the container's output."""
        for descriptor in self._sources:
            if reading:
                os.set_blocking(descriptor, False)
                self._selector.register(descriptor, selectors.EVENT_READ, self._reader(descriptor))
            else:
                self._selector.unregister(descriptor)

    def _reader(self, descriptor: int) -> Callable[[int], None]:
        def read(_mask: int) -> None:
            if not self._copy(descriptor):
                self._selector.unregister(descriptor)
                del self._sources[descriptor]

        return read

    def _copy(self, descriptor: int, *, last: bool = False) -> bool:
        """Copy what is there; return False at the end, or when there is nothing and no more is awaited."""
        stream = self._sources[descriptor]
        try:
            data = os.read(descriptor, READ_BYTES)
        except BlockingIOError:
            return not last
        except OSError:
            return False  # a terminal whose other end is closed
        if data:
            self._log.feed(stream, data)
            self._console.send(frames.STDOUT if stream == "stdout" else frames.STDERR, data)
        return bool(data)


def run_container(directory: Path, config: Config, report: socket.socket) -> None:
    """Start the container, report, and stay until it ends."""
    try:
        pid, streams, problem = _spawn(directory, config)
    except OSError as error:
        pid, streams, problem = 0, Streams(), become.failure(error)
    mine = os.getpid()
    run = {"pid": pid, "start": start_time(pid), "shim": mine, "shim_start": start_time(mine)}
    if problem:
        if pid:
            os.waitpid(pid, 0)
        message = problem.decode(errors="replace")
        ended = {"exit_code": START_ERROR, "finished_at": time.time(), "reason": "StartError", "message": message}
        write_json(directory / "exit.json", ended)
        report.send(problem)
        return
    pump = Pump(directory, config, pid, streams)
    write_json(directory / "run.json", {**run, "boot": boot_id(), "started_at": time.time()})
    report.close()
    code = pump.run()
    if config["cgroups"]:
        cgroups.kill(cgroups.folder(config["cgroup"], cgroups.TRACKING))
    oom = config["cgroups"] and code != 0 and cgroups.oom_kills(config["cgroup"]) > 0
    reason = "OOMKilled" if oom else "Completed" if code == 0 else "Error"
    ended = {"exit_code": code, "finished_at": time.time(), "reason": reason, "message": ""}
    write_json(directory / "exit.json", ended)
    pump.finish(code)


def load(directory: Path) -> Config:
    """Read the record that the driver wrote."""
    return dict(json.loads((directory / "config.json").read_text()))
