"""From a parsed path to its handler."""

from collections.abc import Awaitable, Callable

from windlass.api.request import ApiRequest
from windlass.api.response import Response
from windlass.errors import MethodNotAllowedError

Handle = Callable[[ApiRequest], Awaitable[Response]]


class Router:
    """Resources go to one generic handler, some to their own; all other paths to handlers by prefix.

    `resources` is the closed set of (group, version, plural) that may appear in metrics.
    """

    def __init__(self, resources: frozenset[tuple[str, str, str]], generic: Handle, fallback: Handle) -> None:
        self.resources = resources
        self._generic = generic
        self._fallback = fallback
        self._special: dict[tuple[str, str, str], Handle] = {}
        self._paths: dict[str, Handle] = {}
        self._prefixes: dict[str, Handle] = {}

    def add_resource(self, group: str, version: str, plural: str, handle: Handle) -> None:
        """Serve one resource by a handler of its own."""
        self._special[group, version, plural] = handle
        self.resources |= {(group, version, plural)}

    def add_path(self, path: str, handle: Handle, *, below: bool = False) -> None:
        """Serve a path, and with `below` everything under it."""
        self._paths[path] = handle
        if below:
            self._prefixes[path] = handle

    def route(self, request: ApiRequest) -> Handle:
        """Return the handler of a request. Raises 405 for writes to paths that only show something."""
        path = request.path
        if path.plural:
            return self._special.get((path.group, path.version, path.plural), self._generic)
        if request.method != "GET":
            raise MethodNotAllowedError(f"the server does not allow the method {request.method} on this path")
        found = self._paths.get(path.text)
        if found is not None:
            return found
        for prefix, handle in self._prefixes.items():
            if path.text.startswith(f"{prefix}/"):
                return handle
        return self._fallback
