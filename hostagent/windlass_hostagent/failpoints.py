"""Failpoints: named places between two side effects where a test may kill, stop or fail the agent.

Off unless the environment names one: `WINDLASS_FAILPOINTS=agent.after_create_container=crash` (several: commas).
`crash` is SIGKILL to this process, `raise` an error of the runtime, `hang` SIGSTOP. `crash@3` waits for the third
time. A name that no place bears is an error at start, so that a test cannot pass by a misspelling.
"""

import os
import signal

from windlass.errors import ConfigError, RuntimeDriverError

VARIABLE = "WINDLASS_FAILPOINTS"
ACTIONS = frozenset({"crash", "raise", "hang"})
NAMES = frozenset(
    {
        "agent.before_run_sandbox",
        "agent.after_run_sandbox",
        "agent.after_attach_network",
        "agent.after_mount_volumes",
        "agent.after_pull_image",
        "agent.after_create_container",
        "agent.after_start_container",
        "agent.after_post_start",
        "agent.before_write_status",
        "agent.after_write_status",
        "agent.after_pre_stop",
        "agent.after_stop_container",
        "agent.after_detach_network",
        "agent.after_stop_sandbox",
        "agent.after_remove_sandbox",
        "agent.after_final_status",
        "agent.after_unmount_volumes",
        "agent.after_delete_pod",
    }
)
"""Every place, in the order in which a pod passes them."""

_armed: dict[str, tuple[str, int]] = {}
_hits: dict[str, int] = {}


def arm(text: str) -> None:
    """Arm what `name=action[@count],...` says, and disarm all others. Raises ConfigError for what is not there."""
    _armed.clear()
    _hits.clear()
    for part in filter(None, text.split(",")):
        name, _, action = part.partition("=")
        action, _, count = action.partition("@")
        if name not in NAMES or action not in ACTIONS or not (count or "1").isdigit():
            raise ConfigError(f"{VARIABLE}: no failpoint {part!r}")
        _armed[name] = (action, int(count or 1))


def arm_from_environment() -> None:
    """Arm what the environment says: nothing, in production."""
    arm(os.environ.get(VARIABLE, ""))


def fail_point(name: str) -> None:
    """Pass a failpoint: nothing unless it is armed. Raises RuntimeDriverError when told to."""
    if name not in _armed:
        return
    action, count = _armed[name]
    _hits[name] = _hits.get(name, 0) + 1
    if _hits[name] != count:
        return
    if action == "raise":
        raise RuntimeDriverError(f"failpoint {name}")
    os.kill(os.getpid(), signal.SIGKILL if action == "crash" else signal.SIGSTOP)
