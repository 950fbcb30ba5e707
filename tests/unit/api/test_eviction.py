"""Evictions within disruption budgets."""

import asyncio

import pytest

from windlass.clock import rfc3339

PODS = "/api/v1/namespaces/default/pods"
BUDGETS = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
VIOLATES = "Cannot evict pod as it would violate the pod's disruption budget."


@pytest.fixture
def evict(api):
    async def call(name="p0", **more):
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": "default"}, **more}
        return await api.call("POST", f"{PODS}/{name}/eviction", body)

    return call


@pytest.fixture
def pod(api, make):
    """Make a pod that runs; ready unless said otherwise."""

    async def call(name="p0", *, ready=True, phase="Running", app="db"):
        made = {**make.pod(nodeName="n1"), "metadata": {"name": name, "labels": {"app": app}}}
        await api.ok("POST", PODS, made)
        conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
        return await api.patch(f"{PODS}/{name}/status", {"status": {"phase": phase, "conditions": conditions}})

    return call


@pytest.fixture
def budget(api):
    """Make a budget whose pods have been counted."""

    async def call(name="b", *, allowed=0, healthy=1, desired=1, seen=1, selector=None, **spec):
        selector = {"matchLabels": {"app": "db"}} if selector is None else selector
        await api.ok("POST", BUDGETS, {"metadata": {"name": name}, "spec": {"selector": selector, "minAvailable": 1, **spec}})
        status = {"disruptionsAllowed": allowed, "currentHealthy": healthy, "desiredHealthy": desired, "expectedPods": 3,
                  "observedGeneration": seen}  # fmt: skip
        return await api.patch(f"{BUDGETS}/{name}/status", {"status": status})

    return call


def cause(answer):
    (found,) = answer.json["details"]["causes"]
    return found["reason"], found["message"]


async def is_going(api, name="p0"):
    return "deletionTimestamp" in (await api.get(f"{PODS}/{name}"))["metadata"]


async def test_a_budget_forbids_and_allows(api, pod, budget, evict):
    """C116: 429 while nothing is allowed; after the budget is changed it succeeds, once."""
    for name in ("p0", "p1"):
        await pod(name)
    await budget(allowed=0, healthy=2, desired=2)
    refused = await evict()
    assert (refused.status, refused.json["reason"], refused.json["message"]) == (429, "TooManyRequests", VIOLATES)
    assert cause(refused) == ("DisruptionBudget", "The disruption budget b needs 2 healthy pods and has 2 currently")
    await api.patch(f"{BUDGETS}/b", {"spec": {"minAvailable": 0}})
    unseen = await evict()
    assert cause(unseen) == ("DisruptionBudget", "The disruption budget b is still being processed by the server.")
    assert unseen.header("retry-after") == "10"
    await api.patch(f"{BUDGETS}/b/status", {"status": {"observedGeneration": 2, "disruptionsAllowed": 1}})
    assert (await evict()).status == 201
    evicted, status = await api.get(f"{PODS}/p0"), (await api.get(f"{BUDGETS}/b"))["status"]
    told = next(c for c in evicted["status"]["conditions"] if c["type"] == "DisruptionTarget")
    assert (told["status"], told["reason"]) == ("True", "EvictionByEvictionAPI")
    assert (status["disruptionsAllowed"], status["disruptedPods"]) == (0, {"p0": rfc3339(api.clock.now())})
    assert [(c["type"], c["reason"]) for c in status["conditions"]] == [("DisruptionAllowed", "InsufficientPods")]
    assert (await evict("p1")).status == 429
    await api.ok("DELETE", f"{BUDGETS}/b")
    assert (await evict("p1")).status == 201


async def test_of_many_at_once_no_more_go_than_are_allowed(api, pod, budget, evict):
    """The budget's number is taken down by writes that hold only at the revision that was read."""
    for number in range(12):
        await pod(f"p{number}")
    await budget(allowed=5, healthy=12, desired=7)
    answers = await asyncio.gather(*(evict(f"p{number}") for number in range(12)))
    assert sorted(answer.status for answer in answers) == [201] * 5 + [429] * 7
    going = [await is_going(api, f"p{number}") for number in range(12)]
    assert sum(going) == 5
    status = (await api.get(f"{BUDGETS}/b"))["status"]
    assert (status["disruptionsAllowed"], len(status["disruptedPods"])) == (0, 5)


async def test_a_dry_run_asks_and_takes_nothing(api, pod, budget, evict):
    await pod()
    await budget(allowed=1, healthy=2)
    before = await api.get(f"{BUDGETS}/b")
    assert (await evict(deleteOptions={"dryRun": ["All"]})).status == 201
    assert await api.get(f"{BUDGETS}/b") == before
    assert not await is_going(api)
    await api.patch(f"{BUDGETS}/b/status", {"status": {"disruptionsAllowed": 0}})
    assert (await evict(deleteOptions={"dryRun": ["All"]})).status == 429


async def test_more_than_one_budget_is_an_error(api, pod, budget, evict):
    await pod()
    await budget(allowed=1)
    await budget("other", allowed=1, selector={})
    refused = await evict()
    assert refused.status == 500
    assert refused.json["message"] == (
        "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
    )


@pytest.mark.parametrize("phase", ["Pending", "Succeeded", "Failed"])
async def test_what_does_not_run_is_no_loss(api, pod, budget, evict, phase):
    await pod(phase=phase)
    await budget(allowed=0)
    assert (await evict()).status == 201


@pytest.mark.parametrize(
    ("policy", "healthy", "code"),
    [(None, 1, 201), (None, 0, 429), ("IfHealthyBudget", 0, 429), ("AlwaysAllow", 0, 201)],
)
async def test_a_pod_that_is_not_ready(api, pod, budget, evict, *, policy, healthy, code):
    """It may go while enough others are healthy, or always; the budget pays nothing for it."""
    await pod(ready=False)
    await budget(allowed=0, healthy=healthy, desired=1, unhealthyPodEvictionPolicy=policy)
    assert (await evict()).status == code
    assert "disruptedPods" not in (await api.get(f"{BUDGETS}/b"))["status"]


async def test_a_failed_count_is_told(api, pod, budget, evict):
    await pod()
    await budget(allowed=0)
    condition = {"type": "DisruptionAllowed", "status": "False", "reason": "SyncFailed", "message": "no scale",
                 "lastTransitionTime": "2026-01-01T00:00:00Z"}  # fmt: skip
    await api.patch(f"{BUDGETS}/b/status", {"status": {"conditions": [condition]}})
    assert cause(await evict())[1] == (
        "The disruption budget b does not allow evicting pods currently because it failed sync: no scale"
    )


async def test_other_pods_and_empty_selectors(api, pod, budget, evict):
    await pod(app="web")
    await budget(allowed=0)
    assert (await evict()).status == 201, "another app's budget"
    await pod("p1")
    await api.ok("DELETE", f"{BUDGETS}/b")
    await budget(allowed=0, selector={})
    assert (await evict("p1")).status == 429, "an empty selector is about every pod"


async def test_listed_deleted_and_reported(api, budget):
    """C115, C119: in one namespace and in all; deletecollection by label; PUT and PATCH of status.disruptedPods."""
    for name in ("a", "b", "c"):
        await budget(name)
        await api.patch(f"{BUDGETS}/{name}", {"metadata": {"labels": {"keep": str(name == "c")}}})
    for path in (BUDGETS, "/apis/policy/v1/poddisruptionbudgets"):
        assert [item["metadata"]["name"] for item in (await api.get(path))["items"]] == ["a", "b", "c"]
    await api.ok("DELETE", f"{BUDGETS}?labelSelector=keep%3DFalse")
    assert [item["metadata"]["name"] for item in (await api.get(BUDGETS))["items"]] == ["c"]
    moment = "2026-01-01T00:00:00Z"
    shown = await api.get(f"{BUDGETS}/c")
    shown["status"]["disruptedPods"] = {"p": moment}
    await api.ok("PUT", f"{BUDGETS}/c/status", shown)
    assert (await api.get(f"{BUDGETS}/c"))["status"]["disruptedPods"] == {"p": moment}
    await api.patch(f"{BUDGETS}/c/status", {"status": {"disruptedPods": {"q": moment}}})
    assert (await api.get(f"{BUDGETS}/c"))["status"]["disruptedPods"] == {"p": moment, "q": moment}
