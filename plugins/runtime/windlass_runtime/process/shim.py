"""What stands between the agent and a container: starts it, keeps its log, records how it ended, outlives the agent.

    python -m windlass_runtime.process.shim sandbox|container DIRECTORY

The program forks; the parent returns when the container runs (status 0) or could not start (status 1, the reason on
standard error), the child stays with it. All state is in files of DIRECTORY, written whole: `config.json` by the
driver, `run.json` and `exit.json` by the shim. Standard library only.
"""

import json
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from windlass_runtime.process import cgroups, rootfs
from windlass_runtime.process import syscalls as sys_
from windlass_runtime.process.crilog import LogWriter

START_ERROR = 128
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
Config = Mapping[str, Any]


def write_json(path: Path, value: Any) -> None:
    """Write a file whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(value))
    temporary.replace(path)


def start_time(pid: int) -> int:
    """Return a process's start time in clock ticks, which with its pid names it for good; 0 when it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    fields = text.rpartition(")")[2].split()
    return 0 if fields[0] in "ZX" else int(fields[19])


def run_sandbox(directory: Path, config: Config) -> None:
    """Become the sandbox's process: new namespaces, then the pause program."""
    if config["namespaces"]:
        sys_.unshare(config["unshare"])
        if config.get("hostname") and config["unshare"] & sys_.CLONE_NEWUTS:
            socket.sethostname(config["hostname"])
    write_json(directory / "run.json", {"pid": os.getpid(), "start": start_time(os.getpid())})
    os.execv(config["pause"], [config["pause"]])  # noqa: S606 - our own program, no shell


def _child(directory: Path, config: Config, go: int, status: int) -> None:
    """Become the container's program. Never returns; a failure is written to `status`."""
    try:
        os.read(go, 1)
        if config["namespaces"]:
            rootfs.enter(directory, config)
            if not config.get("privileged"):
                rootfs.drop_capabilities(config.get("add_capabilities") or (), config.get("drop_capabilities") or ())
        os.chdir(config.get("working_dir") or "/")
        if config.get("user") and os.geteuid() == 0:
            rootfs.set_user(config["user"])
        for number in (signal.SIGPIPE, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        env = {"PATH": PATH, "HOSTNAME": socket.gethostname(), **config["env"]}
        os.execvpe(config["argv"][0], config["argv"], env)  # noqa: S606 - the pod's own command, no shell
    except BaseException as error:  # noqa: BLE001 - whatever it is, the shim has to hear of it
        os.write(status, str(error).encode() or type(error).__name__.encode())
    os._exit(127)


def _spawn(directory: Path, config: Config) -> tuple[int, int, int, str]:
    """Fork the container; return its pid, its two output pipes, and why it did not start ("" when it did)."""
    if config["namespaces"]:
        for kind in ("net", "ipc", "uts"):
            sys_.setns(f"/proc/{config['sandbox_pid']}/ns/{kind}")
        sys_.unshare(sys_.CLONE_NEWPID)
    out_read, out_write = os.pipe()
    err_read, err_write = os.pipe()
    go_read, go_write = os.pipe()
    status_read, status_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        null = os.open("/dev/null", os.O_RDONLY)
        for source, target in ((null, 0), (out_write, 1), (err_write, 2)):
            os.dup2(source, target)
        os.close(go_write)
        _child(directory, config, go_read, status_write)
    for descriptor in (out_write, err_write, status_write, go_read):
        os.close(descriptor)
    problem = ""
    try:
        if config["cgroups"]:
            cgroups.apply(config["id"], config["resources"], pid)
        Path(f"/proc/{pid}/oom_score_adj").write_text(str(config["oom_score_adj"]))
        os.write(go_write, b"x")
    except OSError as error:
        problem = str(error)
        os.kill(pid, signal.SIGKILL)
    os.close(go_write)
    with os.fdopen(status_read, "rb") as status:
        problem = status.read().decode(errors="replace") or problem
    return pid, out_read, err_read, problem


def _pump(log: LogWriter, pid: int, pipes: Mapping[int, str]) -> int:
    """Copy output to the log until the container has ended; return its exit code (128+N for signal N)."""
    selector = selectors.DefaultSelector()
    for descriptor, stream in pipes.items():
        os.set_blocking(descriptor, False)
        selector.register(descriptor, selectors.EVENT_READ, stream)
    ended = os.pidfd_open(pid)
    selector.register(ended, selectors.EVENT_READ, "")
    over = False
    while not over:
        for key, _ in selector.select():
            if key.fd == ended:
                over = True
            elif not _copy(log, key.fd, key.data):
                selector.unregister(key.fd)
    for descriptor, stream in pipes.items():
        while _copy(log, descriptor, stream, more=False):
            pass
    log.flush()
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


def _copy(log: LogWriter, descriptor: int, stream: str, *, more: bool = True) -> bool:
    """Copy what is there; return False at the end, or when there is nothing and no more is awaited."""
    try:
        data = os.read(descriptor, 65536)
    except BlockingIOError:
        return more
    if data:
        log.feed(stream, data)
    return bool(data)


def run_container(directory: Path, config: Config, report: int) -> None:
    """Start the container, report to the waiting parent, and stay until it ends."""
    log = LogWriter(directory / "container.log")
    try:
        pid, out, err, problem = _spawn(directory, config)
    except OSError as error:
        pid, out, err, problem = 0, -1, -1, str(error)
    run = {"pid": pid, "start": start_time(pid), "shim": os.getpid(), "shim_start": start_time(os.getpid())}
    if problem:
        if pid:
            os.waitpid(pid, 0)
        ended = {"exit_code": START_ERROR, "finished_at": time.time(), "reason": "StartError", "message": problem}
        write_json(directory / "exit.json", ended)
        os.write(report, problem.encode())
        return
    write_json(directory / "run.json", {**run, "started_at": time.time()})
    os.close(report)
    code = _pump(log, pid, {out: "stdout", err: "stderr"})
    oom = config["cgroups"] and code == 137 and cgroups.oom_kills(config["id"]) > 0
    reason = "OOMKilled" if oom else "Completed" if code == 0 else "Error"
    write_json(
        directory / "exit.json", {"exit_code": code, "finished_at": time.time(), "reason": reason, "message": ""}
    )


def main(arguments: list[str]) -> int:
    """Fork, wait for the child's report, return 0 when it runs."""
    kind, directory = arguments[0], Path(arguments[1])
    config = json.loads((directory / "config.json").read_text())
    read, write = os.pipe()
    if os.fork() == 0:
        os.setsid()
        os.close(read)
        null = os.open("/dev/null", os.O_RDWR)
        for target in (0, 1, 2):
            os.dup2(null, target)
        try:
            if kind == "sandbox":
                run_sandbox(directory, config)
            else:
                run_container(directory, config, write)
        except BaseException as error:  # noqa: BLE001 - the parent has to hear of it
            os.write(write, (str(error) or type(error).__name__).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as report:
        problem = report.read().decode(errors="replace")
    if problem:
        sys.stderr.write(problem)
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
