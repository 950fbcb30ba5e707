"""What the API does wrong on demand: an ASGI layer in front of the server that outside clients reach.

The cluster's own parts do not pass it, so that a test breaks the client that it is about and nothing else.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import orjson

from windlass.apimachinery.status import to_status
from windlass.errors import ApiError, InternalServerError

Scope = MutableMapping[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]


@dataclass(slots=True)
class Fault:
    """One thing that goes wrong: an error, a delay in seconds, or no answer ever. `times` counts down; -1: for ever."""

    method: str
    path: str
    times: int = -1
    error: ApiError | None = None
    seconds: float = 0.0
    hangs: bool = False
    met: int = 0

    def concerns(self, method: str, path: str) -> bool:
        """Say whether a request meets this fault. `path` is a pattern like `/api/v1/*/pods`."""
        return self.times != 0 and fnmatchcase(method, self.method) and fnmatchcase(path, self.path)


class ApiFaults:
    """The faults in force. Methods may be called from any thread; the latest fault that fits is met."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def fail(self, method: str, path: str, error: ApiError | None = None, *, times: int = -1) -> Fault:
        """Refuse requests with an error, by default an InternalServerError."""
        return self._add(Fault(method, path, times, error or InternalServerError("told to fail")))

    def delay(self, method: str, path: str, seconds: float, *, times: int = -1) -> Fault:
        """Answer requests late."""
        return self._add(Fault(method, path, times, seconds=seconds))

    def hang(self, method: str, path: str, *, times: int = -1) -> Fault:
        """Never answer; the client has to give up."""
        return self._add(Fault(method, path, times, hangs=True))

    def clear(self) -> None:
        """End all faults, for requests to come."""
        with self._lock:
            self._faults.clear()

    def meet(self, method: str, path: str) -> Fault | None:
        """Return the fault that a request meets, and count it."""
        with self._lock:
            for fault in reversed(self._faults):
                if fault.concerns(method, path):
                    fault.times -= fault.times > 0
                    fault.met += 1
                    return fault
        return None

    def _add(self, fault: Fault) -> Fault:
        with self._lock:
            self._faults.append(fault)
        return fault


class FaultyApp:
    """The ASGI application behind the faults."""

    def __init__(self, app: App, faults: ApiFaults) -> None:
        self._app = app
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Serve one request, unless it meets a fault."""
        fault = self._faults.meet(scope["method"], scope["path"]) if scope["type"] == "http" else None
        if fault is not None and fault.hangs:
            await _disconnected(receive)
            return
        if fault is not None and fault.error is not None:
            await _refuse(fault.error, send)
            return
        if fault is not None:
            await asyncio.sleep(fault.seconds)
        await self._app(scope, receive, send)


async def _disconnected(receive: Callable[[], Awaitable[Mapping[str, Any]]]) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue


async def _refuse(error: ApiError, send: Callable[[Mapping[str, Any]], Awaitable[None]]) -> None:
    status = to_status(error)
    body = orjson.dumps(status)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": int(status["code"]), "headers": headers})
    await send({"type": "http.response.body", "body": body})
