"""The loop around every controller's `reconcile(key)`."""

import asyncio
from collections.abc import Awaitable, Callable

from prometheus_client import Counter, Histogram

from windlass.client.workqueue import WorkQueue
from windlass.errors import ApiError, ConflictError
from windlass.logs import get_logger

RECONCILES = Counter("windlass_reconciles", "Keys worked on by a controller, by result", ["controller", "result"])
RECONCILE_SECONDS = Histogram("windlass_reconcile_seconds", "How long a key took", ["controller"])
log = get_logger(__name__)

Reconcile = Callable[[str], Awaitable[float | None]]
"""Makes the world fit one key; a number asks to be called again after that many seconds."""


async def reconcile_loop(queue: WorkQueue, reconcile: Reconcile, *, controller: str, workers: int = 4) -> None:
    """Work on the queue's keys until cancelled.

    A key whose reconcile raises is logged and comes again with back-off; a conflict is no news, just an old cache.
    One that may create nothing because its namespace is going needs nothing any more: its deletion brings it back.
    """
    async with asyncio.TaskGroup() as group:
        group.create_task(queue.run())
        for _ in range(workers):
            group.create_task(_work(queue, reconcile, controller))


async def _work(queue: WorkQueue, reconcile: Reconcile, controller: str) -> None:
    while True:
        key = await queue.get()
        try:
            await reconcile_once(queue, reconcile, key, controller)
        finally:
            queue.done(key)


async def reconcile_once(queue: WorkQueue, reconcile: Reconcile, key: str, controller: str) -> None:
    """Work on one key and put it back if need be. Never raises but for cancellation."""
    try:
        with RECONCILE_SECONDS.labels(controller).time():
            again = await reconcile(key)
    except ConflictError as error:
        RECONCILES.labels(controller, "conflict").inc()
        log.debug("reconcile_conflict", controller=controller, key=key, error=str(error))
        queue.retry(key)
    except ApiError as error:
        if error.namespace_is_going:
            RECONCILES.labels(controller, "namespace_going").inc()
            log.debug("reconcile_in_terminating_namespace", controller=controller, key=key, error=str(error))
            queue.forget(key)
            return
        _failed(queue, key, controller, error)
    except Exception as error:  # noqa: BLE001 - the top of the loop: one bad key must not stop the others
        _failed(queue, key, controller, error)
    else:
        RECONCILES.labels(controller, "ok").inc()
        queue.forget(key)
        if again is not None:
            queue.add_after(key, again)


def _failed(queue: WorkQueue, key: str, controller: str, error: Exception) -> None:
    RECONCILES.labels(controller, "error").inc()
    wait = float(error.details.retry_after_seconds) if isinstance(error, ApiError) else 0.0
    delay = queue.retry(key, at_least_seconds=wait)
    told = None if isinstance(error, ApiError) else error
    log.warning("reconcile_failed", controller=controller, key=key, error=repr(error), retry_seconds=delay, exc_info=told)
