"""`/livez`, `/readyz`, `/healthz`: is this process alive, and can it serve."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from windlass.api.request import PAGE_NOT_FOUND, ApiRequest
from windlass.api.response import ApiResponse
from windlass.errors import NotFoundError, WindlassError
from windlass.logs import get_logger
from windlass.store.interface import Store

if TYPE_CHECKING:
    from windlass.store.watchcache import WatchCache

Check = Callable[[], Awaitable[None]]
PATHS = ("/livez", "/readyz", "/healthz")
log = get_logger(__name__)


class Health:
    """Liveness does not depend on the store; readiness is a round trip to it and a synced cache."""

    def __init__(self, store: Store, cache: "WatchCache", timeout_seconds: float) -> None:
        self._timeout_seconds = timeout_seconds
        ready: dict[str, Check] = {"ping": _ping, "store": store.ping, "watch-cache-sync": cache.wait_synced}
        self._checks: dict[str, dict[str, Check]] = {"/livez": {"ping": _ping}, "/readyz": ready, "/healthz": ready}

    async def handle(self, request: ApiRequest) -> ApiResponse:
        """Run the checks of one path, or one of them (`/readyz/store`)."""
        root, _, only = request.path.text[1:].partition("/")
        checks = self._checks[f"/{root}"]
        if only and only not in checks:
            raise NotFoundError(PAGE_NOT_FOUND)
        excluded = set(request.values("exclude"))
        lines, failed = [], False
        for name, check in checks.items():
            if name in excluded or (only and name != only):
                continue
            passed = await self._run(root, name, check)
            failed = failed or not passed
            lines.append(f"[+]{name} ok" if passed else f"[-]{name} failed: see the server's log")
        verdict = f"{root} check {'failed' if failed else 'passed'}"
        verbose = failed or bool(request.values("verbose"))
        text = "\n".join([*lines, verdict, ""]) if verbose else "ok"
        return ApiResponse(
            text.encode(), 500 if failed else 200, "text/plain; charset=utf-8", [("x-content-type-options", "nosniff")]
        )

    async def _run(self, root: str, name: str, check: Check) -> bool:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await check()
        except (WindlassError, TimeoutError) as error:
            log.warning("health_check_failed", endpoint=root, check=name, error=f"{type(error).__name__}: {error}")
            return False
        return True


async def _ping() -> None:
    """Being here is enough."""
