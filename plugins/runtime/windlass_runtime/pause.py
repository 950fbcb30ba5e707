"""The sandbox image, made from nothing: one static program of some 150 bytes that sleeps for ever.

No registry, no compiler and no busybox is needed on the user's machine: the ELF file is assembled here, and
`docker import` of a tar with this one file makes the image. As process 1 without handlers it ignores TERM, so sandboxes
are ended with KILL, which is also faster.
"""

import io
import struct
import tarfile

REPOSITORY = "windlass/pause"
TAG = "1"
IMAGE = f"{REPOSITORY}:{TAG}"
PROGRAM = "/pause"

_LOAD_ADDRESS = 0x400000
_HEADERS = 64 + 56
_MACHINES = {
    # mov eax, 34 (pause); syscall; jmp back
    "x86_64": (62, bytes.fromhex("b8220000000f05ebf7")),
    # mov x8, 73 (ppoll); x0..x3 = 0; svc 0; b back
    "aarch64": (
        183,
        struct.pack("<7I", 0xD2800928, 0xD2800000, 0xD2800001, 0xD2800002, 0xD2800003, 0xD4000001, 0x17FFFFFA),
    ),
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
