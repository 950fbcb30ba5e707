"""System call filters: what the compiled programs answer, by running them in a small machine as the kernel would."""

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.errors import RuntimeDriverError
from windlass_runtime.process import bpf, seccomp
from windlass_runtime.process.bpf import Condition, compile_filter
from windlass_runtime.process.capabilities import DEFAULT, NAMES, allowed
from windlass_runtime.process.seccomp import ALLOW, ENOSYS, EPERM, ERRNO, compile_profile, default_program, program_for

ARCHITECTURE = seccomp.ARCHITECTURES[seccomp.platform.machine()][0]
CALLS = seccomp.numbers()
MASK = 2**64 - 1


def answer(program, number, *arguments, architecture=ARCHITECTURE):
    """Run a program on one system call."""
    padded = [a & MASK for a in (*arguments, *[0] * (6 - len(arguments)))]
    data = struct.pack("=IIQ6Q", number, architecture, 0, *padded)
    code = list(struct.iter_unpack("=HBBI", program))
    at, accumulator = 0, 0
    while True:
        operation, yes, no, value = code[at]
        at += 1
        if operation == bpf.RET:
            return value
        if operation == bpf.LD:
            (accumulator,) = struct.unpack_from("=I", data, value)
        elif operation == bpf.AND:
            accumulator &= value
        elif operation == bpf.JA:
            at += value
        else:
            holds = {bpf.JEQ: accumulator == value, bpf.JGT: accumulator > value, bpf.JGE: accumulator >= value}[
                operation
            ]
            at += yes if holds else no


@pytest.fixture(scope="module")
def default():
    return default_program(DEFAULT)


@pytest.mark.parametrize(
    "name", ["read", "write", "openat", "execve", "futex", "clock_gettime", "setuid", "kill", "chroot"]
)
def test_the_default_allows_what_programs_need(default, name):
    assert answer(default, CALLS[name]) == ALLOW


@pytest.mark.parametrize(
    "name",
    ["mount", "umount2", "reboot", "kexec_load", "init_module", "bpf", "keyctl", "add_key", "setns", "unshare", "swapon",
     "perf_event_open", "open_by_handle_at", "userfaultfd", "pivot_root", "settimeofday", "acct"],
)  # fmt: skip
def test_the_default_refuses_what_reaches_the_node(default, name):
    assert answer(default, CALLS[name]) == ERRNO | EPERM


def test_a_capability_gives_its_calls_back():
    program = default_program(allowed(["SYS_ADMIN", "SYS_TIME"], []))
    for name in ("mount", "setns", "unshare", "bpf", "clone3", "settimeofday"):
        assert answer(program, CALLS[name]) == ALLOW
    assert answer(program, CALLS["reboot"]) == ERRNO | EPERM
    assert answer(program, CALLS["kexec_load"]) == ERRNO | EPERM


def test_new_namespaces_are_refused_by_their_flags(default):
    assert answer(default, CALLS["clone"], 0x11) == ALLOW
    assert answer(default, CALLS["clone"], 0x10000000 | 0x11) == ERRNO | EPERM, "a user namespace"
    assert answer(default, CALLS["clone3"]) == ERRNO | ENOSYS, "so that libraries fall back to clone"


def test_sockets_but_not_to_the_hypervisor(default):
    assert answer(default, CALLS["socket"], 2) == ALLOW
    assert answer(default, CALLS["socket"], 40) == ERRNO | EPERM


def test_personalities(default):
    assert answer(default, CALLS["personality"], 0xFFFFFFFF) == ALLOW
    assert answer(default, CALLS["personality"], 0x0400000) == ERRNO | EPERM, "no randomisation"


def test_what_the_table_does_not_know_is_not_there(default):
    assert answer(default, 9999) == ERRNO | ENOSYS
    assert answer(default, 0x40000000 + CALLS["read"]) == ERRNO | ENOSYS, "x32"
    assert answer(default, CALLS["read"], architecture=0x40000003) == ERRNO | ENOSYS, "another architecture"


def test_every_refused_name_is_a_call_of_some_machine():
    table = json.loads((seccomp.resources.files("windlass_runtime.process") / "syscalls.json").read_text())
    known = {name for calls in table.values() for name in calls}
    old = {
        "create_module",
        "get_kernel_syms",
        "query_module",
        "afs_syscall",
        "getpmsg",
        "putpmsg",
        "security",
        "tuxcall",
        "vserver",
        "nfsservctl",
        "vm86",
        "_sysctl",
        "uselib",
        "ustat",
        "sysfs",
    }
    assert {name for names in seccomp.REFUSED.values() for name in names} - known <= old


@given(
    st.dictionaries(st.integers(0, 500), st.sampled_from([ALLOW, ERRNO | 1, ERRNO | 38]), max_size=60),
    st.integers(0, 600),
)
def test_plain_rules_answer_as_written(rules, number):
    program = compile_filter(ARCHITECTURE, 0, rules, {})
    assert answer(program, number) == rules.get(number, 0)


HOLDS = {
    "eq": lambda a, c: a == c.value, "ne": lambda a, c: a != c.value, "lt": lambda a, c: a < c.value,
    "le": lambda a, c: a <= c.value, "gt": lambda a, c: a > c.value, "ge": lambda a, c: a >= c.value,
    "masked_eq": lambda a, c: a & c.value == c.second,
}  # fmt: skip
WORDS = st.one_of(st.integers(0, 4), st.integers(0, MASK), st.sampled_from([2**32 - 1, 2**32, 2**32 + 1, MASK]))
CONDITIONS = st.builds(Condition, st.integers(0, 5), st.sampled_from(sorted(HOLDS)), WORDS, WORDS)


@given(
    st.lists(st.tuples(st.lists(CONDITIONS, max_size=3), st.integers(1, 9)), min_size=1, max_size=4),
    st.lists(WORDS, min_size=6, max_size=6),
)
def test_conditions_compare_whole_words(alternatives, arguments):
    program = compile_filter(ARCHITECTURE, 0, {}, {7: alternatives})
    expected = next((a for cs, a in alternatives if all(HOLDS[c.operator](arguments[c.index], c) for c in cs)), 0)
    assert answer(program, 7, *arguments) == expected


def profile(**more):
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "syscalls": [{"names": ["read", "no_such_call"], "action": "SCMP_ACT_ALLOW"}],
        **more,
    }


def test_a_profile_of_ones_own():
    program = compile_profile(profile(defaultErrnoRet=13), DEFAULT)
    assert answer(program, CALLS["read"]) == ALLOW
    assert answer(program, CALLS["write"]) == ERRNO | 13


def test_a_profile_with_arguments_and_conditions_on_capabilities():
    rules = [
        {"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]},
        {"names": ["mount"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
        {"names": ["chown"], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_CHOWN"]}},
        {"names": ["reboot"], "action": "SCMP_ACT_KILL_PROCESS"},
        {"names": ["getppid"], "action": "SCMP_ACT_ERRNO", "errnoRet": 22},
    ]
    program = compile_profile(profile(syscalls=rules), frozenset({"CHOWN"}))
    assert answer(program, CALLS["socket"], 1) == ALLOW
    assert answer(program, CALLS["socket"], 2) == ERRNO | EPERM
    assert answer(program, CALLS["mount"]) == ERRNO | EPERM
    assert answer(program, CALLS["fchown"]) == ERRNO | EPERM
    assert answer(program, CALLS["reboot"]) == 0x80000000
    assert answer(program, CALLS["getppid"]) == ERRNO | 22
    assert answer(compile_profile(profile(syscalls=rules), frozenset(NAMES)), CALLS["mount"]) == ALLOW


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"defaultAction": "SCMP_ACT_DANCE"}', '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": 3}',
     '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_KILL", "args": [{"index": 9, "value": 0, "op": "SCMP_CMP_EQ"}]}]}',
     '{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_S390X"]}', "[" * 100_000],
)  # fmt: skip
def test_a_profile_that_is_none_is_named(tmp_path, text):
    """A seccomp profile that this node cannot give is an error with its path, never no filter."""
    path = tmp_path / "profile.json"
    path.write_text(text)
    with pytest.raises(RuntimeDriverError, match=r"profile\.json") as caught:
        program_for(f"localhost/{path}", DEFAULT)
    assert caught.value.reason == "CreateContainerError"


def test_a_missing_profile_and_an_unknown_kind():
    with pytest.raises(RuntimeDriverError, match="No such file"):
        program_for("localhost//no/such/profile.json", DEFAULT)
    with pytest.raises(RuntimeDriverError, match="invalid seccomp profile"):
        program_for("somewhere/else", DEFAULT)


def test_unconfined_is_no_filter():
    assert program_for("unconfined", DEFAULT) == b""
    assert program_for("runtime/default", DEFAULT) == default_program(DEFAULT)


def test_capabilities_of_a_container():
    assert allowed([], []) == DEFAULT
    assert allowed(["NET_ADMIN"], ["CAP_CHOWN"]) == (DEFAULT | {"NET_ADMIN"}) - {"CHOWN"}
    assert allowed(["net_bind_service"], ["ALL"]) == {"NET_BIND_SERVICE"}
    assert allowed(["ALL"], ["SYS_ADMIN"]) == frozenset(NAMES) - {"SYS_ADMIN"}
    assert allowed([], ["ALL"], privileged=True) == frozenset(NAMES)
    with pytest.raises(ValueError, match="CAP_DANCE"):
        allowed(["DANCE"], [])
