"""Slow start: many equal writes, in batches of 1, 2, 4, ..., so that one refusal does not become five hundred."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from windlass.errors import ApiError

T = TypeVar("T")


async def slow_start(items: Sequence[T], act: Callable[[T], Awaitable[object]], *, first: int = 1) -> ApiError | None:
    """Act on all items; stop after the first batch with a refusal and return that refusal."""
    done, size = 0, first
    while done < len(items):
        batch = items[done : done + size]
        results = await asyncio.gather(*(act(item) for item in batch), return_exceptions=True)
        for result in results:
            if isinstance(result, ApiError):
                return result
            if isinstance(result, BaseException):
                raise result
        done += len(batch)
        size *= 2
    return None
