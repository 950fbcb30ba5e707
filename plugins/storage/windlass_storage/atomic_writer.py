"""Files that change all at once: the kubelet's scheme of a timestamped directory and a symlink `..data` that is swapped.

    volume/..2026_01_02_03_04_05.k2j4h5/key      the content of this version
    volume/..data -> ..2026_01_02_03_04_05.k2j4h5
    volume/key -> ..data/key                     what users see, one link per first part of a path

A reader that opens `volume/key` sees the old or the new version, never a mixture, also over several files that it opens
below a `..data` that it has resolved itself.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from windlass.errors import VolumeDriverError

DATA, NEW_DATA = "..data", "..data_tmp"
MAX_PATH, MAX_PART = 4096, 255


@dataclass(frozen=True, slots=True)
class FileContent:
    """One file: its bytes and permission bits."""

    data: bytes
    mode: int


Payload = Mapping[str, FileContent]


def check_path(path: str) -> None:
    """Raise VolumeDriverError for a path that is not a clean one inside the volume."""
    parts = path.split("/")
    wrong = (
        not path
        or path.startswith("/")
        or len(path) > MAX_PATH
        or "\0" in path
        or any(part in ("", ".", "..") or len(os.fsencode(part)) > MAX_PART for part in parts)
        or parts[0].startswith("..")
    )
    if wrong:
        raise VolumeDriverError(f"invalid path {path!r}: must be relative, without '..' and not start with '..'")


def write(
    directory: str, payload: Payload, *, prepare: Callable[[str], None] = lambda _: None, added_bits: int = 0
) -> bool:
    """Bring a directory to a payload; say whether anything changed. Blocking.

    `prepare` gets the new version's directory before anybody sees it, to set its owner; `added_bits` are the permission
    bits that it gives files beyond their mode. Nothing is written when the
    payload is what is there. A write that is interrupted leaves the old version in place, and its remains to the next.
    Raises VolumeDriverError for paths out of the volume or in each other's way, OSError.
    """
    clean = {str(Path(path)): content for path, content in payload.items()}
    for path in payload:
        check_path(path)
    top = Path(directory)
    old = _current(top)
    if old is not None and _same(top / old, clean, added_bits):
        _link(top, clean)
        return False
    stamp = datetime.now(UTC).strftime("..%Y_%m_%d_%H_%M_%S.")
    new = Path(tempfile.mkdtemp(prefix=stamp, dir=directory))
    try:
        new.chmod(0o755)
        _fill(new, clean)
        prepare(str(new))
        _swap(top, new.name)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    _link(top, clean)
    _clean_up(top, new.name)
    return True


def _current(top: Path) -> str | None:
    """Return the name of the version that is shown, None when there is none."""
    try:
        name = str((top / DATA).readlink())
    except OSError:
        return None
    return name if "/" not in name and (top / name).is_dir() else None


def _same(version: Path, payload: Payload, added_bits: int) -> bool:
    found = {str((Path(parent) / name).relative_to(version)) for parent, _, names in os.walk(version) for name in names}
    return found == set(payload) and all(
        _same_file(version / path, content, added_bits) for path, content in payload.items()
    )


def _same_file(path: Path, content: FileContent, added_bits: int) -> bool:
    status = path.lstat()
    mode = content.mode | added_bits
    return status.st_size == len(content.data) and status.st_mode & 0o777 == mode and path.read_bytes() == content.data


def _fill(version: Path, payload: Payload) -> None:
    for path, content in payload.items():
        target = version / path
        try:
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
            descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise VolumeDriverError(f"path {path!r} is in the way of another path of this volume") from error
        with os.fdopen(descriptor, "wb") as file:
            file.write(content.data)
            # The umask had its say at creation; the mode asked for is set on what was opened.
            os.fchmod(file.fileno(), content.mode)


def _swap(top: Path, version: str) -> None:
    new_link = top / NEW_DATA
    new_link.unlink(missing_ok=True)
    new_link.symlink_to(version)
    new_link.replace(top / DATA)


def _link(top: Path, payload: Payload) -> None:
    """Show the first part of each path, and hide what is no longer there."""
    wanted = {path.split("/")[0] for path in payload}
    for shown in top.iterdir():
        if not shown.name.startswith("..") and shown.name not in wanted:
            shown.unlink()
    for name in wanted:
        link, goal = top / name, f"{DATA}/{name}"
        if not (link.is_symlink() and str(link.readlink()) == goal):
            temporary = top / f"..link_{os.getpid()}"
            temporary.unlink(missing_ok=True)
            temporary.symlink_to(goal)
            temporary.replace(link)


def _clean_up(top: Path, keep: str) -> None:
    """Remove older versions, also those that an interrupted write left."""
    for path in top.iterdir():
        if path.name.startswith("..") and path.name not in (keep, DATA):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
