import asyncio

import pytest

from windlass.client.client import Client
from windlass.client.election import ElectionTiming, LeaderElector

LEASE = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/manager"


class Work:
    def __init__(self):
        self.fences = []
        self.running = False

    async def __call__(self, client):
        self.fences.append(client.fence.lease_transitions)
        self.running = True
        try:
            await asyncio.Event().wait()
        finally:
            self.running = False


@pytest.fixture
def candidate(api, clock):
    return lambda name: LeaderElector(Client(api), "kube-system", "manager", name, clock)


async def test_one_leads_the_other_waits_and_takes_over(api, candidate, clock, background):
    first, second = Work(), Work()
    leader = background(candidate("a").run(first))
    await clock.settle()
    background(candidate("b").run(second))
    await clock.advance(60)
    assert (first.running, second.running) == (True, False)
    leader.cancel()
    await clock.advance(5)
    assert (first.running, second.running) == (False, True)
    assert first.fences + second.fences == [0, 1]
    assert api.objects[LEASE]["spec"]["holderIdentity"] == "b"


async def test_a_leader_that_cannot_renew_stops_before_its_lease_runs_out(api, candidate, clock, background):
    """R05: leader work stops before anybody else may begin."""
    work = Work()
    leader = background(candidate("a").run(work))
    await clock.advance(4)
    api.down = True
    await clock.advance(11)
    assert not work.running
    assert leader.done()


async def test_a_silent_leader_is_replaced_in_a_new_term_and_notices(api, candidate, clock, background):
    """R09: a paused leader finds itself replaced; its term is over."""
    first, second = Work(), Work()
    background(candidate("a").run(first))
    await clock.settle()
    taken = api.objects[LEASE]
    api.put(LEASE.rpartition("/")[0], {**taken, "spec": {**taken["spec"], "holderIdentity": "b", "leaseTransitions": 1}})
    await clock.advance(3)
    assert not first.running
    background(candidate("c").run(second))
    await clock.advance(10)
    assert not second.running
    await clock.advance(20)
    assert second.fences == [2]


async def test_a_label_on_the_lease_does_not_end_the_term(api, candidate, clock, background):
    work = Work()
    background(candidate("a").run(work))
    await clock.advance(3)
    lease = api.objects[LEASE]
    api.put(LEASE.rpartition("/")[0], {**lease, "metadata": {**lease["metadata"], "labels": {"x": "y"}}})
    await clock.advance(60)
    assert work.running
    assert work.fences == [0]


async def test_what_the_work_raises_comes_out_and_the_lease_is_given_back(api, candidate, clock):
    async def broken(client):
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError):
        await candidate("a").run(broken)
    assert api.objects[LEASE]["spec"]["holderIdentity"] == ""


def test_timing_must_leave_time_to_stop():
    with pytest.raises(ValueError, match="renew_deadline"):
        ElectionTiming(lease_seconds=10, renew_deadline_seconds=10)
