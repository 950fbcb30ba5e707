"""The binder while the API fails it."""

import random

from windlass.apis.resources import PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES
from windlass.client.client import Client
from windlass.errors import ConflictError, RequestTimeoutError, UnavailableError
from windlass_controllers.persistentvolume.controller import PersistentVolumeBinder

PVC, PV = PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES
COUNT = 12


class Unreliable(Client):
    """Fails some writes before they are made, and loses the answers of some that were."""

    def __init__(self, transport, seed):
        super().__init__(transport)
        self.random = random.Random(seed)
        self.failed = 0

    async def update(self, resource, obj, *, subresource=""):
        lot = self.random.random()
        if lot < 0.15:
            self.failed += 1
            raise UnavailableError("down") if lot < 0.08 else ConflictError("changed")
        written = await super().update(resource, obj, subresource=subresource)
        if lot < 0.3:
            self.failed += 1
            raise RequestTimeoutError("the answer was lost")
        return written


async def test_claims_and_volumes_pair_off_whatever_gets_lost(cluster, make):
    """P88, P89: two binders at once, a third of their writes failing or unanswered: each claim one volume, none twice."""
    reliable = cluster.client
    flaky = [Unreliable(reliable.transport, seed) for seed in (1, 2)]
    for client in flaky:
        cluster.client = client
        cluster.run_controllers(PersistentVolumeBinder)
    cluster.client = reliable
    for number in range(COUNT):
        claim, volume = make.claim(f"c{number}"), make.volume(f"v{number}")
        del claim["status"], volume["status"]
        claim["metadata"] = {"name": f"c{number}", "namespace": "default"}
        volume["metadata"] = {"name": f"v{number}"}
        await reliable.create(PVC, claim)
        await reliable.create(PV, volume)

    async def all_bound():
        found = await cluster.items(PVC) + await cluster.items(PV, "")
        return len(found) == 2 * COUNT and all((one.get("status") or {}).get("phase") == "Bound" for one in found)

    await cluster.eventually(all_bound)
    claims = {claim["metadata"]["uid"]: claim["spec"]["volumeName"] for claim in await cluster.items(PVC)}
    volumes = {one["spec"]["claimRef"]["uid"]: one["metadata"]["name"] for one in await cluster.items(PV, "")}
    assert claims == volumes
    assert len(set(claims.values())) == COUNT
    assert sum(client.failed for client in flaky) > 0
