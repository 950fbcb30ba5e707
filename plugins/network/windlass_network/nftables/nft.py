"""The `nft` command: one call, one transaction."""

import asyncio
import json
from collections.abc import Mapping, Sequence

from windlass.errors import NetworkDriverError
from windlass_network.nftables.ruleset import TABLE

TIMEOUT_SECONDS = 60.0
SHOWN = 500


class Nft:
    """Runs `nft`; `prefix` is a command that it is run by (such as `nsenter`)."""

    def __init__(self, prefix: Sequence[str] = ()) -> None:
        self._prefix = tuple(prefix)

    async def _run(self, *arguments: str, text: str = "") -> tuple[int, str, str]:
        try:
            process = await asyncio.create_subprocess_exec(
                *self._prefix,
                "nft",
                *arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
        except OSError as error:
            raise NetworkDriverError(f"nft cannot be run: {error}") from error
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                out, err = await process.communicate(text.encode())
        except TimeoutError:
            raise NetworkDriverError(f"nft does not end within {TIMEOUT_SECONDS:g} s") from None
        finally:
            if process.returncode is None:
                process.kill()
        return process.returncode or 0, out.decode(errors="replace"), err.decode(errors="replace")

    async def commit(self, lines: Sequence[str]) -> None:
        """Apply all commands or none. Raises NetworkDriverError with nft's own words."""
        code, _, err = await self._run("-f", "-", text="\n".join(lines) + "\n")
        if code:
            raise NetworkDriverError(f"nft: {err.strip()[:SHOWN]}")

    async def rules(self) -> Mapping[str, int] | None:
        """Return how many rules each chain of our table has; None when there is no table."""
        code, out, err = await self._run("-j", "-t", "list", "table", *TABLE.split())
        if code:
            if "No such file or directory" in err:
                return None
            raise NetworkDriverError(f"nft: {err.strip()[:SHOWN]}")
        found: dict[str, int] = {}
        for item in json.loads(out)["nftables"]:
            if "chain" in item:
                found.setdefault(item["chain"]["name"], 0)
            elif "rule" in item:
                found[item["rule"]["chain"]] = found.get(item["rule"]["chain"], 0) + 1
        return found

    async def drop(self) -> None:
        """Remove our table; fine when there is none."""
        await self.commit([f"add table {TABLE}", f"delete table {TABLE}"])
