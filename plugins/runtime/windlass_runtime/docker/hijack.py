"""Docker's raw streams: a request that turns its connection into stdin, stdout and stderr of a process.

The SDK's own hijacking gives a blocking socket, which needs a thread for as long as somebody looks at an idle shell.
Here the upgrade is spoken over an asyncio connection, so that an idle stream costs a socket and nothing else.
"""

import asyncio
import json
from typing import Any
from urllib.parse import urlsplit

from windlass.errors import RuntimeDriverError
from windlass_runtime.docker.engine import UNAVAILABLE, DockerApiError, DockerEngine, raise_for

HEAD_LIMIT = 1 << 16
HEAD_SECONDS = 30.0
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _connect(endpoint: str) -> Connection:
    if endpoint.startswith("unix://"):
        return await asyncio.open_unix_connection(endpoint.removeprefix("unix://"), limit=HEAD_LIMIT)
    parts = urlsplit(endpoint)
    return await asyncio.open_connection(parts.hostname or "127.0.0.1", parts.port or 2375, limit=HEAD_LIMIT)


def request_head(path: str, host: str, body: bytes) -> bytes:
    """Build the request that asks for the upgrade. Pure. A body that Docker does not expect would become stdin."""
    lines = [
        f"POST {path} HTTP/1.1",
        f"Host: {host}",
        "Connection: Upgrade",
        "Upgrade: tcp",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def status_of(head: bytes) -> int:
    """Return the status code of an answer's head. Pure; raises ValueError for what is not HTTP."""
    version, code, *_ = head.split(b"\r\n", 1)[0].split(b" ", 2)
    if not version.startswith(b"HTTP/"):
        raise ValueError("not HTTP")
    return int(code)


async def open_stream(engine: DockerEngine, path: str, body: dict[str, Any] | None = None) -> Connection:
    """Ask for the upgrade and hand over the connection. Raises as `DockerEngine.call` does."""
    url = urlsplit(await engine.url(path))
    data = json.dumps(body).encode() if body is not None else b""
    try:
        async with asyncio.timeout(HEAD_SECONDS):
            reader, writer = await _connect(engine.endpoint)
            try:
                target = f"{url.path}?{url.query}" if url.query else url.path
                writer.write(request_head(target, url.netloc, data))
                head = await reader.readuntil(b"\r\n\r\n")
                status = status_of(head)
                raise_for(status, (await reader.read(HEAD_LIMIT)).decode("utf-8", "replace") if status >= 400 else "")
            except BaseException:
                writer.close()
                raise
    except TimeoutError:
        raise RuntimeDriverError(f"Docker did not answer within {HEAD_SECONDS:g} s", reason=UNAVAILABLE) from None
    except DockerApiError:  # an OSError too, by its ancestry
        raise
    except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise RuntimeDriverError(f"Docker's stream cannot be opened: {error}", reason=UNAVAILABLE) from error
    return reader, writer
