"""What a controller has written and its informers have not shown it yet.

A controller that counts in a cache which lags behind its own writes overshoots. Store revisions are one growing number,
so it is enough to remember the highest one written per key: the cache is fit to count in once it has seen that.
After a restart there is nothing to remember: the first list shows every write that was committed.
"""

from collections.abc import Mapping
from typing import Any

from windlass.client.informer import Informer
from windlass.clock import Clock

EXPIRES_SECONDS = 300.0


class Expectations:
    """Writes of one collection, by the key on whose behalf they were made."""

    def __init__(self, informer: Informer, clock: Clock) -> None:
        self._informer = informer
        self._clock = clock
        self._versions: dict[str, tuple[int, float]] = {}
        self._gone: dict[str, dict[str, tuple[str, str, float]]] = {}

    def wrote(self, key: str, obj: Mapping[str, Any]) -> None:
        """Expect to see a write by what it returned."""
        version = str((obj.get("metadata") or {}).get("resourceVersion") or "")
        if version.isdecimal() and not self._informer.has_seen(version):
            before = self._versions.get(key, (0, 0.0))[0]
            self._versions[key] = (max(before, int(version)), self._clock.monotonic() + EXPIRES_SECONDS)

    def deleted(self, key: str, obj: Mapping[str, Any]) -> None:
        """Expect an object, as it was before, to be gone or on its way."""
        metadata = obj["metadata"]
        expires = self._clock.monotonic() + EXPIRES_SECONDS
        entry = (str(metadata.get("namespace") or ""), metadata["name"], expires)
        self._gone.setdefault(key, {})[metadata["uid"]] = entry

    def are_met(self, key: str) -> bool:
        """Say whether the cache shows all of the key's writes. One that never shows is given up after 5 minutes."""
        now = self._clock.monotonic()
        version, expires = self._versions.get(key, (0, 0.0))
        if version and not self._informer.has_seen(str(version)) and now < expires:
            return False
        self._versions.pop(key, None)
        waiting = self._gone.get(key, {})
        for uid, (namespace, name, until) in list(waiting.items()):
            if now >= until or self._has_gone(uid, namespace, name):
                del waiting[uid]
        if not waiting:
            self._gone.pop(key, None)
        return not waiting

    def forget(self, key: str) -> None:
        """Forget a key whose object is no more."""
        self._versions.pop(key, None)
        self._gone.pop(key, None)

    def _has_gone(self, uid: str, namespace: str, name: str) -> bool:
        metadata = (self._informer.get(namespace, name) or {}).get("metadata", {})
        return metadata.get("uid") != uid or bool(metadata.get("deletionTimestamp"))
