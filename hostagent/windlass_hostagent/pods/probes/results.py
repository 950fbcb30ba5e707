"""What a row of probe outcomes means: thresholds, as kubelet counts them. Pure."""

from dataclasses import dataclass, replace
from enum import StrEnum

from windlass_hostagent.pods.observation import Health
from windlass_hostagent.pods.probes.spec import ProbeSpec


class Result(StrEnum):
    """How one try went. UNKNOWN (the prober itself failed) counts as if the try had not been."""

    SUCCESS = "success"
    WARNING = "warning"
    FAILURE = "failure"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One try and what users read about it."""

    result: Result
    message: str = ""


@dataclass(frozen=True, slots=True)
class Tally:
    """The last outcome and how often in a row it came."""

    passed: bool | None = None
    run: int = 0


def count(tally: Tally, outcome: Outcome) -> Tally:
    """Return the tally after one more try."""
    if outcome.result is Result.UNKNOWN:
        return tally
    passed = outcome.result is not Result.FAILURE
    return Tally(passed, tally.run + 1 if tally.passed is passed else 1)


def verdict(tally: Tally, spec: ProbeSpec) -> bool | None:
    """Return what the row has proved: passed, failed, or (None) nothing yet."""
    if tally.passed is None:
        return None
    threshold = spec.success_threshold if tally.passed else spec.failure_threshold
    return tally.passed if tally.run >= threshold else None


def judge(health: Health, spec: ProbeSpec, *, proved: bool | None) -> Health:
    """Return a container's health after a probe has proved something."""
    if proved is None:
        return health
    if spec.kind == "readiness":
        return replace(health, ready=proved)
    if not proved:
        return replace(health, failed=spec.kind, grace_seconds=spec.grace_seconds)
    return replace(health, started=True) if spec.kind == "startup" else health


def first_delay(spec: ProbeSpec, age_seconds: float) -> float:
    """Return when a probe of a container of that age is due: its initial delay counts from the container's start."""
    return max(0.0, spec.initial_delay_seconds - max(0.0, age_seconds))


EARLY_SECONDS = 2.0
EARLY_RETRY_SECONDS = 0.5


def next_delay(spec: ProbeSpec, health: Health, age_seconds: float) -> float:
    """Return the pause before the next try.

    A container that is not ready yet is asked again soon in its first moments, so that a server that takes 50 ms to
    listen is not kept waiting a whole period (kubelet asks again at each of its status updates).
    """
    early = spec.kind == "readiness" and not health.ready and age_seconds < EARLY_SECONDS
    return min(EARLY_RETRY_SECONDS, spec.period_seconds) if early else spec.period_seconds
