"""A small assembler for seccomp's BPF programs. Pure; the driver compiles, the shim only loads."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

LD, AND, JA, JEQ, JGT, JGE, RET = 0x20, 0x54, 0x05, 0x15, 0x25, 0x35, 0x06
MAX_INSTRUCTIONS = 4096
ARGUMENTS = 16
"""Offset of the first argument in `struct seccomp_data`; number and architecture come before."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A comparison of one 64-bit argument. With `masked_eq`, `value` is the mask and `second` what must remain."""

    index: int
    operator: str
    value: int
    second: int = 0


@dataclass(slots=True)
class Program:
    """Instructions with labels; labels are numbers given by `label`."""

    code: list[tuple[int, int, int, int]] = field(default_factory=list)
    _places: dict[int, int] = field(default_factory=dict)
    _labels: int = 0

    def label(self) -> int:
        """Return a new label, to be placed later."""
        self._labels += 1
        return self._labels

    def place(self, label: int) -> None:
        """Say that a label is here."""
        self._places[label] = len(self.code)

    def emit(self, operation: int, value: int, yes: int = 0, no: int = 0) -> None:
        """Add an instruction; `yes` and `no` are labels, 0 is the next instruction."""
        self.code.append((operation, value, yes, no))

    def assemble(self) -> bytes:
        """Return the kernel's form. Raises ValueError when it is too long."""
        if len(self.code) > MAX_INSTRUCTIONS:
            raise ValueError(f"the profile needs {len(self.code)} instructions, the kernel takes {MAX_INSTRUCTIONS}")
        out = b""
        for at, (operation, value, yes, no) in enumerate(self.code):
            far, near = (self._places[label] - at - 1 if label else 0 for label in (yes, no))
            if operation == JA:
                out += struct.pack("=HBBI", operation, 0, 0, far)
            else:
                out += struct.pack("=HBBI", operation, far, near, value & 0xFFFFFFFF)
        return out

    def check(self, condition: Condition, fail: int) -> None:
        """Go on when a condition holds, to `fail` when not."""
        good = self.label()
        low = ARGUMENTS + 8 * condition.index
        high_value, low_value = condition.value >> 32, condition.value & 0xFFFFFFFF
        operator = condition.operator
        self.emit(LD, low + 4)
        if operator == "masked_eq":
            self.emit(AND, high_value)
            self.emit(JEQ, condition.second >> 32, 0, fail)
            self.emit(LD, low)
            self.emit(AND, low_value)
            self.emit(JEQ, condition.second & 0xFFFFFFFF, good, fail)
        elif operator in ("eq", "ne"):
            yes, no = (good, fail) if operator == "eq" else (fail, good)
            self.emit(JEQ, high_value, 0, no)
            self.emit(LD, low)
            self.emit(JEQ, low_value, yes, no)
        else:
            yes, no = (good, fail) if operator in ("gt", "ge") else (fail, good)
            self.emit(JGT, high_value, yes)
            self.emit(JEQ, high_value, 0, no)
            self.emit(LD, low)
            self.emit(JGT if operator in ("gt", "le") else JGE, low_value, yes, no)
        self.place(good)


def ranges(actions: dict[int, int]) -> list[tuple[int, int, int]]:
    """Join system calls with the same answer whose numbers follow each other: (first, last, action). Pure."""
    out: list[tuple[int, int, int]] = []
    for number in sorted(actions):
        if out and out[-1][1] == number - 1 and out[-1][2] == actions[number]:
            out[-1] = (out[-1][0], number, out[-1][2])
        else:
            out.append((number, number, actions[number]))
    return out


def compile_filter(
    architecture: int,
    default: int,
    plain: dict[int, int],
    conditional: dict[int, list[tuple[Sequence[Condition], int]]],
) -> bytes:
    """Compile a filter. `plain`: number -> action; `conditional`: number -> alternatives, the first that holds wins.

    System calls of another architecture, and x86-64's x32 numbers, get the default action.
    """
    program = Program()
    mine = program.label()
    program.emit(LD, 4)
    program.emit(JEQ, architecture, mine)
    program.emit(RET, default)
    program.place(mine)
    program.emit(LD, 0)
    for number, alternatives in sorted(conditional.items()):
        block, after = program.label(), program.label()
        program.emit(JEQ, number, block)
        program.emit(JA, 0, after)
        program.place(block)
        for conditions, action in alternatives:
            fail = program.label()
            for condition in conditions:
                program.check(condition, fail)
            program.emit(RET, action)
            program.place(fail)
        program.emit(RET, default)
        program.place(after)
    for first, last, action in ranges({n: a for n, a in plain.items() if n not in conditional}):
        beyond, below = program.label(), program.label()
        program.emit(JGT, last, beyond)
        program.emit(JGE, first, 0, below)
        program.emit(RET, action)
        program.place(below)
        program.emit(RET, default)
        program.place(beyond)
    program.emit(RET, default)
    return program.assemble()
