"""`/livez`, `/readyz` and `/metrics` of a control plane process, on a port of the local machine."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

Check = Callable[[], Awaitable[str] | str]
"""Returns why something is not as it should be; '' when it is."""


def _checks_handler(checks: Mapping[str, Check]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(_request: web.Request) -> web.Response:
        lines, failed = [], False
        for name, check in checks.items():
            answer = check()
            why = answer if isinstance(answer, str) else await answer
            lines.append(f"[-]{name} failed: {why}" if why else f"[+]{name} ok")
            failed = failed or bool(why)
        return web.Response(text="\n".join(lines) + "\n", status=503 if failed else 200)

    return handle


async def _metrics(_request: web.Request) -> web.Response:
    return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})


@asynccontextmanager
async def serve_probes(
    address: str, port: int, *, live: Mapping[str, Check], ready: Mapping[str, Check]
) -> AsyncIterator[int]:
    """Serve until the context ends; gives the port (chosen by the system for 0). Raises OSError when it is taken."""
    app = web.Application()
    app.router.add_get("/livez", _checks_handler(live))
    app.router.add_get("/healthz", _checks_handler(live))
    app.router.add_get("/readyz", _checks_handler(ready))
    app.router.add_get("/metrics", _metrics)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, address, port)
        await site.start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()
