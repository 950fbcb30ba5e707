"""Tokens of pods' service accounts: requested as the node, bound to the pod, renewed at four fifths of their life."""

import asyncio
import random
from dataclasses import dataclass
from typing import Any

from windlass.apis.resources import SERVICEACCOUNTS
from windlass.clock import Clock, parse_rfc3339

Obj = dict[str, Any]
RENEW_SHARE = 0.8
MAX_AGE_SECONDS = 24 * 3600.0
JITTER_SECONDS = 10.0
TOLERANCE_SECONDS = 0.5
"""Who comes back when told to comes in time: two clocks may differ by a rounding."""
Key = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class _Kept:
    token: str
    renew_at: float


class PodTokens:
    """One token for each (pod, audience, lifetime), the same until it is time for another."""

    def __init__(self, client: Any, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._kept: dict[str, dict[Key, _Kept]] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def get(self, pod: Obj, audience: str, seconds: int) -> tuple[str, float]:
        """Return a token and after how many seconds to ask again. Raises ApiError."""
        uid = pod["metadata"]["uid"]
        key = (str(pod["spec"].get("serviceAccountName") or "default"), audience, seconds)
        async with self._locks.setdefault(uid, asyncio.Lock()):
            kept = self._kept.setdefault(uid, {}).get(key)
            now = self._clock.now().timestamp()
            if kept is None or now + TOLERANCE_SECONDS >= kept.renew_at:
                kept = self._kept[uid][key] = await self._request(pod, key)
            return kept.token, max(1.0, kept.renew_at - self._clock.now().timestamp())

    def forget(self, uid: str) -> None:
        """Drop a pod's tokens."""
        self._kept.pop(uid, None)
        self._locks.pop(uid, None)

    async def _request(self, pod: Obj, key: Key) -> _Kept:
        account, audience, seconds = key
        meta = pod["metadata"]
        spec = {
            "audiences": [audience] if audience else [],
            "expirationSeconds": seconds,
            "boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": meta["name"], "uid": meta["uid"]},
        }
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        asked_at = self._clock.now().timestamp()
        answer = await self._client.create(SERVICEACCOUNTS, body, meta["namespace"], subresource="token", name=account)
        status = answer["status"]
        expires_at = parse_rfc3339(status["expirationTimestamp"]).timestamp()
        life = min((expires_at - asked_at) * RENEW_SHARE, MAX_AGE_SECONDS)
        jitter = random.uniform(0, min(JITTER_SECONDS, life / 10))  # noqa: S311 - spreads renewals
        return _Kept(status["token"], asked_at + life - jitter)
