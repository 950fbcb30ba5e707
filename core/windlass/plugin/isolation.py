"""Run somebody else's code at start-up without trusting it.

A plugin may raise, call `sys.exit`, hang, or end the process outright. The first three are contained by a thread with
a deadline; the last only by another process, so third-party plugins are imported once in a probe child before they are
imported here.
"""

import resource
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

PROBE_MEMORY_BYTES = 2 << 30
"""Address space a plugin may claim while it is imported in the probe."""


class HungError(Exception):
    """The plugin did not return within its deadline. Its thread is abandoned (it is a daemon)."""


def call_with_deadline(function: Callable[[], T], seconds: float) -> T:
    """Call in a thread of its own and return its result, or raise what it raised (SystemExit included) or HungError."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append((function(), None))
        except BaseException as error:  # noqa: BLE001 - isolation: a plugin may raise anything, even SystemExit
            outcome.append((None, error))

    thread = threading.Thread(target=run, daemon=True, name="plugin-load")
    thread.start()
    thread.join(seconds)
    if not outcome:
        raise HungError(f"did not return within {seconds:g} s")
    result, error = outcome[0]
    if error is not None:
        raise error
    return result  # type: ignore[no-any-return]


def _limit_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (PROBE_MEMORY_BYTES, PROBE_MEMORY_BYTES))


def probe_import(module: str, seconds: float) -> str | None:
    """Import a module in a child process; return what went wrong, None when nothing did."""
    program = "import importlib, sys; importlib.import_module(sys.argv[1]); print('imported')"
    try:
        child = subprocess.run(  # noqa: S603 - our own interpreter, a module name from an installed entry point
            [sys.executable, "-c", program, module],
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            preexec_fn=_limit_memory,
        )
    except subprocess.TimeoutExpired:
        return f"importing {module} did not return within {seconds:g} s"
    if child.returncode == 0 and child.stdout.endswith("imported\n"):
        return None
    if child.returncode == 0 or not child.stderr.strip():
        return f"importing {module} ended the process (exit code {child.returncode})"
    return child.stderr.strip()
