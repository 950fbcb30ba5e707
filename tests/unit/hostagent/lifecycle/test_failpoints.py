"""Failpoints do nothing unless armed, and every name in the table is a place in the code."""

import re
from pathlib import Path

import pytest

import windlass_hostagent
from windlass.errors import ConfigError, RuntimeDriverError
from windlass_hostagent import failpoints


@pytest.fixture(autouse=True)
def disarmed():
    yield
    failpoints.arm("")


def test_every_failpoint_is_somewhere():
    source = Path(windlass_hostagent.__file__).parent
    used = {n for p in source.rglob("*.py") for n in re.findall(r'fail_point\("([^"]+)"\)', p.read_text())}
    assert used == failpoints.NAMES


def test_off_by_default():
    for name in failpoints.NAMES:
        failpoints.fail_point(name)


def test_raise_at_the_third_time_only():
    failpoints.arm("agent.after_create_container=raise@3")
    failpoints.fail_point("agent.after_create_container")
    failpoints.fail_point("agent.after_create_container")
    with pytest.raises(RuntimeDriverError):
        failpoints.fail_point("agent.after_create_container")
    failpoints.fail_point("agent.after_create_container")


@pytest.mark.parametrize(
    "text", ["agent.nowhere=crash", "agent.after_create_container=explode", "x", "agent.after_create_container=crash@x"]
)
def test_a_misspelling_is_an_error(text):
    with pytest.raises(ConfigError):
        failpoints.arm(text)
