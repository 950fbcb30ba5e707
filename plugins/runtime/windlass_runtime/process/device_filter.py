"""Which devices a container may use, under cgroup version 2: a BPF program on its group. Standard library only.

Version 1 has files for this; version 2 asks a program of type `cgroup/dev` (kernel, Documentation/admin-guide/cgroup-v2).
"""

import ctypes
import os
import struct
from collections.abc import Sequence
from pathlib import Path

from windlass_runtime.process import syscalls as sys_

TYPES = {"b": 1, "c": 2}
ACCESS = {"m": 1, "r": 2, "w": 4}
_PROG_LOAD, _PROG_ATTACH = 5, 8
_PROG_TYPE_CGROUP_DEVICE, _CGROUP_DEVICE, _ALLOW_MULTI = 15, 6, 2
_LOAD_WORD, _MOVE, _MOVE_NUMBER, _AND, _SHIFT_RIGHT, _JUMP_UNLESS, _EXIT = 0x61, 0xBF, 0xB7, 0x57, 0x77, 0x55, 0x95
_KIND, _WANTED, _MAJOR, _MINOR, _SPARE = 2, 3, 4, 5, 1
"""Registers: type, access, numbers; the first one holds the question until it has been read."""


def _instruction(operation: int, target: int = 0, source: int = 0, offset: int = 0, number: int = 0) -> bytes:
    return struct.pack("=BBhi", operation, target | source << 4, offset, number)


def _rule(text: str) -> bytes:
    """Compile one rule, as version 1 writes them: it allows, or goes on to the next."""
    kind, numbers, access = text.split()
    major, _, minor = numbers.partition(":")
    beyond = 7 & ~sum(ACCESS[letter] for letter in access)
    checks = [(_KIND, TYPES[kind]), (_SPARE, 0)]
    checks += [(register, int(n)) for register, n in ((_MAJOR, major), (_MINOR, minor)) if n != "*"]
    spare = _instruction(_MOVE, _SPARE, _WANTED) + _instruction(_AND, _SPARE, number=beyond)
    allow = _instruction(_MOVE_NUMBER, number=1) + _instruction(_EXIT)
    left = len(checks)
    body = b""
    for register, number in checks:
        left -= 1
        body += _instruction(_JUMP_UNLESS, register, offset=left + len(allow) // 8, number=number)
    return spare + body + allow


def program(rules: Sequence[str]) -> bytes:
    """Compile rules such as `c 1:3 rwm`. Pure."""
    head = (
        _instruction(_LOAD_WORD, _KIND, 1, 0)
        + _instruction(_MOVE, _WANTED, _KIND)
        + _instruction(_AND, _KIND, number=0xFFFF)
        + _instruction(_SHIFT_RIGHT, _WANTED, number=16)
        + _instruction(_LOAD_WORD, _MAJOR, 1, 4)
        + _instruction(_LOAD_WORD, _MINOR, 1, 8)
    )
    deny = _instruction(_MOVE_NUMBER) + _instruction(_EXIT)
    return head + b"".join(_rule(rule) for rule in rules) + deny


def confine(group: Path, rules: Sequence[str]) -> None:
    """Let a group's processes use these devices and no others. Raises OSError."""
    code = program(rules)
    instructions = ctypes.create_string_buffer(code, len(code))
    license_name = ctypes.create_string_buffer(b"Apache-2.0")
    where = ctypes.addressof
    load = struct.pack(
        "=IIQQIIQII", _PROG_TYPE_CGROUP_DEVICE, len(code) // 8, where(instructions), where(license_name), 0, 0, 0, 0, 0
    )
    loaded = sys_.bpf(_PROG_LOAD, load)
    try:
        directory = os.open(group, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            sys_.bpf(_PROG_ATTACH, struct.pack("=IIII", directory, loaded, _CGROUP_DEVICE, _ALLOW_MULTI))
        finally:
            os.close(directory)
    finally:
        os.close(loaded)
