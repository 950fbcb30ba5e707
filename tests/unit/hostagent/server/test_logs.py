"""What a log request may ask for, and the bytes it gets."""

import pytest

from windlass.errors import BadRequestError
from windlass.plugin.interfaces.runtime import LogLine
from windlass.testing.clock import FakeClock
from windlass_hostagent.server.logs import LogOptions, parse_options, stream

LINES = [LogLine(f"2026-01-01T00:00:0{n}.000000000Z", "stdout", f"line {n}\n".encode()) for n in range(3)]


async def lines():
    for line in LINES:
        yield line


async def collect(options):
    return b"".join([chunk async for chunk in stream(lines(), options)])


def test_every_parameter_is_read():
    params = {"follow": "true", "previous": "1", "timestamps": "true", "tailLines": "0", "limitBytes": "7"}
    options = parse_options(params, FakeClock())
    assert options == LogOptions(follow=True, previous=True, timestamps=True, tail=0, limit_bytes=7)


def test_since_seconds_counts_back_from_now():
    clock = FakeClock()
    assert parse_options({"sinceSeconds": "60"}, clock).since == clock.now().timestamp() - 60


def test_since_time_is_an_rfc3339_time():
    assert parse_options({"sinceTime": "2026-01-01T00:00:01Z"}, FakeClock()).since == 1767225601


@pytest.mark.parametrize(
    "params",
    [{"tailLines": "-1"}, {"tailLines": "x"}, {"limitBytes": "0"}, {"sinceSeconds": "0"}, {"sinceTime": "yesterday"}],
)
def test_nonsense_is_refused_by_name(params):
    with pytest.raises(BadRequestError, match=next(iter(params))):
        parse_options(params, FakeClock())


async def test_plain_and_with_timestamps():
    assert await collect(LogOptions()) == b"line 0\nline 1\nline 2\n"
    assert (await collect(LogOptions(timestamps=True))).startswith(b"2026-01-01T00:00:00.000000000Z line 0\n")


async def test_the_byte_limit_is_exact():
    assert await collect(LogOptions(limit_bytes=9)) == b"line 0\nli"


async def test_following_sends_every_line_at_once():
    chunks = [chunk async for chunk in stream(lines(), LogOptions(follow=True))]
    assert chunks == [b"line 0\n", b"line 1\n", b"line 2\n"]
