"""Schedules of CronJobs: five fields, the usual short names, `@every`; in a time zone, with cron's rules for clock changes."""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
EVERY = re.compile(r"@every ((?:\d+h)?(?:\d+m)?(?:\d+s)?)")
DURATION = re.compile(r"(\d+)([hms])")
UNIT_SECONDS = {"h": 3600, "m": 60, "s": 1}
FIELDS = 5


class ScheduleError(ValueError):
    """A text is no schedule, or one that never comes due."""


def time_zone(name: str) -> ZoneInfo:
    """Return a time zone. Raises ScheduleError for names that are none, or that look outside the database."""
    if not re.fullmatch(r"[A-Za-z0-9_+\-]+(/[A-Za-z0-9_+\-]+)*", name) or name.lower() == "local":
        raise ScheduleError(f"unknown time zone {name}")
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError) as error:
        raise ScheduleError(f"unknown time zone {name}") from error


class Schedule:
    """When something is due. `text` as in `spec.schedule`, `zone` as in `spec.timeZone`; '' means UTC."""

    def __init__(self, text: str, zone: str = "") -> None:
        self._zone = time_zone(zone) if zone else UTC
        self._text = MACROS.get(text, text)
        self._every: timedelta | None = None
        every = EVERY.fullmatch(text)
        if every is not None:
            seconds = sum(int(n) * UNIT_SECONDS[unit] for n, unit in DURATION.findall(every[1]))
            if not seconds:
                raise ScheduleError(f"{text!r} names no time")
            self._every = timedelta(seconds=seconds)
            return
        if not text.isascii() or len(self._text.split()) != FIELDS:
            raise ScheduleError(f"expected exactly {FIELDS} fields, found {len(text.split())}: [{text}]")
        self._text = " ".join("*" if part == "?" else part for part in self._text.split())
        try:
            next(CronSim(self._text, datetime(2000, 1, 1, tzinfo=UTC)))
        except CronSimError as error:
            raise ScheduleError(f"{error}: [{text}]") from error
        except StopIteration:
            raise ScheduleError(f"never comes due: [{text}]") from None

    def next_after(self, moment: datetime) -> datetime:
        """Return the first time after a moment, in UTC."""
        if self._every is not None:
            return (moment + self._every).replace(microsecond=0)
        return next(CronSim(self._text, moment.astimezone(self._zone))).astimezone(UTC)
