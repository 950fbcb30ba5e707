"""Programs of the host that volume drivers run."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from windlass.errors import VolumeDriverError

Run = Callable[..., Awaitable[str]]


async def run(*command: str, accepts: Sequence[int] = (0,)) -> str:
    """Run a program to its end and return what it printed. Raises VolumeDriverError with its words when it failed."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
    except FileNotFoundError as error:
        raise VolumeDriverError(f"this node has no {command[0]}: {error}", reason="Internal") from error
    try:
        printed, _ = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    text = printed.decode("utf-8", "replace").strip()
    if process.returncode not in accepts:
        raise VolumeDriverError(f"{' '.join(command)} failed ({process.returncode}): {text}")
    return text
