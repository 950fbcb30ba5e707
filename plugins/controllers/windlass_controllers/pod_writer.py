"""Creates and deletes the pods of a workload: exactly once, told in events, awaited in the cache."""

import asyncio
from collections.abc import Callable
from typing import Any

from windlass.apis.resources import PODS
from windlass.errors import AlreadyExistsError, ApiError, NotFoundError, RequestTimeoutError, UnavailableError
from windlass.plugin.interfaces.controller import ControllerContext
from windlass_controllers.expectations import Expectations
from windlass_controllers.pods import random_suffix

Obj = dict[str, Any]
Build = Callable[[str], Obj]
"""From a random suffix to a pod; one that ignores the suffix wants that very name."""
CREATE_ATTEMPTS = 4
RETRY_SECONDS = 0.2


class PodWriter:
    """The pod writes of one controller."""

    def __init__(self, context: ControllerContext, expected: Expectations) -> None:
        self._client, self._clock, self._recorder = context.client, context.clock, context.recorder
        self._expected = expected

    def tell(self, owner: Obj, kind: str, reason: str, message: str) -> None:
        """Record an event about the workload."""
        self._recorder.event(owner, kind, reason, message)

    async def create(self, key: str, owner: Obj, build: Build) -> Obj:
        """Create one pod and return it. Raises ApiError after telling."""
        try:
            pod = await self._create_once(owner, build)
        except ApiError as error:
            if not error.namespace_is_going:
                self.tell(owner, "Warning", "FailedCreate", f"Error creating: {error}")
            raise
        self._expected.wrote(key, pod)
        self.tell(owner, "Normal", "SuccessfulCreate", f"Created pod: {pod['metadata']['name']}")
        return pod

    async def _create_once(self, owner: Obj, build: Build) -> Obj:
        """Create exactly one pod, also when an answer is lost: the same name again finds what the first try made."""
        namespace = owner["metadata"]["namespace"]
        pod, uncertain = build(random_suffix()), False
        for attempt in range(CREATE_ATTEMPTS):
            try:
                return await self._client.create(PODS, pod, namespace)
            except AlreadyExistsError:
                found = await self._client.get(PODS, pod["metadata"]["name"], namespace)
                if uncertain and _is_of(found, owner):
                    return found
                other = build(random_suffix())
                if other["metadata"]["name"] == pod["metadata"]["name"]:
                    raise
                pod = other
            except (RequestTimeoutError, UnavailableError):
                uncertain = True
                if attempt == CREATE_ATTEMPTS - 1:
                    raise
                await self._clock.sleep(RETRY_SECONDS * 2**attempt)
        return await self._client.create(PODS, pod, namespace)

    async def delete(self, key: str, owner: Obj, pod: Obj) -> None:
        """Delete one pod; one that is gone is fine. Raises ApiError after telling."""
        metadata = pod["metadata"]
        try:
            await self._client.delete(PODS, metadata["name"], metadata["namespace"], uid=metadata["uid"])
        except NotFoundError:
            return
        except ApiError as error:
            self.tell(owner, "Warning", "FailedDelete", f"Error deleting: {error}")
            raise
        self._expected.deleted(key, pod)
        self.tell(owner, "Normal", "SuccessfulDelete", f"Deleted pod: {metadata['name']}")
        await asyncio.sleep(0)


def _is_of(pod: Obj, owner: Obj) -> bool:
    references = pod["metadata"].get("ownerReferences") or ()
    return any(reference.get("uid") == owner["metadata"]["uid"] for reference in references)
