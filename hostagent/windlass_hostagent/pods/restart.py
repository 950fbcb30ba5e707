"""When a container that ended runs again, and after how long. Pure.

As kubelet does: the first restart is immediate, then 10 s, doubling to 5 min; a container that ran for 10 min starts
over. The back-off counts from the moment the container ended.
"""

from dataclasses import dataclass

INITIAL_SECONDS = 10.0
MAX_SECONDS = 300.0
RESET_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class BackOff:
    """State of one container's (or image's) back-off: the current delay, and when it was last used."""

    delay_seconds: float
    updated_at: float


def should_restart(policy: str, exit_code: int) -> bool:
    """Say whether the restart policy wants an ended container to run again."""
    if policy == "Always":
        return True
    return policy == "OnFailure" and exit_code != 0


def next_back_off(entry: BackOff | None, now: float) -> BackOff:
    """Return the entry after one more start (or failed pull) at `now`."""
    if entry is None or now - entry.updated_at > RESET_SECONDS:
        return BackOff(INITIAL_SECONDS, now)
    return BackOff(min(entry.delay_seconds * 2, MAX_SECONDS), now)


def remaining_seconds(entry: BackOff | None, ended_at: float, now: float) -> float:
    """Return how long the next start still has to wait; 0 means not at all."""
    if entry is None or ended_at - entry.updated_at > RESET_SECONDS:
        return 0.0
    return min(entry.delay_seconds, max(0.0, ended_at + entry.delay_seconds - now))


def recovered_back_off(attempt: int, started_at: float) -> BackOff | None:
    """Rebuild an entry from a container's attempt number, for an agent that has just started.

    All times of this module are seconds of one steady clock: a jump of the wall clock must not hold anybody up.
    """
    if attempt <= 0:
        return None
    return BackOff(min(INITIAL_SECONDS * 2.0 ** (min(attempt, 10) - 1), MAX_SECONDS), started_at)
