"""The sandbox image, made from nothing: one static program of some 150 bytes that sleeps for ever.

No registry, no compiler and no busybox is needed on the user's machine: the ELF file is assembled here, and
`docker import` of a tar with this one file makes the image. As process 1 without handlers it ignores TERM, so sandboxes
are ended with KILL, which is also faster. It ignores CHLD, so that the kernel reaps for it where the pod's containers
share its process ids.
"""

import io
import struct
import tarfile

REPOSITORY = "windlass/pause"
TAG = "2"
IMAGE = f"{REPOSITORY}:{TAG}"
PROGRAM = "/pause"

_LOAD_ADDRESS = 0x400000
_HEADERS = 64 + 56
_X86_IGNORE_CHLD = "6a006a006a006a014889e6bf1100000031d241ba08000000b80d0000000f05"
_X86_PAUSE = "b8220000000f05ebf7"
_ARM_SIGACTION = (0xD10083FF, 0xD2800029, 0xF90003E9, 0xF90007FF, 0xF9000BFF, 0xF9000FFF)
_ARM_IGNORE_CHLD = (0xD2800220, 0x910003E1, 0xD2800002, 0xD2800103, 0xD28010C8, 0xD4000001)
_ARM_PAUSE = (0xD2800928, 0xD2800000, 0xD2800001, 0xD2800002, 0xD2800003, 0xD4000001, 0x17FFFFFA)
_MACHINES = {
    # a struct sigaction {SIG_IGN, 0, 0, 0} on the stack; rt_sigaction(SIGCHLD, it, 0, 8); pause for ever
    "x86_64": (62, bytes.fromhex(_X86_IGNORE_CHLD + _X86_PAUSE)),
    # the same; then ppoll(0, 0, 0, 0) for ever
    "aarch64": (183, struct.pack("<19I", *_ARM_SIGACTION, *_ARM_IGNORE_CHLD, *_ARM_PAUSE)),
}


def pause_program(machine: str) -> bytes:
    """Assemble the program for a machine as `uname -m` names it. Raises KeyError for an unknown one."""
    number, code = _MACHINES[machine]
    size = _HEADERS + len(code)
    ident = b"\x7fELF" + bytes((2, 1, 1)) + bytes(9)
    header = struct.pack("<HHIQQQIHHHHHH", 2, number, 1, _LOAD_ADDRESS + _HEADERS, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _LOAD_ADDRESS, _LOAD_ADDRESS, size, size, 0x1000)
    return ident + header + segment + code


def pause_layer(machine: str) -> bytes:
    """Return a tar with the program in it; the same bytes every time."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        program = pause_program(machine)
        info = tarfile.TarInfo(PROGRAM.lstrip("/"))
        info.size, info.mode = len(program), 0o755
        tar.addfile(info, io.BytesIO(program))
    return out.getvalue()
