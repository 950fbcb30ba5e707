"""Runs an nginx of our own in a directory of our own: never the system's. A configuration is tested before it is used."""

import asyncio
import contextlib
import os
import shutil
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping
from pathlib import Path

from windlass.clock import Clock
from windlass.errors import ConfigError
from windlass.logs import get_logger
from windlass_network.ingress.model import Certificate
from windlass_network.ingress.nginx_config import file_stem

CANDIDATE, CURRENT = "candidate.conf", "nginx.conf"
DIRECTORIES = ("certificates", "temp")
RESTART_SECONDS = 1.0
STOP_SECONDS = 10.0
TEST_SECONDS = 60.0
log = get_logger(__name__)


def _write(path: Path, content: bytes, mode: int) -> None:
    """Replace a file in one step, so that no reader sees half of it and no mode is ever wider."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    temporary.replace(path)


class Nginx:
    """One nginx: `apply` gives it a configuration, `run` keeps it alive until cancelled and then ends it."""

    def __init__(self, prefix: Path, clock: Clock, *, program: str = "nginx") -> None:
        found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin")
        if found is None:
            raise ConfigError(f"{program} is not installed; Debian's package is `nginx-light`")
        self._program = found
        self._prefix = prefix.absolute()
        self._clock = clock
        self._process: Process | None = None
        self._applied = asyncio.Event()
        for name in ("", *DIRECTORIES):
            (self._prefix / name).mkdir(parents=True, exist_ok=True, mode=0o700)

    def write_certificates(self, certificates: Mapping[str, Certificate]) -> None:
        """Write the files that configurations name; unchanged ones stay."""
        for name, certificate in certificates.items():
            for ending, content in (("crt", certificate.chain), ("key", certificate.key)):
                path = self._prefix / "certificates" / f"{file_stem(name)}.{ending}"
                if not path.exists() or path.read_bytes() != content:
                    _write(path, content, 0o600)

    def drop_certificates(self, keep: Mapping[str, Certificate]) -> None:
        """Remove the files of certificates that nothing names any more."""
        stems = {file_stem(name) for name in keep}
        for path in (self._prefix / "certificates").iterdir():
            if path.stem not in stems:
                path.unlink()

    async def test(self, text: str) -> str:
        """Let nginx check a configuration; returns what it says is wrong, '' when nothing is."""
        _write(self._prefix / CANDIDATE, text.encode(), 0o600)
        process = await asyncio.create_subprocess_exec(
            *self._command(CANDIDATE), "-t", "-q", stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE
        )
        try:
            async with asyncio.timeout(TEST_SECONDS):
                _, said = await process.communicate()
        except TimeoutError:
            process.kill()
            await process.wait()
            return "nginx did not finish checking the configuration"
        return "" if process.returncode == 0 else said.decode(errors="replace").strip() or "nginx refuses it"

    def use_tested(self) -> None:
        """Make the configuration last tested the current one, and reload: connections under way are finished."""
        (self._prefix / CANDIDATE).replace(self._prefix / CURRENT)
        self._applied.set()
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGHUP)

    def _command(self, config: str) -> list[str]:
        return [self._program, "-p", f"{self._prefix}/", "-e", "stderr", "-c", config]

    async def run(self) -> None:
        """Run nginx once there is a configuration, and again when it dies; end it when cancelled."""
        await self._applied.wait()
        while True:
            self._process = await asyncio.create_subprocess_exec(
                *self._command(CURRENT), stdin=DEVNULL, start_new_session=True
            )
            try:
                code = await self._process.wait()
            finally:
                await self._end()
            log.warning("nginx_ended", code=code)
            await self._clock.sleep(RESTART_SECONDS)

    async def _end(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
