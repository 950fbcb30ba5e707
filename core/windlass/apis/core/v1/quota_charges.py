"""Charges: what admission adds to a quota's use before an object is stored, and how the use is told from them. Pure.

A charge stands in the quota's `status.used` and, until the quota controller has seen the object, in an annotation. So a
controller that counts what it sees adds what is still on its way, and never takes back what was just charged.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from windlass.apimachinery.quantity import add, compare, from_decimal, parse_quantity
from windlass.apis.core.v1.pod_quantities import Amounts, is_zero, minus, nonzero, plus
from windlass.apis.core.v1.quota_usage import Sort, concerned, counts, missing, usage_of
from windlass.apis.core.v1.resource_quota import PENDING

Obj = dict[str, Any]
EXPIRES_SECONDS = 60.0
"""Longer than any request: an object that has not come by then was never stored."""
MAX_PENDING = 1000


class QuotaRefusalError(Exception):
    """An object does not fit; the message is Kubernetes'."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A write that wants to be charged. `old` is None on create; `now` is when."""

    sort: Sort
    new: Mapping[str, Any]
    old: Mapping[str, Any] | None
    now: datetime

    @property
    def key(self) -> str:
        """The charge's key: one write of one object."""
        return f"{self.new['metadata']['uid']}/{self._revision}"

    @property
    def _revision(self) -> str:
        return str(self.old["metadata"].get("resourceVersion") or "0") if self.old is not None else "0"


@dataclass(frozen=True, slots=True)
class Pending:
    """A charge whose object the controller has not seen."""

    key: str
    sort: Sort
    used: Amounts
    made: float

    @property
    def uid(self) -> str:
        """Whose charge it is."""
        return self.key.partition("/")[0]

    @property
    def after(self) -> int:
        """The object's revision before the write; 0 for a new one."""
        text = self.key.partition("/")[2]
        return int(text) if text.isdecimal() else 0

    def is_over(self, now: datetime) -> bool:
        """Say whether the write can no longer come."""
        return now.timestamp() - self.made > EXPIRES_SECONDS


def pending_charges(quota: Mapping[str, Any]) -> list[Pending]:
    """Read the annotation. What somebody broke counts as nothing."""
    text = (quota["metadata"].get("annotations") or {}).get(PENDING)
    try:
        listed = json.loads(text) if text else {}
        return [
            Pending(key, (one["g"], one["r"]), dict(one["u"]), float(one["t"])) for key, one in sorted(listed.items())
        ]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []


def with_pending(quota: Obj, charges: Iterable[Pending]) -> Obj:
    """Return the quota with these charges in its annotation, the newest of them if they are too many."""
    kept = sorted(charges, key=lambda one: one.made)[-MAX_PENDING:]
    listed = {one.key: {"g": one.sort[0], "r": one.sort[1], "u": one.used, "t": round(one.made, 3)} for one in kept}
    metadata = dict(quota["metadata"])
    annotations = {key: text for key, text in (metadata.get("annotations") or {}).items() if key != PENDING}
    if listed:
        annotations[PENDING] = json.dumps(listed, separators=(",", ":"), sort_keys=True)
    metadata.pop("annotations", None)
    if annotations:
        metadata["annotations"] = annotations
    return {**quota, "metadata": metadata}


def charge(quota: Obj, asked: Asked) -> Obj | None:
    """Return the quota with a write charged; None when it does not count. Raises QuotaRefusalError."""
    status, name = quota.get("status") or {}, quota["metadata"]["name"]
    hard, used = status.get("hard") or {}, status.get("used") or {}
    names = concerned(hard, asked.sort)
    if not names or not counts(quota.get("spec") or {}, asked.sort, asked.new):
        return None
    problem = missing(names, asked.sort, asked.new)
    if problem:
        raise QuotaRefusalError(f"failed quota: {name}: {problem}")
    unknown = sorted(name for name in names if name not in used)
    if unknown:
        raise QuotaRefusalError(f"status unknown for quota: {name}, resources: {','.join(unknown)}")
    delta = _delta(quota, asked, names)
    if not delta:
        return None
    after = plus(used, delta)
    exceeded = sorted(name for name in delta if compare(after[name], hard[name]) > 0)
    if exceeded:
        told = (("requested", delta), ("used", used), ("limited", hard))
        shown = (f"{word}: {','.join(f'{name}={of[name]}' for name in exceeded)}" for word, of in told)
        raise QuotaRefusalError(f"exceeded quota: {name}, {', '.join(shown)}")
    waiting = [one for one in pending_charges(quota) if not one.is_over(asked.now) and one.key != asked.key]
    waiting.append(Pending(asked.key, asked.sort, delta, asked.now.timestamp()))
    return with_pending({**quota, "status": {**status, "used": after}}, waiting)


def _delta(quota: Obj, asked: Asked, names: set[str]) -> Amounts:
    """Return by how much the write raises the use: what it lowers is the controller's to find."""
    usage = usage_of(asked.sort, asked.new, asked.now)
    if asked.old is not None and counts(quota.get("spec") or {}, asked.sort, asked.old):
        usage = minus(usage, usage_of(asked.sort, asked.old, asked.now))
    return {name: text for name, text in nonzero(usage).items() if name in names and compare(text, "0") > 0}


def refund(quota: Obj, key: str) -> Obj | None:
    """Return the quota without a charge whose write failed; None when it is not there any more."""
    waiting = pending_charges(quota)
    found = next((one for one in waiting if one.key == key), None)
    if found is None:
        return None
    status = quota.get("status") or {}
    used = status.get("used") or {}
    less = minus(used, {name: text for name, text in found.used.items() if name in used})
    left = {name: text if compare(text, "0") > 0 else "0" for name, text in less.items()}
    return with_pending({**quota, "status": {**status, "used": left}}, (one for one in waiting if one is not found))


class Sum:
    """Adds up many usages of one quota's names, written as the first that is not zero is."""

    def __init__(self, names: Iterable[str]) -> None:
        self._first: dict[str, str] = {}
        self._rest = {name: parse_quantity("0") for name in names}

    def add(self, usage: Mapping[str, str]) -> None:
        """Take one object's usage."""
        for name, text in usage.items():
            if name not in self._rest or is_zero(text):
                continue
            if name in self._first:
                self._rest[name] += parse_quantity(text)
            else:
                self._first[name] = text

    def amounts(self) -> Amounts:
        """Return the sums, a zero for what nothing uses."""
        return {
            name: add(self._first[name], from_decimal(rest)) if name in self._first else "0"
            for name, rest in sorted(self._rest.items())
        }


def recount(quota: Obj, usages: Mapping[Sort, Iterable[Amounts]], is_settled: Callable[[Pending], bool]) -> Obj:
    """Return the quota with its bounds in force and its use as counted, charges that are not settled on top.

    `usages`: of the objects that the quota counts, for each resource that could be counted; of others the use stays.
    """
    hard, before = dict((quota.get("spec") or {}).get("hard") or {}), (quota.get("status") or {}).get("used") or {}
    waiting = [one for one in pending_charges(quota) if not is_settled(one)]
    used = {name: text for name, text in before.items() if name in hard}
    for sort, listed in usages.items():
        counted = Sum(concerned(hard, sort))
        for usage in (*listed, *(one.used for one in waiting if one.sort == sort)):
            counted.add(usage)
        used |= counted.amounts()
    status = {"hard": hard, "used": dict(sorted(used.items()))}
    return with_pending({**quota, "status": status}, waiting)
