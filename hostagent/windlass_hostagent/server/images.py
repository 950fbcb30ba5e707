"""`/images` and `/images/import`: the node's images, and a saved image put on this node without a registry."""

import asyncio
import errno
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO

import falcon
import falcon.asgi
import orjson

from windlass.errors import RuntimeDriverError
from windlass.logs import get_logger
from windlass.plugin.interfaces.runtime import RuntimeDriver

MAX_ARCHIVE_BYTES = 20 << 30
WRITE_BYTES = 1 << 20
HEARTBEAT_SECONDS = 5.0
RESERVE_BYTES = 64 << 20
"""What an upload leaves free on the node's disk."""
FULL = (errno.ENOSPC, errno.EDQUOT)
log = get_logger(__name__)


class Images:
    """`/images`: what the runtime has."""

    def __init__(self, runtime: RuntimeDriver) -> None:
        self._runtime = runtime

    async def on_get(self, _req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Answer with the list."""
        try:
            found = await self._runtime.list_images()
        except RuntimeDriverError as error:
            raise falcon.HTTPServiceUnavailable(description=str(error)) from error
        items = [{"id": i.id, "names": list(i.repo_tags), "sizeBytes": i.size_bytes} for i in found]
        resp.content_type = "application/json"
        resp.data = orjson.dumps({"items": items})


class ImageImport:
    """`/images/import`: the request's body is an archive of `docker save`, or an OCI image layout in a tar.

    The body goes to disk as it comes, up to a bound and never into the disk's last reserve. The answer is one JSON
    object per line: `{}` now and then while the runtime unpacks, at the end `{"images": [names]}` or `{"error": why}`;
    whatever is wrong with the upload itself is an HTTP error.
    """

    def __init__(self, runtime: RuntimeDriver, directory: Path, *, limit: int = MAX_ARCHIVE_BYTES) -> None:
        self._runtime = runtime
        self._directory = directory
        self._limit = limit
        self._one = asyncio.Lock()

    async def on_post(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Take the archive, then answer while it is imported."""
        self._check_size(req.content_length or 0)
        path = await asyncio.to_thread(self._new_file)
        try:
            with path.open("wb") as file:
                received = await self._receive(req, file)
        except BaseException:
            _remove(path)
            raise
        if req.content_length not in (None, received):
            _remove(path)
            message = f"the archive has {received} bytes, Content-Length says {req.content_length}"
            raise falcon.HTTPBadRequest(description=message)
        resp.content_type = "application/x-ndjson"
        resp.stream = self._import(path)

    def _new_file(self) -> Path:
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, name = tempfile.mkstemp(dir=self._directory, suffix=".tar")
        os.close(descriptor)
        return Path(name)

    def _check_size(self, size: int) -> None:
        """Refuse what is too much before it has come. Raises 413 or 507."""
        if size > self._limit:
            message = f"the archive has {size} bytes, this node takes {self._limit}"
            raise falcon.HTTPContentTooLarge(description=message)
        place = next(p for p in (self._directory, *self._directory.parents) if p.exists())
        free = shutil.disk_usage(place).free - RESERVE_BYTES
        if size > free:
            message = f"no space left on the node's disk: {max(0, free)} bytes are free, {size} are needed"
            raise falcon.HTTPError(507, description=message)

    async def _receive(self, req: falcon.asgi.Request, file: BinaryIO) -> int:
        received, pending = 0, bytearray()
        async for chunk in req.stream:
            received += len(chunk)
            pending += chunk
            if len(pending) >= WRITE_BYTES:
                self._check_size(received if received > self._limit else 0)
                await self._write(file, pending)
        self._check_size(received if received > self._limit else 0)
        await self._write(file, pending)
        return received

    async def _write(self, file: BinaryIO, pending: bytearray) -> None:
        try:
            await asyncio.to_thread(file.write, bytes(pending))
        except OSError as error:
            if error.errno in FULL:
                raise falcon.HTTPError(507, description="no space left on the node's disk") from error
            raise
        pending.clear()

    async def _import(self, path: Path) -> AsyncIterator[bytes]:
        """Yield the answer's lines. The archive is removed at the end, also when the client has gone."""
        try:
            async with self._one:
                work = asyncio.ensure_future(self._runtime.import_images(str(path)))
                try:
                    while not (await asyncio.wait({work}, timeout=HEARTBEAT_SECONDS))[0]:
                        yield b"{}\n"
                    names = list(work.result())
                    log.info("images_imported", images=names)
                    yield orjson.dumps({"images": names}) + b"\n"
                except (RuntimeDriverError, OSError) as error:
                    log.warning("image_import_failed", error=str(error))
                    yield orjson.dumps({"error": str(error)}) + b"\n"
                finally:
                    work.cancel()
                    await asyncio.gather(work, return_exceptions=True)
        finally:
            _remove(path)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
