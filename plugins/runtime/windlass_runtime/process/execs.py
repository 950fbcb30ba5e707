"""A command in a running container: enters its namespaces, groups and root, and waits for the command. Standard library only."""

import contextlib
import os
import selectors
import signal
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from windlass_runtime.process import become, cgroups
from windlass_runtime.process import syscalls as sys_
from windlass_runtime.process.files import read_json, receive, start_time

HANGUP, KILL = b"H", b"K"
HANGUP_SECONDS = 1.0
INSIDE = sys_.CLONE_NEWNS | sys_.CLONE_NEWCGROUP | sys_.CLONE_NEWUTS | sys_.CLONE_NEWIPC | sys_.CLONE_NEWNET
Config = Mapping[str, Any]


def _child(
    config: Config, request: Mapping[str, Any], pidfd: int, go: int, report: socket.socket, streams: Sequence[int]
) -> None:
    """Become the command. Never returns; a failure is reported."""
    try:
        os.read(go, 1)
        os.setsid()
        if config["namespaces"]:
            sys_.enter(pidfd, INSIDE)
        terminal = -1
        if request["tty"]:
            ours, terminal = become.open_terminal()
            socket.send_fds(report, [b"T"], [ours])
            os.close(ours)
        else:
            become.use_streams(*streams)
        become.become(config, request["command"], terminal=terminal)
    except BaseException as error:  # noqa: BLE001 - whatever it is, the driver has to hear of it
        report.send(b"E" + become.failure(error)[:4000])
    os._exit(126)


def run_exec(
    directory: Path, config: Config, request: Mapping[str, Any], report: socket.socket, streams: Sequence[int]
) -> None:
    """Start the command and report over the socket until it has ended.

    Sent: `T` with the terminal's descriptor, `E<why>` when it could not start, `S` when it runs, `X<code>` at its end.
    Heard: `H` or the end of the connection hangs it up, `K` kills it with all that it started.
    """
    run = read_json(directory / "run.json") or {}
    pid = int(run.get("pid") or 0)
    if not pid or start_time(pid) != run["start"]:
        report.send(b"Ethe container is not running")
        return
    container = os.pidfd_open(pid)
    if config["namespaces"]:
        sys_.enter(container, sys_.CLONE_NEWPID)
    go_read, go_write = os.pipe()
    started, starting = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    child = os.fork()
    if child == 0:
        os.close(go_write)
        started.close()
        _child(config, request, container, go_read, starting, streams)
    starting.close()
    for descriptor in (container, go_read, *streams):
        os.close(descriptor)
    own = None
    problem = b""
    try:
        if config["cgroups"]:
            own = cgroups.join_child(config["cgroup"], f"exec-{os.getpid()}", child)
        with contextlib.suppress(OSError):
            Path(f"/proc/{child}/oom_score_adj").write_text(str(config["oom_score_adj"]))
        os.write(go_write, b"x")
    except OSError as error:
        problem = become.failure(error)
        os.kill(child, signal.SIGKILL)
    os.close(go_write)
    problem = _relay(started, report) or problem
    if problem:
        report.send(b"E" + problem)
    else:
        report.send(b"S")
        _wait(child, report, own)
    _, status = os.waitpid(child, 0)
    if own is not None:
        cgroups.leave(own)
    code = os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
    with contextlib.suppress(OSError):
        report.send(b"X" + str(code).encode())


def _relay(started: socket.socket, report: socket.socket) -> bytes:
    """Pass the terminal on and wait until the command runs; return why it does not."""
    problem = b""
    with started:
        while True:
            message, descriptors = receive(started, 4096, 1)
            if descriptors:
                socket.send_fds(report, [b"T"], descriptors)
                os.close(descriptors[0])
            elif message[:1] == b"E":
                problem = message[1:]
            if not message:
                return problem


def _wait(child: int, report: socket.socket, own: Path | None) -> None:
    """Return when the command has ended, by itself or because the driver wants it to."""
    ended = os.pidfd_open(child)
    hung_up = False
    with selectors.DefaultSelector() as selector:
        selector.register(ended, selectors.EVENT_READ)
        selector.register(report, selectors.EVENT_READ)
        while True:
            events = selector.select(HANGUP_SECONDS if hung_up else None)
            ready = {key.fd for key, _ in events}
            if ended in ready:
                break
            message = report.recv(64) if report.fileno() in ready else b""
            if message == KILL or (hung_up and not ready):
                _kill(child, own)
            elif not hung_up:
                hung_up = True
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child, signal.SIGHUP)
            if report.fileno() in ready and not message:
                selector.unregister(report)
    os.close(ended)


def _kill(child: int, own: Path | None) -> None:
    """Kill the command with all that it started."""
    if own is not None:
        cgroups.kill(own)
    else:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
