"""The launcher: one small process from which sandboxes, shims and commands are forked. Standard library only.

Starting an interpreter for each container would cost 30 to 50 ms of CPU; a fork of this one costs less than one. It
lives as long as the driver; what it has forked lives on. Requests come as JSON over a SEQPACKET socket (descriptor
number in `argv[1]`), each with a socket for the answer, and for commands the three standard streams.

Run by path with an interpreter that loads no site packages: `python -I -S launcher.py FD`.
"""

import contextlib
import gc
import json
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from windlass_runtime.process import become, execs, shim
from windlass_runtime.process.files import receive

MAX_REQUEST = 128 * 1024


def serve(requests: socket.socket) -> None:
    """Fork for every request until the driver has gone."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries the children
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.collect()
    gc.freeze()
    while True:
        data, descriptors = receive(requests, MAX_REQUEST, 4)
        if not data:
            return
        if os.fork() == 0:
            requests.close()
            _run(json.loads(data), descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _run(request: Mapping[str, Any], descriptors: Sequence[int]) -> None:
    """Do one request in a process of its own. Never returns."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    report = socket.socket(fileno=descriptors[0])
    directory = Path(request["directory"])
    try:
        config = shim.load(directory)
        if request["kind"] == "sandbox":
            shim.run_sandbox(directory, config)
        elif request["kind"] == "container":
            shim.run_container(directory, config, report)
        else:
            execs.run_exec(directory, config, request, report, descriptors[1:])
    except BaseException as error:  # noqa: BLE001 - the driver has to hear of it
        if report.fileno() >= 0:
            with contextlib.suppress(OSError):
                report.send((b"E" if request["kind"] == "exec" else b"") + become.failure(error)[:4000])
    finally:
        os._exit(0)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
