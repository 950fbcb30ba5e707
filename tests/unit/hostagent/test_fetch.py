"""Reads of the objects that pods name."""

import asyncio

import pytest

from windlass.errors import ApiError, NotFoundError
from windlass_hostagent.fetch import ObjectFetcher

CLASS = ("RuntimeClass", "", "fast")


class SlowApi:
    """Answers a read when `answers` says what with."""

    def __init__(self):
        self.answers = asyncio.Queue()
        self.asked = []

    async def get(self, resource, name, namespace=""):
        self.asked.append((resource.plural, namespace, name))
        answer = await self.answers.get()
        if isinstance(answer, Exception):
            raise answer
        return answer


async def asked_together(fetch, count):
    """Begin reads of one object, and return when all of them wait."""
    tasks = [asyncio.create_task(fetch(*CLASS)) for _ in range(count)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return tasks


async def test_those_who_ask_together_share_one_read():
    api = SlowApi()
    tasks = await asked_together(ObjectFetcher(api), 3)
    api.answers.put_nowait({"handler": "runc"})
    assert await asyncio.gather(*tasks) == [{"handler": "runc"}] * 3
    assert api.asked == [("runtimeclasses", "", "fast")]


async def test_an_object_made_anew_under_its_name_is_read_anew():
    """C286: a pod may not get the handler of a class that was deleted before the pod was made."""
    api = SlowApi()
    fetch = ObjectFetcher(api)
    for answer, result in (
        ({"handler": "runc"}, {"handler": "runc"}),
        (NotFoundError("gone"), None),
        ({"handler": "no-such-handler"}, {"handler": "no-such-handler"}),
    ):
        api.answers.put_nowait(answer)
        assert await fetch(*CLASS) == result
    assert len(api.asked) == 3


async def test_who_is_cancelled_takes_nothing_from_the_others():
    api = SlowApi()
    first, second = await asked_together(ObjectFetcher(api), 2)
    first.cancel()
    api.answers.put_nowait({"handler": "runc"})
    assert await second == {"handler": "runc"}
    assert first.cancelled()
    assert len(api.asked) == 1


async def test_an_error_reaches_all_who_wait_and_the_next_one_asks_again():
    api = SlowApi()
    fetch = ObjectFetcher(api)
    tasks = await asked_together(fetch, 2)
    api.answers.put_nowait(ApiError("no leader"))
    for task in tasks:
        with pytest.raises(ApiError, match="no leader"):
            await task
    api.answers.put_nowait({"handler": "runc"})
    assert await fetch(*CLASS) == {"handler": "runc"}
