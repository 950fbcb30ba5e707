"""Call a third party's code while the process runs: in a thread of its own, with a deadline, named and counted.

Built-in plugins are called directly. What an installed distribution brings may sleep, spin, raise SystemExit or never
return; then its caller gets an error that names it, and everybody else goes on. A plugin that hangs is asked nothing
more until its thread comes back, so that hanging calls do not pile up.
"""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from prometheus_client import Counter

from windlass.errors import ApiError, InternalServerError
from windlass.logs import get_logger
from windlass.plugin.interfaces.admission import AdmissionRequest

PLUGIN_FAILURES = Counter(
    "windlass_plugin_failures", "Calls of a plugin that raised or did not return in time.", ["plugin", "hook"]
)
log = get_logger(__name__)


class PluginHungError(InternalServerError):
    """A plugin did not return within its deadline, or has not come back from an earlier call."""


class PluginCalls:
    """The calls of one plugin. `on_failure` is told why, and whether the plugin hangs."""

    def __init__(self, name: str, deadline_seconds: float, on_failure: Callable[[str, bool], None]) -> None:
        self.name = name
        self._deadline = deadline_seconds
        self._on_failure = on_failure
        self._hanging: threading.Thread | None = None

    async def call(self, hook: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call without holding up the event loop. Raises the plugin's own ApiError, else InternalServerError naming it."""
        self._refuse_while_hanging(hook)
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        call = _Call(function, arguments, lambda: _wake(loop, done))
        call.thread.start()
        await asyncio.wait((done,), timeout=self._deadline)
        return self._outcome(hook, call)

    def call_blocking(self, hook: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call from synchronous code, which waits for as long as the deadline. Raises as `call`."""
        self._refuse_while_hanging(hook)
        call = _Call(function, arguments, lambda: None)
        call.thread.start()
        call.thread.join(self._deadline)
        return self._outcome(hook, call)

    def _refuse_while_hanging(self, hook: str) -> None:
        if self._hanging is None:
            return
        if not self._hanging.is_alive():
            self._hanging = None
            return
        PLUGIN_FAILURES.labels(self.name, hook).inc()
        raise PluginHungError(f"plugin {self.name} has not returned from an earlier call: {hook} is not asked")

    def _outcome(self, hook: str, call: "_Call") -> Any:
        if not call.outcome:
            self._hanging = call.thread
            why = f"{hook} did not return within {self._deadline:g} s"
            self._fail(hook, why, hangs=True)
            raise PluginHungError(f"plugin {self.name}: {why}")
        value, error = call.outcome[0]
        if error is None:
            return value
        if isinstance(error, ApiError):
            raise error
        why = f"{hook} raised {type(error).__name__}: {error}"
        self._fail(hook, why, hangs=False)
        raise InternalServerError(f"plugin {self.name}: {why}") from error

    def _fail(self, hook: str, why: str, *, hangs: bool) -> None:
        PLUGIN_FAILURES.labels(self.name, hook).inc()
        log.error("plugin_call_failed", plugin=self.name, hook=hook, reason=why)
        self._on_failure(why, hangs)


class _Call:
    """One call in a daemon thread: an abandoned one does not keep the process from ending."""

    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...], done: Callable[[], None]) -> None:
        self.outcome: list[tuple[Any, BaseException | None]] = []
        self._function, self._arguments, self._done = function, arguments, done
        self.thread = threading.Thread(target=self._run, daemon=True, name="plugin-call")

    def _run(self) -> None:
        try:
            self.outcome.append((self._function(*self._arguments), None))
        except BaseException as error:  # noqa: BLE001 - isolation: a plugin may raise anything, even SystemExit
            self.outcome.append((None, error))
        self._done()


def _wake(loop: asyncio.AbstractEventLoop, done: "asyncio.Future[None]") -> None:
    try:
        loop.call_soon_threadsafe(lambda: None if done.done() else done.set_result(None))
    except RuntimeError as error:
        log.debug("plugin_returned_after_the_loop", error=str(error))


class GuardedAdmission:
    """A third party's admission plugin. Writes are refused while it fails: what it guards stays guarded."""

    def __init__(self, plugin: Any, calls: PluginCalls) -> None:
        self.name = str(getattr(plugin, "name", calls.name))
        self._plugin = plugin
        self._calls = calls

    async def admit(self, request: AdmissionRequest) -> None:
        """See `AdmissionPlugin.admit`."""
        await self._calls.call("admit", self._plugin.admit, request)

    async def validate(self, request: AdmissionRequest) -> None:
        """See `AdmissionPlugin.validate`."""
        await self._calls.call("validate", self._plugin.validate, request)


class GuardedMethods:
    """Stands for a plugin whose synchronous methods get the deadline; all else of it shows through."""

    def __init__(self, plugin: Any, calls: PluginCalls) -> None:
        self._plugin = plugin
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        """Return the plugin's attribute, a synchronous method with its guard."""
        found = getattr(self._plugin, name)
        if not callable(found) or asyncio.iscoroutinefunction(found):
            return found
        return lambda *arguments: self._calls.call_blocking(name, found, *arguments)
