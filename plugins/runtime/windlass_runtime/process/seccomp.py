"""System call filters: the default profile, and profiles from files in Docker's and OCI's JSON form. Pure but for files.

The default refuses what Docker's does (docs.docker.com/engine/security/seccomp names the calls and why), written here
from the other side: everything that the table of system calls knows is allowed, but for what a missing capability
rules out. Calls that are newer than the table are refused with ENOSYS, so that programs fall back.
"""

import functools
import json
import platform
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from windlass.errors import RuntimeDriverError
from windlass_runtime.process.bpf import Condition, compile_filter

DEFAULT_PROFILE = "runtime/default"
UNCONFINED = "unconfined"
LOCALHOST = "localhost/"
MAX_PROFILE = 1 << 20
ALLOW = 0x7FFF0000
ERRNO = 0x00050000
EPERM, ENOSYS = 1, 38
ACTIONS = {
    "SCMP_ACT_ALLOW": ALLOW, "SCMP_ACT_LOG": 0x7FFC0000, "SCMP_ACT_TRAP": 0x00030000, "SCMP_ACT_KILL": 0,
    "SCMP_ACT_KILL_THREAD": 0, "SCMP_ACT_KILL_PROCESS": 0x80000000,
}  # fmt: skip
OPERATORS = {f"SCMP_CMP_{name}": name.lower() for name in ("EQ", "NE", "LT", "LE", "GT", "GE", "MASKED_EQ")}
ARCHITECTURES = {
    "x86_64": (0xC000003E, "amd64", "SCMP_ARCH_X86_64"),
    "aarch64": (0xC00000B7, "arm64", "SCMP_ARCH_AARCH64"),
}
NEW_NAMESPACES = 0x7E020000
"""All CLONE_NEW* flags of clone, unshare and setns."""
AF_VSOCK = 40
PERSONALITIES = (0, 8, 0x20000, 0x20008, 0xFFFFFFFF)
REFUSED: Mapping[str, tuple[str, ...]] = {
    "": ("add_key", "keyctl", "request_key", "kexec_load", "kexec_file_load", "migrate_pages", "move_pages",
         "nfsservctl", "swapon", "swapoff", "sysfs", "_sysctl", "uselib", "userfaultfd", "ustat", "vm86", "pivot_root",
         "create_module", "get_kernel_syms", "query_module", "afs_syscall", "getpmsg", "putpmsg", "security", "tuxcall",
         "vserver"),
    "DAC_READ_SEARCH": ("open_by_handle_at",),
    "SYS_ADMIN": ("fanotify_init", "fsconfig", "fsmount", "fsopen", "fspick", "lookup_dcookie", "mount",
                  "mount_setattr", "move_mount", "open_tree", "quotactl", "quotactl_fd", "setdomainname",
                  "sethostname", "setns", "umount2", "unshare"),
    "SYS_BOOT": ("reboot",),
    "SYS_CHROOT": ("chroot",),
    "SYS_MODULE": ("delete_module", "init_module", "finit_module"),
    "SYS_NICE": ("get_mempolicy", "mbind", "set_mempolicy", "set_mempolicy_home_node"),
    "SYS_PACCT": ("acct",),
    "SYS_PTRACE": ("kcmp", "pidfd_getfd", "process_madvise"),
    "SYS_RAWIO": ("iopl", "ioperm"),
    "SYS_TIME": ("settimeofday", "clock_settime"),
    "SYS_TTY_CONFIG": ("vhangup",),
    "BPF|SYS_ADMIN": ("bpf",),
    "PERFMON|SYS_ADMIN": ("perf_event_open",),
    "SYSLOG|SYS_ADMIN": ("syslog",),
    "!": ("io_uring_setup", "io_uring_enter", "io_uring_register"),
}  # fmt: skip
"""What is refused without the capability (any of them); "" and "!" always, the latter with ENOSYS."""


@functools.cache
def numbers() -> Mapping[str, int]:
    """Return this machine's system calls by name. Raises RuntimeDriverError for an unknown architecture."""
    table = json.loads((resources.files(__package__) / "syscalls.json").read_text())
    if platform.machine() not in table:
        message = f"seccomp profiles are not supported on {platform.machine()}"
        raise RuntimeDriverError(message, reason="CreateContainerError")
    return dict(table[platform.machine()])


@functools.lru_cache(maxsize=64)
def default_program(capabilities: frozenset[str]) -> bytes:
    """Compile the default profile for a container's capabilities."""
    table = numbers()
    plain = dict.fromkeys(table.values(), ALLOW)
    conditional: dict[int, list[tuple[Iterable[Condition], int]]] = {}
    for needed, names in REFUSED.items():
        if not capabilities.intersection(needed.split("|")):
            answer = ERRNO | (ENOSYS if needed == "!" else EPERM)
            plain.update({table[name]: answer for name in names if name in table})
    if "SYS_ADMIN" not in capabilities:
        without = [Condition(0, "masked_eq", NEW_NAMESPACES, 0)]
        conditional[table["clone"]] = [(without, ALLOW), ((), ERRNO | EPERM)]
        plain[table["clone3"]] = ERRNO | ENOSYS  # its flags lie in memory, where no filter can see them
    conditional[table["socket"]] = [([Condition(0, "ne", AF_VSOCK)], ALLOW), ((), ERRNO | EPERM)]
    allowed = [([Condition(0, "eq", value)], ALLOW) for value in PERSONALITIES]
    conditional[table["personality"]] = [*allowed, ((), ERRNO | EPERM)]
    architecture = ARCHITECTURES[platform.machine()][0]
    return compile_filter(architecture, ERRNO | ENOSYS, plain, {n: [(tuple(c), a) for c, a in alternatives]
                                                               for n, alternatives in conditional.items()})  # fmt: skip


def _action(name: str, errno: int) -> int:
    if name == "SCMP_ACT_ERRNO":
        return ERRNO | (errno & 0xFFFF)
    if name not in ACTIONS:
        raise ValueError(f"action {name!r} is not supported")
    return ACTIONS[name]


def _applies(rule: Mapping[str, Any], capabilities: frozenset[str]) -> bool:
    """Heed Docker's `includes` and `excludes`."""
    architecture = ARCHITECTURES[platform.machine()][1]
    caps = {f"CAP_{name}" for name in capabilities}
    includes, excludes = rule.get("includes") or {}, rule.get("excludes") or {}
    if includes.get("caps") and not caps.issuperset(includes["caps"]):
        return False
    if includes.get("arches") and architecture not in includes["arches"]:
        return False
    return not (caps.intersection(excludes.get("caps") or ()) or architecture in (excludes.get("arches") or ()))


def compile_profile(profile: Mapping[str, Any], capabilities: frozenset[str]) -> bytes:
    """Compile a profile. Raises ValueError, KeyError, TypeError for one that is malformed. Unknown names are skipped.

    They are calls of other architectures or newer kernels, which every runtime skips.
    """
    architecture, _, own_name = ARCHITECTURES[platform.machine()]
    default = _action(profile["defaultAction"], int(profile.get("defaultErrnoRet") or EPERM))
    listed = profile.get("architectures") or [own_name]
    if own_name not in listed:
        raise ValueError(f"the profile is for {', '.join(listed)} only")
    table = numbers()
    plain: dict[int, int] = {}
    conditional: dict[int, list[tuple[list[Condition], int]]] = {}
    for rule in profile.get("syscalls") or ():
        if not _applies(rule, capabilities):
            continue
        action = _action(rule["action"], int(rule.get("errnoRet") or EPERM))
        conditions = [_condition(argument) for argument in rule.get("args") or ()]
        for number in [table[name] for name in rule.get("names") or [rule["name"]] if name in table]:
            if conditions:
                conditional.setdefault(number, []).append((conditions, action))
            else:
                plain[number] = action
    merged = {n: [*rules, *([((), plain[n])] if n in plain else [])] for n, rules in conditional.items()}
    return compile_filter(architecture, default, plain, dict(merged))


def _condition(argument: Mapping[str, Any]) -> Condition:
    operator = OPERATORS.get(argument["op"])
    index = int(argument["index"])
    if operator is None or not 0 <= index < 6:
        raise ValueError(f"argument {argument!r} is not supported")
    return Condition(index, operator, int(argument["value"]) & (2**64 - 1), int(argument.get("valueTwo") or 0))


def program_for(profile: str, capabilities: frozenset[str]) -> bytes:
    """Return the filter of a container's profile, empty for none. Raises RuntimeDriverError saying what is wrong."""
    if profile in ("", UNCONFINED):
        return b""
    if profile in (DEFAULT_PROFILE, "docker/default"):
        return default_program(capabilities)
    if not profile.startswith(LOCALHOST):
        raise RuntimeDriverError(f"invalid seccomp profile {profile!r}", reason="CreateContainerError")
    path = Path(profile.removeprefix(LOCALHOST))
    try:
        with path.open("rb") as file:
            text = file.read(MAX_PROFILE + 1)
        return compile_profile(json.loads(text[:MAX_PROFILE]), capabilities)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        message = f"cannot load seccomp profile {str(path)!r}: {error}"
        raise RuntimeDriverError(message, reason="CreateContainerError") from error
