"""Addresses as files: one per address, named by it, holding the sandbox's id.

An address is reserved before it is used and the file appears whole or not at all (a hard link of a finished temporary
file), so that a kill between reserve and use leaks at most one address, which `release_all_but` gives back (K78). A
lock file keeps two processes on one state directory from choosing at the same time.
"""

import fcntl
import os
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from windlass.errors import NetworkDriverError
from windlass_network.bridge.plan import Network, choose_address

_LOCK = ".lock"
_LAST = ".last"


class FileIpam:
    """One range's addresses. All methods block, briefly."""

    def __init__(self, directory: Path, network: Network) -> None:
        self._network = network
        self._directory = directory / str(network).replace("/", "_").replace(":", "-")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self._directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _path(self, address: str) -> Path:
        return self._directory / address.replace(":", "-")

    def reservations(self) -> dict[str, str]:
        """Return address -> sandbox id; unreadable leftovers are skipped, being no reservation."""
        found: dict[str, str] = {}
        if not self._directory.is_dir():
            return found
        for entry in self._directory.iterdir():
            if entry.name.startswith("."):
                continue
            owner = entry.read_text()
            found[entry.name.replace("-", ":")] = owner
        return found

    def find(self, sandbox_id: str) -> str | None:
        """Return the sandbox's address, if it has one."""
        return next((a for a, owner in self.reservations().items() if owner == sandbox_id), None)

    def reserve(self, sandbox_id: str) -> str:
        """Reserve an address, or return the one already reserved. Raises NetworkDriverError when the range is full."""
        with self._locked():
            taken = self.reservations()
            for address, owner in taken.items():
                if owner == sandbox_id:
                    return address
            last_file = self._directory / _LAST
            last = last_file.read_text() if last_file.exists() else ""
            chosen = choose_address(self._network, taken.keys(), last)
            if chosen is None:
                raise NetworkDriverError(f"no free address in pod range {self._network}: {len(taken)} in use")
            self._write(self._path(chosen), sandbox_id, exclusive=True)
            self._write(last_file, chosen, exclusive=False)
            return chosen

    def _write(self, path: Path, text: str, *, exclusive: bool) -> None:
        descriptor, name = tempfile.mkstemp(dir=self._directory, prefix=".new-")
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(text)
            if exclusive:
                os.link(name, path)
            else:
                Path(name).replace(path)
        finally:
            Path(name).unlink(missing_ok=True)

    def release(self, sandbox_id: str) -> None:
        """Free the sandbox's address; fine when it has none."""
        with self._locked():
            for address, owner in self.reservations().items():
                if owner == sandbox_id:
                    self._path(address).unlink(missing_ok=True)

    def release_all_but(self, valid: Collection[str]) -> list[str]:
        """Free every address whose sandbox is not valid; return those sandboxes."""
        released: list[str] = []
        with self._locked():
            for address, owner in self.reservations().items():
                if owner not in valid:
                    self._path(address).unlink(missing_ok=True)
                    released.append(owner)
        return released
