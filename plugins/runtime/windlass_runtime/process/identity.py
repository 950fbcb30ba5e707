"""Who a container's processes are: users and groups of the image's own files. Standard library only."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

MAX_FILE = 8 << 20


@dataclass(frozen=True, slots=True)
class Identity:
    """Numbers, and the home directory that goes with them."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str


def _entries(file: Path, fields: int) -> Iterator[list[str]]:
    """Yield the well-formed lines of a passwd or group file. A file that is none, or is huge, has none."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return
    with os.fdopen(descriptor, "rb") as opened:
        text = opened.read(MAX_FILE).decode(errors="replace") if os.path.isfile(file) else ""  # noqa: PTH113 - slim
    for line in text.splitlines():
        parts = line.split(":")
        if len(parts) >= fields and parts[2].isdigit():
            yield parts


def resolve(user: str, supplemental: Sequence[int], root: Path = Path("/")) -> Identity:
    """Look `user[:group]` up in the container's files; numbers need no entry. Raises OSError for unknown names."""
    name, _, group = (user or "0").partition(":")
    entry = next((e for e in _entries(root / "etc/passwd", 6) if name in (e[0], e[2])), None)
    if entry is None and not name.isdigit():
        raise OSError(f"unable to find user {name}: no matching entries in passwd file")
    uid = int(entry[2] if entry else name)
    gid = int(entry[3]) if entry and entry[3].isdigit() else 0
    listed = list(_entries(root / "etc/group", 3))
    if group:
        found = next((int(e[2]) for e in listed if group in (e[0], e[2])), None)
        if found is None and not group.isdigit():
            raise OSError(f"unable to find group {group}: no matching entries in group file")
        gid = int(group) if found is None else found
    mine = {int(e[2]) for e in listed if entry and len(e) > 3 and entry[0] in e[3].split(",")}
    groups = tuple(sorted({*mine, *supplemental, gid}))
    return Identity(uid, gid, groups, entry[5] if entry else "/")


def become(identity: Identity) -> None:
    """Become it, groups first. Raises OSError."""
    os.setgroups(list(identity.groups))
    os.setresgid(identity.gid, identity.gid, identity.gid)
    os.setresuid(identity.uid, identity.uid, identity.uid)
