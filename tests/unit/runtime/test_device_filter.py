"""Devices under cgroup version 2: the compiled program, run in a small machine, and by the kernel where there is one."""

import os
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass_runtime.process import device_filter
from windlass_runtime.process.cgroups import DEVICES
from windlass_runtime.process.device_filter import ACCESS, TYPES, confine, program

UNIFIED = next(
    (
        p
        for p in (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified"))
        if (p / "cgroup.procs").exists() and (p / "cgroup.controllers").exists()
    ),
    None,
)


def allows(code, kind, access, major, minor):
    """Run a program on one question."""
    context = struct.pack("=III", TYPES[kind] | sum(ACCESS[a] for a in access) << 16, major, minor)
    registers, at = [0] * 11, 0
    while True:
        operation, both, offset, number = struct.unpack_from("=BBhi", code, at * 8)
        target, source = both & 15, both >> 4
        at += 1
        if operation == device_filter._EXIT:
            return bool(registers[0])
        if operation == device_filter._LOAD_WORD:
            (registers[target],) = struct.unpack_from("=I", context, offset)
        elif operation == device_filter._MOVE:
            registers[target] = registers[source]
        elif operation == device_filter._MOVE_NUMBER:
            registers[target] = number
        elif operation == device_filter._AND:
            registers[target] &= number
        elif operation == device_filter._SHIFT_RIGHT:
            registers[target] >>= number
        elif registers[target] != number:
            at += offset


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (("c", "rw", 1, 3), True),
        (("c", "m", 8, 0), True),
        (("b", "m", 8, 0), True),
        (("b", "r", 8, 0), False),
        (("c", "r", 10, 200), False),
        (("c", "rw", 136, 7), True),
        (("c", "rm", 10, 200), False),
    ],
)
def test_what_every_container_may_use(question, answer):
    assert allows(program(DEVICES), *question) is answer


RULES = st.tuples(
    st.sampled_from("bc"),
    st.sampled_from(["*", "1", "2"]),
    st.sampled_from(["*", "1", "2"]),
    st.sampled_from(["r", "rw", "rwm", "m"]),
)


@given(
    st.lists(RULES, max_size=8),
    st.sampled_from("bc"),
    st.sampled_from(["r", "w", "m", "rw"]),
    st.integers(1, 3),
    st.integers(1, 3),
)
def test_rules_answer_as_written(rules, kind, access, major, minor):
    expected = any(
        k == kind and ma in ("*", str(major)) and mi in ("*", str(minor)) and set(access) <= set(a)
        for k, ma, mi, a in rules
    )
    assert allows(program([f"{k} {ma}:{mi} {a}" for k, ma, mi, a in rules]), kind, access, major, minor) is expected


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0 or UNIFIED is None, reason="needs root and cgroup version 2")
def test_the_kernel_takes_it_and_obeys():
    group = UNIFIED / f"windlass-test-{os.getpid()}"
    group.mkdir()
    try:
        confine(group, ["c 1:3 rwm"])
        script = f"echo $$ > {group}/cgroup.procs; echo x > /dev/null && echo null; head -c 1 /dev/zero > /dev/null && echo zero; echo end"
        done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
        assert done.stdout.split() == ["null", "end"]
        assert "not permitted" in done.stderr
    finally:
        group.rmdir()
