"""No test holds a stopwatch: what takes a second here takes three on a busy machine."""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
CLOCKS = {"perf_counter", "process_time", "monotonic", "time"}
SPANS = {"elapsed", "took", "duration", "seconds_taken", "slowest"}


def reads_a_clock(node):
    """`time.monotonic()` and its like; a fake clock is not called `time`."""
    if not isinstance(node, ast.Call):
        return False
    called = node.func
    if isinstance(called, ast.Attribute):
        return called.attr in CLOCKS and isinstance(called.value, ast.Name) and called.value.id == "time"
    return isinstance(called, ast.Name) and called.id in CLOCKS - {"time"}


def measures(node):
    """A difference to a reading of the clock, or a name that says so."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub):
        return any(reads_a_clock(part) for part in ast.walk(node))
    return isinstance(node, ast.Name) and node.id in SPANS


def stopwatches(source):
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Assert) and any(measures(part) for part in ast.walk(node.test))
    ]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("assert time.monotonic() - started < 1", [1]),
        ("assert perf_counter() - started < 3", [1]),
        ("assert max(took) < 2", [1]),
        ("x = 1\nassert elapsed < x", [2]),
        ("assert time.monotonic() < guard, 'hangs'", []),
        ("assert clock.monotonic() - begun == 5", []),
    ],
)
def test_a_stopwatch_is_seen(source, found):
    assert stopwatches(source) == found


def test_no_test_holds_a_stopwatch():
    """Bound work by steps, bytes and order of events; a guard against hangs compares with a point in time."""
    found = {
        str(path.relative_to(TESTS)): lines
        for path in sorted(TESTS.rglob("*.py"))
        if (lines := stopwatches(path.read_text()))
    }
    assert found == {}
