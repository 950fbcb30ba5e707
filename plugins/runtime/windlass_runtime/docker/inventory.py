"""What is known of our Docker containers, kept right by the event stream, so that a look seldom costs a request.

While the stream is up, an entry holds until an event names its container. Without the stream nothing is kept. A full
listing compares every entry with what Docker says and so repairs whatever an event may have missed.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from windlass.errors import RuntimeDriverError
from windlass_runtime.docker import translate
from windlass_runtime.docker.engine import DockerApiError, DockerEngine, NotFound

Attrs = Mapping[str, Any]
INSPECTS = 16
"""So many containers are asked about at a time: each takes a connection of its own."""


class Inventory:
    """Inspect results by id, and which containers belong to which sandbox."""

    def __init__(self, engine: DockerEngine, node_name: str) -> None:
        self._engine = engine
        self._node_name = node_name
        self._attrs: dict[str, Attrs] = {}
        self._members: dict[str, set[str]] = defaultdict(set)
        self._versions: dict[str, int] = defaultdict(int)
        self._exits: dict[str, asyncio.Event] = {}
        self.live = False

    def set_live(self, *, live: bool) -> None:
        """Tell whether events arrive; a change forgets everything."""
        self.live = live
        self._attrs.clear()
        self._members.clear()

    def created(self, container_id: str, sandbox_id: str) -> None:
        """Note a new container (or, with an empty second argument, a new sandbox)."""
        if self.live:
            self._members[sandbox_id or container_id].update({container_id} if sandbox_id else ())

    def changed(self, container_id: str, action: str) -> bool:
        """Take an event; return False when it tells nothing new."""
        known = self._attrs.get(container_id)
        if action == "start" and known is not None and known["State"].get("Running"):
            return False
        self.touch(container_id)
        if action == "destroy":
            self._versions.pop(container_id, None)
            self._members.pop(container_id, None)
            for members in self._members.values():
                members.discard(container_id)
        if action in ("die", "destroy") and container_id in self._exits:
            self._exits[container_id].set()
        return True

    def touch(self, container_id: str) -> None:
        """Forget what is known of one container: something is being done to it."""
        self._versions[container_id] += 1
        self._attrs.pop(container_id, None)

    async def inspect(self, container_id: str) -> Attrs | None:
        """Return the container's attributes; None when there is none. Raises RuntimeDriverError."""
        known = self._attrs.get(container_id)
        if known is not None and self.live:
            return known
        version = self._versions[container_id]
        try:
            attrs: Attrs = await self._engine.request("GET", f"/containers/{container_id}/json")
        except NotFound:
            self._versions.pop(container_id, None)
            return None
        except DockerApiError as error:
            raise RuntimeDriverError(f"cannot inspect {container_id[:12]}: {error.explanation}") from error
        if self.live and version == self._versions[container_id]:
            self._attrs[container_id] = attrs
        return attrs

    async def look(self, kind: str, sandbox_id: str = "") -> list[Attrs]:
        """Return our sandboxes (`sandbox`) or containers (`container`), of one sandbox or all."""
        if sandbox_id and self.live and sandbox_id in self._members:
            return await self._inspect_all(set(self._members[sandbox_id]))
        labels = [f"{translate.TYPE}={kind}", f"{translate.NODE}={self._node_name}"]
        if sandbox_id:
            labels.append(f"{translate.SANDBOX_ID}={sandbox_id}")
        try:
            rows = await self._engine.request(
                "GET", "/containers/json", params={"all": "1", "filters": json.dumps({"label": labels})}
            )
        except DockerApiError as error:
            raise RuntimeDriverError(f"cannot list containers: {error.explanation}") from error
        for row in rows:
            known = self._attrs.get(row["Id"])
            if known is not None and known["State"].get("Status") != row.get("State"):
                self.touch(row["Id"])
            if self.live and kind == "container":
                self._members[row["Labels"].get(translate.SANDBOX_ID, "")].add(row["Id"])
        return await self._inspect_all(row["Id"] for row in rows)

    async def _inspect_all(self, ids: Iterable[str]) -> list[Attrs]:
        """Inspect side by side; one that hangs fails this look only for whoever asked for it."""
        slots = asyncio.Semaphore(INSPECTS)

        async def inspect(container_id: str) -> Attrs | None:
            async with slots:
                return await self.inspect(container_id)

        found = await asyncio.gather(*(inspect(i) for i in ids))
        return [attrs for attrs in found if attrs is not None]

    async def wait_exit(self, container_id: str, seconds: float) -> bool:
        """Wait until a container has ended; return False when the time is over first."""
        event = self._exits.setdefault(container_id, asyncio.Event())
        step = 1.0 if self.live else 0.1
        try:
            while True:
                attrs = await self.inspect(container_id)
                if attrs is None or not attrs["State"].get("Running"):
                    return True
                if seconds <= 0:
                    return False
                await self._event_or_sleep(event, min(step, seconds))
                seconds -= step
                if not event.is_set():
                    self.touch(container_id)
                event.clear()
        finally:
            self._exits.pop(container_id, None)

    async def _event_or_sleep(self, event: asyncio.Event, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            return
