"""`/version` and OpenAPI, built at first use and kept encoded."""

import hashlib
import platform
from collections.abc import Sequence

import orjson

from windlass import __version__
from windlass.api.request import PAGE_NOT_FOUND, ApiRequest
from windlass.api.response import ApiResponse
from windlass.apimachinery import openapi
from windlass.apimachinery.scheme import KindDefinition
from windlass.errors import NotFoundError

KUBERNETES_MINOR = "32"
OPENAPI_PROTOBUF = "application/com.github.proto-openapi.spec.v2"
OPENAPI_PROTOBUF_TYPE = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
VERSION = {
    "major": "1",
    "minor": KUBERNETES_MINOR,
    "gitVersion": f"v1.{KUBERNETES_MINOR}.0+windlass.{__version__}",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": f"python{platform.python_version()}",
    "compiler": platform.python_implementation().lower(),
    "platform": f"linux/{platform.machine().replace('x86_64', 'amd64').replace('aarch64', 'arm64')}",
}


class Documents:
    """The documents about the API that do not change while the process runs."""

    def __init__(self, kinds: Sequence[KindDefinition]) -> None:
        self._kinds = tuple(kinds)
        self._version = orjson.dumps(VERSION)
        self._v2 = b""
        self._v3: dict[str, bytes] = {}
        self._groups = {self._path(kind): kind.api_version for kind in kinds}

    @staticmethod
    def _path(kind: KindDefinition) -> str:
        return f"apis/{kind.api_version}" if kind.group else f"api/{kind.version}"

    async def version(self, request: ApiRequest) -> ApiResponse:  # noqa: ARG002 - one signature for all handlers
        """Serve `/version`."""
        return ApiResponse(self._version)

    async def openapi_v2(self, request: ApiRequest) -> ApiResponse:
        """Serve `/openapi/v2` as JSON.

        kubectl asks for protobuf only, and only to see whether there is a version 2; its schemas are in version 3. It
        gets a document that says `swagger: "2.0"` and nothing more.
        """
        if OPENAPI_PROTOBUF in request.header(b"accept") and "json" not in request.header(b"accept"):
            return ApiResponse(b"\x0a\x032.0", content_type=OPENAPI_PROTOBUF_TYPE)
        if not self._v2:
            self._v2 = orjson.dumps(openapi.build_v2(self._kinds))
        return ApiResponse(self._v2, headers=[("etag", f'"{_hash(self._v2)}"')])

    async def openapi_v3(self, request: ApiRequest) -> ApiResponse:
        """Serve `/openapi/v3` (the index) and `/openapi/v3/<group version>`."""
        path = request.path.text.removeprefix("/openapi/v3").strip("/")
        if not path:
            index = {
                name: {"serverRelativeURL": f"/openapi/v3/{name}?hash={_hash(self._document(name))}"}
                for name in self._groups
            }
            return ApiResponse(orjson.dumps({"paths": index}))
        if path not in self._groups:
            raise NotFoundError(PAGE_NOT_FOUND)
        document = self._document(path)
        headers = [("etag", f'"{_hash(document)}"')]
        if request.value("hash") == _hash(document):
            headers.append(("cache-control", "public, immutable"))
        return ApiResponse(document, headers=headers)

    def _document(self, path: str) -> bytes:
        if path not in self._v3:
            self._v3[path] = orjson.dumps(openapi.build_v3(self._kinds, self._groups[path]))
        return self._v3[path]


def _hash(document: bytes) -> str:
    return hashlib.sha256(document).hexdigest()[:32].upper()
