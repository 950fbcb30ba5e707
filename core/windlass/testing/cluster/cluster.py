"""A whole cluster inside the process of a test, for any Kubernetes client or operator.

    with InProcessCluster(tmp_path) as cluster:
        cluster.apply(deployment)
        cluster.wait_for("deployments", "web", lambda it: it["status"].get("readyReplicas") == 3)

API server (memory store, TLS, real authentication and admission), manager with all controllers and the scheduler, and
host agents with the hollow runtime run in an event loop and thread of their own, so that the code under test may be
synchronous, asynchronous, or another process: it gets `kubeconfig`. The methods here are synchronous and may be called
from any thread but the cluster's; in an asynchronous test use `asyncio.to_thread`, or `client()` in its own loop.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import uvloop
import yaml

from windlass.client.client import Client
from windlass.client.kubeconfig import load_kubeconfig
from windlass.errors import WindlassError
from windlass.testing.clock import FakeClock
from windlass.testing.cluster import objects
from windlass.testing.cluster.faults import ApiFaults
from windlass.testing.cluster.identities import HOST, Identities
from windlass.testing.cluster.options import ClusterOptions
from windlass.testing.cluster.parts import ClusterParts
from windlass.testing.cluster.serving import listening_socket

T = TypeVar("T")
Obj = dict[str, Any]
HANG_SECONDS = 60.0


class InProcessCluster:
    """One cluster: `start` and `stop` it, or use it as a context. `directory` holds its certificates, nothing else."""

    def __init__(self, directory: Path, options: ClusterOptions | None = None) -> None:
        self.options = options or ClusterOptions()
        self.faults = ApiFaults()
        self._identities = Identities(directory)
        self._parts: ClusterParts | None = None
        self._stop: Callable[[], None] = lambda: None
        self._ready: Future[None] = Future()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="windlass-cluster", daemon=True)

    # -- its life

    def start(self) -> Self:
        """Start, and return when the API answers and every node is Ready. Raises what kept it from starting."""
        self._identities.directory.mkdir(parents=True, exist_ok=True)
        self._thread.start()
        try:
            self._ready.result(HANG_SECONDS)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End everything and wait for it; safe to repeat."""
        self._stop()
        if self._thread.ident is not None:
            self._thread.join(HANG_SECONDS)

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - handed to whoever starts the cluster, or asks it next
            if not self._ready.done():
                self._ready.set_exception(error)

    async def _serve(self) -> None:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        with closing(listening_socket(HOST)) as listener:
            self._parts = ClusterParts(self._identities.directory, self.options, self.faults, listener)
            self._loop, self._stop = loop, lambda: _from_outside(loop, stop.set)
            await self._parts.run(lambda: self._ready.set_result(None), stop)

    # -- ways in

    @property
    def kubeconfig(self) -> Path:
        """A kubeconfig of an administrator, for kubectl and for any client library."""
        return self._identities.kubeconfig

    @property
    def server(self) -> str:
        """The API server's URL."""
        return f"https://{HOST}:{self._running().port}"

    def client(self) -> Client:
        """Return Windlass' own asyncio client over HTTPS, for the caller's event loop, who closes it."""
        return Client(load_kubeconfig(self.kubeconfig), user_agent="windlass-testing")

    def run(self, work: Callable[[Client], Awaitable[T]]) -> T:
        """Run `work(client)` as an administrator in the cluster's own loop and return what it returns."""
        parts = self._running()
        if self._loop is None or threading.current_thread() is self._thread:
            raise RuntimeError("the cluster's own thread must not wait for itself")

        async def bounded() -> T:
            return await work(parts.client)

        return asyncio.run_coroutine_threadsafe(bounded(), self._loop).result()

    def _running(self) -> ClusterParts:
        if self._parts is None or not self._thread.is_alive():
            raise WindlassError("the cluster does not run: call start(), or use it as a context")
        return self._parts

    # -- objects

    def apply(self, *manifests: Mapping[str, Any] | str) -> list[Obj]:
        """Create or patch objects, given as mappings or as YAML of one or more documents; namespace `default`."""
        wanted = [
            document
            for manifest in manifests
            for document in (yaml.safe_load_all(manifest) if isinstance(manifest, str) else (manifest,))
            if document
        ]
        return self.run(lambda client: objects.apply_all(client, wanted))

    def get(self, plural: str, name: str, namespace: str = "default") -> Obj:
        """Return an object of `pods`, `deployments`, `websites.example.org`. Raises NotFoundError."""
        return self.run(lambda client: objects.get(client, plural, name, namespace))

    def list(self, plural: str, namespace: str = "default", *, label_selector: str = "") -> "list[Obj]":
        """Return all objects of a namespace; '' means all namespaces."""
        return self.run(lambda client: objects.list_all(client, plural, namespace, label_selector))

    def delete(self, plural: str, name: str, namespace: str = "default") -> None:
        """Delete an object as `kubectl delete --wait=false` does. Raises NotFoundError."""
        self.run(lambda client: objects.delete(client, plural, name, namespace))

    def wait_for(
        self,
        plural: str,
        name: str,
        condition: Callable[[Obj], Any] = bool,
        *,
        namespace: str = "default",
        seconds: float = HANG_SECONDS,
    ) -> Obj:
        """Return the object as soon as `condition(object)` holds; where it is absent the condition gets {}.

        It follows a watch. Under a virtual clock it moves time along, by `seconds` at most. Raises TimeoutError with
        what the object was at the end.
        """
        clock = self._running().clock
        sought = objects.Sought(plural, name, namespace, condition)
        if isinstance(clock, FakeClock):
            return self.run(lambda client: objects.wait_virtually(client, sought, clock, seconds))
        return self.run(lambda client: objects.wait_watching(client, sought, seconds))

    # -- time and trouble

    def advance(self, seconds: float) -> None:
        """Move a virtual clock; all that is due happens on the way. Raises WindlassError on the machine's clock."""
        clock = self._running().clock
        if not isinstance(clock, FakeClock):
            raise WindlassError("this cluster runs on the machine's clock: ask for ClusterOptions(virtual_clock=True)")
        self.run(lambda _client: clock.advance(seconds))

    def fail_runtime(self, node_name: str, verb: str, *, reason: str = "RuntimeError", times: int = -1) -> None:
        """Let a verb of a node's container runtime fail from now on, so many times; 0 ends it."""

        async def tell(_client: Client) -> None:
            self._running().runtimes[node_name].fail(verb, reason=reason, times=times)

        self.run(tell)


def _from_outside(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    """Call something in a loop that may have been closed meanwhile."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(call)
