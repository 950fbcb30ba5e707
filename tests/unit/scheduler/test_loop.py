"""The whole scheduler against a fake API server, with a fake clock."""

import asyncio
import copy
from contextlib import asynccontextmanager

import pytest

from windlass.apis.resources import NAMESPACES, NODES, PODDISRUPTIONBUDGETS, PODS
from windlass.errors import ConflictError, NotFoundError, PluginError, UnavailableError
from windlass.plugin.interfaces.per_node import per_node_filter, per_node_score
from windlass.plugin.interfaces.scheduler import Code, PluginStatus, SchedulerPluginRegistration
from windlass.scheduler.loop import Scheduler
from windlass.testing.clock import FakeClock
from windlass_scheduler.registrations import REGISTRATIONS


class FakeInformer:
    def __init__(self):
        self.objects, self.handlers = {}, []

    async def wait_synced(self):
        pass

    def list(self, namespace=""):
        return list(self.objects.values())

    def on_event(self, handler, *, replay=False):
        self.handlers.append(handler)
        for obj in self.list() if replay else ():
            handler("ADDED", None, obj)
        return lambda: self.handlers.remove(handler)

    def put(self, obj):
        key = (obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
        old = self.objects.get(key)
        self.objects[key] = obj
        for handler in self.handlers:
            handler("MODIFIED" if old else "ADDED", old, obj)

    def remove(self, name, namespace=""):
        old = self.objects.pop((namespace, name))
        for handler in self.handlers:
            handler("DELETED", old, None)


class FakeCluster:
    """Client, informers and recorder in one; `refuse` maps a pod's name to errors that its binds meet first."""

    def __init__(self, build):
        self.build = build
        self.namespaces, self.nodes, self.pods, self.budgets = (FakeInformer() for _ in range(4))
        self.refuse, self.events, self.patches, self.bound = {}, [], [], {}
        self.busiest, self.busy, self.hold = 0, 0, None

    def informer(self, resource):
        return {NAMESPACES: self.namespaces, NODES: self.nodes, PODS: self.pods, PODDISRUPTIONBUDGETS: self.budgets}[resource]

    async def bind(self, namespace, pod_name, node_name, uid=""):
        self.busy += 1
        self.busiest = max(self.busiest, self.busy)
        await (self.hold.wait() if self.hold else asyncio.sleep(0))
        self.busy -= 1
        if self.refuse.get(pod_name):
            raise self.refuse[pod_name].pop(0)
        assert (namespace, pod_name) not in self.bound, "bound twice"
        pod = copy.deepcopy(self.pods.objects[namespace, pod_name])
        assert pod["metadata"]["uid"] == uid
        pod["spec"]["nodeName"] = node_name
        self.bound[namespace, pod_name] = node_name
        self.pods.put(pod)

    async def get(self, resource, name, namespace=""):
        assert resource is PODS
        return self.pods.objects[namespace, name]

    async def patch(self, resource, name, patch, namespace="", *, patch_type, subresource):
        assert (resource, patch_type, subresource) == (PODS, "application/strategic-merge-patch+json", "status")
        if (namespace, name) not in self.pods.objects:
            raise NotFoundError("gone")
        self.patches.append((name, patch["status"]["conditions"][0]))
        pod = copy.deepcopy(self.pods.objects[namespace, name])
        pod["status"]["conditions"] = patch["status"]["conditions"]
        self.pods.put(pod)

    def event(self, obj, type_, reason, message):
        self.events.append((obj["metadata"]["name"], type_, reason, message))

    def pod(self, name, **facts):
        self.pods.put(self.build.pod(name, **facts))

    def node(self, name, **facts):
        self.nodes.put(self.build.node(name, **facts))

    def where(self, name):
        return self.bound.get(("default", name))


@pytest.fixture
def cluster(build):
    return FakeCluster(build)


@asynccontextmanager
async def running(cluster, registrations=REGISTRATIONS, **config):
    clock = FakeClock()
    scheduler = Scheduler(cluster, cluster, cluster, clock=clock, registrations=registrations, config=config)
    task = asyncio.create_task(scheduler.run())
    scheduler.clock = clock
    try:
        await settle(scheduler)
        yield scheduler
        assert not task.done(), "the scheduler ended by itself"
    finally:
        task.cancel()
        results = await asyncio.gather(task, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError), results
    assert not cluster.pods.handlers
    assert not cluster.nodes.handlers


async def settle(scheduler, seconds=0.0):
    await scheduler.clock.advance(seconds)
    for _ in range(5):
        await scheduler.clock.settle()


async def test_pods_are_bound_and_said_to_be(cluster):
    cluster.node("n0")
    cluster.pod("before")
    async with running(cluster) as scheduler:
        cluster.pod("after")
        await settle(scheduler)
        assert (cluster.where("before"), cluster.where("after")) == ("n0", "n0")
        assert ("after", "Normal", "Scheduled", "Successfully assigned default/after to n0") in cluster.events
        assert scheduler.statistics()["active"] == scheduler.statistics()["in_flight"] == 0


async def test_a_pending_pod_says_why_once_and_is_bound_when_room_comes(cluster):
    """C310: condition and event; a deleted pod's room wakes the pod that fits there."""
    cluster.node("n0", cpu="1")
    cluster.pod("big", requests={"cpu": "800m"})
    async with running(cluster) as scheduler:
        cluster.pod("waits", requests={"cpu": "500m"})
        await settle(scheduler)
        message = (
            "0/1 nodes are available: 1 Insufficient cpu. "
            "preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."
        )
        name, condition = cluster.patches[-1]
        assert (name, condition["status"], condition["reason"], condition["message"]) == (
            "waits",
            "False",
            "Unschedulable",
            message,
        )
        await settle(scheduler, 700)  # tried again twice for having waited long: the same message is not repeated
        assert [event for event in cluster.events if event[0] == "waits"] == [
            ("waits", "Warning", "FailedScheduling", message)
        ]
        assert len(cluster.patches) == 1
        cluster.pods.remove("big", "default")
        await settle(scheduler, 20)
        assert cluster.where("waits") == "n0"


async def test_a_new_node_and_a_changed_one_wake_pods(cluster):
    async with running(cluster) as scheduler:
        cluster.pod("p", nodeSelector={"a": "b"})
        await settle(scheduler)
        assert cluster.patches[-1][1]["message"] == "no nodes available to schedule pods"
        cluster.node("n0")
        await settle(scheduler, 20)
        assert cluster.where("p") is None
        cluster.node("n0", labels={"a": "b"})
        await settle(scheduler, 20)
        assert cluster.where("p") == "n0"


async def test_a_namespace_that_gets_a_label_wakes_pods_that_select_it(cluster):
    term = {
        "labelSelector": {},
        "topologyKey": "kubernetes.io/hostname",
        "namespaceSelector": {"matchLabels": {"a": "b"}},
    }
    affinity = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    cluster.node("n0")
    cluster.namespaces.put({"metadata": {"name": "near"}})
    cluster.pod("other", namespace="near")
    async with running(cluster) as scheduler:
        cluster.pod("p", affinity=affinity)
        await settle(scheduler)
        assert cluster.where("p") is None
        cluster.namespaces.put({"metadata": {"name": "near", "labels": {"a": "b"}}})
        await settle(scheduler, 20)
        assert cluster.where("p") == "n0"


@pytest.mark.parametrize("error", [ConflictError("changed"), UnavailableError("later"), OSError("broken pipe")])
async def test_a_failed_bind_gives_the_room_back_and_is_tried_again(cluster, error):
    cluster.node("n0", cpu="1")
    cluster.refuse["p"] = [error]
    async with running(cluster) as scheduler:
        cluster.pod("p", requests={"cpu": "1"})
        await settle(scheduler)
        assert cluster.where("p") is None
        assert scheduler.table.requested[0, 0] == 0
        await settle(scheduler, 2)
        assert cluster.where("p") == "n0"


async def test_a_bind_whose_answer_was_lost_is_settled_by_looking(cluster):
    """P90: the node's room is not given away while the pod may be on it, and the pod is not bound a second time."""

    async def bind(namespace, pod_name, node_name, uid=""):
        await FakeCluster.bind(cluster, namespace, pod_name, node_name, uid)
        raise OSError("connection lost after the request")

    cluster.bind = bind
    cluster.node("n0", cpu="1")
    async with running(cluster) as scheduler:
        cluster.pod("p", requests={"cpu": "1"})
        await settle(scheduler, 15)
        assert cluster.where("p") == "n0"
        assert scheduler.table.requested[0, 0] == 1000
        assert cluster.patches == []


async def test_a_deleted_pod_is_dropped_even_while_it_is_being_bound(cluster):
    cluster.node("n0")
    cluster.refuse["p"] = [NotFoundError("gone")]
    cluster.hold = asyncio.Event()
    async with running(cluster) as scheduler:
        cluster.pod("p", requests={"cpu": "1"})
        await settle(scheduler)
        cluster.pods.remove("p", "default")
        cluster.hold.set()
        await settle(scheduler, 30)
        assert cluster.bound == {}
        assert scheduler.table.requested[0, 0] == 0
        assert sum(scheduler.queue.statistics().values()) == 0


async def test_a_node_that_vanishes_before_the_bind_sends_the_pod_elsewhere(cluster):
    """P90: vanished between score and bind."""

    class Slow:
        def __init__(self):
            self.go = asyncio.Event()

        async def pre_bind(self, pod, node_name):
            await self.go.wait()
            return PluginStatus()

    slow = Slow()
    cluster.node("n0")
    registrations = (*REGISTRATIONS, SchedulerPluginRegistration("Slow", lambda _: slow))
    async with running(cluster, registrations) as scheduler:
        cluster.pod("p")
        await settle(scheduler)
        cluster.nodes.remove("n0")
        cluster.node("n1")
        slow.go.set()
        await settle(scheduler, 2)
        assert cluster.where("p") == "n1"
        assert list(scheduler.table.rows) == ["n1"]


async def test_many_pods_few_vanishing_nodes(cluster):
    """P90: 1,000 pods, 10 nodes of which 5 go: none above allocatable, none bound twice, all pending ones say why."""
    for index in range(10):
        cluster.node(f"n{index}", pods="110", cpu="8")
    async with running(cluster) as scheduler:
        for index in range(1000):
            cluster.pod(f"p{index}", requests={"cpu": "100m"})
            if index % 200 == 100:
                cluster.nodes.remove(f"n{index // 200}")
                await scheduler.clock.settle()
        await settle(scheduler, 30)
        await settle(scheduler)
        counts = {name: list(cluster.bound.values()).count(name) for name in set(cluster.bound.values())}
        assert max(counts.values()) <= 80
        assert all(counts[f"n{index}"] == 80 for index in range(5, 10))
        waiting = {name for _, name in cluster.pods.objects} - {name for _, name in cluster.bound}
        assert waiting
        reasons = {name: condition["message"] for name, condition in cluster.patches}
        assert {reasons[name].split(": ")[1] for name in waiting} <= {
            f"{count} Insufficient cpu. preemption" for count in range(5, 11)
        }
        assert cluster.busiest <= 64


async def test_gates_other_schedulers_and_finished_pods(cluster):
    cluster.node("n0", cpu="1")
    async with running(cluster) as scheduler:
        cluster.pod("gated", schedulingGates=[{"name": "wait"}])
        cluster.pod("other", schedulerName="mine")
        cluster.pod("deleted", metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"})
        finished = cluster.build.pod("finished", requests={"cpu": "1"}, node_name="n0")
        finished["status"]["phase"] = "Succeeded"
        cluster.pods.put(finished)
        cluster.pod("p", requests={"cpu": "1"})
        await settle(scheduler)
        assert cluster.bound == {("default", "p"): "n0"}
        assert [(name, condition["reason"]) for name, condition in cluster.patches] == [("gated", "SchedulingGated")]
        cluster.pod("gated")
        await settle(scheduler)
        assert cluster.where("gated") == "n0"


@pytest.mark.parametrize("point", ["filter", "score", "reserve", "pre_bind", "bind", "permit", "pre_filter"])
async def test_a_plugin_that_fails_fails_that_pod_only(cluster, point):
    """P84: raising in any extension point is named in the pod's condition; others go on; it is tried again."""

    class Bad:
        broken = True

        def answer(self, pod, default):
            if pod.name == "bad" and self.broken:
                raise SystemExit("boom")
            return default

        def equivalence_key(self, pod):
            return str(pod["metadata"]["name"] == "bad")

    bad = Bad()
    default = {"filter": (), "score": None, "bind": PluginStatus(Code.SKIP)}.get(point, PluginStatus())
    if point in {"permit", "pre_bind", "bind"}:

        async def call(pod, _):
            return bad.answer(pod, default)
    else:

        def call(pod, _):
            return bad.answer(pod, default)

    setattr(bad, point, call)
    cluster.node("n0")
    registrations = (*REGISTRATIONS, SchedulerPluginRegistration("Bad", lambda _: bad))
    async with running(cluster, registrations) as scheduler:
        cluster.pod("good")
        cluster.pod("bad")
        await settle(scheduler)
        assert cluster.bound == {("default", "good"): "n0"}
        [(name, condition)] = cluster.patches
        assert (name, condition["reason"]) == ("bad", "SchedulerError")
        assert "'Bad'" in condition["message"]
        assert point in condition["message"]
        assert scheduler.table.pod_counts[0] == 1
        bad.broken = False
        await settle(scheduler, 11)
        assert cluster.where("bad") == "n0"


async def test_functions_of_one_node_as_plugins(cluster):
    """A third party's filter and score, without columns."""
    registrations = (
        *REGISTRATIONS,
        SchedulerPluginRegistration(
            "Even", lambda _: per_node_filter(lambda _, node: None if node.name in {"n2", "n4"} else "node(s) are odd")
        ),
        SchedulerPluginRegistration(
            "Last", lambda _: per_node_score(lambda _, node: float(node.name[1:])), weight=1000.0
        ),
    )
    for index in range(5):
        cluster.node(f"n{index}", pods="2")
    async with running(cluster, registrations) as scheduler:
        for index in range(5):
            cluster.pod(f"p{index}")
        await settle(scheduler)
        assert [cluster.where(f"p{index}") for index in range(4)] == ["n4", "n4", "n2", "n2"]
        assert cluster.patches[-1][1]["message"].startswith(
            "0/5 nodes are available: 2 Too many pods, 3 node(s) are odd. preemption: "
        )


def test_plugins_that_do_not_fit_together_are_errors(cluster):
    """P85: doubled names and configuration for nobody are refused at start, both named."""
    for registrations, config, names in (
        ((*REGISTRATIONS, SchedulerPluginRegistration("NodePorts", lambda _: None)), {}, "NodePorts"),
        (REGISTRATIONS, {"plugins": {"NodePort": {}}}, "NodePort"),
        (REGISTRATIONS, {"plugins": {"NodeResourcesFit": {"scoring_strategy": "Best"}}}, "NodeResourcesFit"),
    ):
        with pytest.raises(PluginError, match=names):
            Scheduler(cluster, cluster, cluster, clock=FakeClock(), registrations=registrations, config=config)


async def test_disabled_plugins_do_not_take_part(cluster):
    cluster.node("n0", unschedulable=True)
    async with running(cluster, plugins={"NodeUnschedulable": {"enabled": False}}) as scheduler:
        cluster.pod("p")
        await settle(scheduler)
        assert cluster.where("p") == "n0"


async def test_preemption_deletes_the_least_important_and_takes_its_place(cluster):
    """C316, C314: one lower-priority victim goes, the others stay, its replacement does not take the room back."""
    cluster.node("n0", cpu="2")
    cluster.deleted = []

    async def delete(resource, name, namespace="", *, uid=""):
        cluster.deleted.append(name)
        cluster.pods.remove(name, namespace)
        cluster.pod("replacement", requests={"cpu": "1"}, priority=1)

    cluster.delete = delete
    cluster.pods.put(cluster.build.pod("low", requests={"cpu": "1"}, priority=1, node_name="n0"))
    cluster.pods.put(cluster.build.pod("middle", requests={"cpu": "1"}, priority=5, node_name="n0"))
    async with running(cluster) as scheduler:
        cluster.pod("high", requests={"cpu": "1"}, priority=9)
        await settle(scheduler, 15)
        assert cluster.deleted == ["low"]
        assert cluster.bound == {("default", "high"): "n0"}
        assert ("low", "Normal", "Preempted", "Preempted by pod default-high on node n0") in cluster.events
        why = next(condition["reason"] for name, condition in cluster.patches if name == "low")
        assert (why, cluster.patches[-1][0]) == ("PreemptionByScheduler", "replacement")


async def test_room_promised_to_a_pod_is_kept_until_all_its_victims_have_gone(cluster):
    """C314: two victims go one after the other; a lesser pod does not slip in between, a greater one may."""
    cluster.node("n0", cpu="2")
    cluster.deleted = []

    async def delete(resource, name, namespace="", *, uid=""):
        cluster.deleted.append(name)

    cluster.delete = delete
    for name in ("low1", "low2"):
        cluster.pods.put(cluster.build.pod(name, requests={"cpu": "1"}, priority=1, node_name="n0"))
    async with running(cluster) as scheduler:
        cluster.pod("high", requests={"cpu": "2"}, priority=9)
        await settle(scheduler)
        assert sorted(cluster.deleted) == ["low1", "low2"]
        cluster.pods.remove("low1", "default")
        cluster.pod("lesser", requests={"cpu": "1"}, priority=1)
        cluster.pod("equal", requests={"cpu": "1"}, priority=9)
        await settle(scheduler, 15)
        assert cluster.bound == {}
        cluster.pods.remove("low2", "default")
        await settle(scheduler, 15)
        assert cluster.bound == {("default", "high"): "n0"}
        assert scheduler.table.requested[0, 0] == 2000


async def test_a_promise_ends_with_the_pod(cluster):
    cluster.node("n0", cpu="2")

    async def delete(resource, name, namespace="", *, uid=""):
        """Victims take their time."""

    cluster.delete = delete
    for name in ("low1", "low2"):
        cluster.pods.put(cluster.build.pod(name, requests={"cpu": "1"}, priority=1, node_name="n0"))
    async with running(cluster) as scheduler:
        cluster.pod("high", requests={"cpu": "2"}, priority=9)
        await settle(scheduler)
        cluster.pods.remove("high", "default")
        cluster.pods.remove("low1", "default")
        cluster.pod("lesser", requests={"cpu": "1"}, priority=1)
        await settle(scheduler, 15)
        assert cluster.bound == {("default", "lesser"): "n0"}


async def test_a_promise_that_cannot_be_kept_is_taken_back(cluster):
    """The node is tainted while the victim goes: whoever tolerates that may have the room."""
    cluster.node("n0", cpu="2")

    async def delete(resource, name, namespace="", *, uid=""):
        cluster.pod(
            name,
            requests={"cpu": "2"},
            priority=1,
            node_name="n0",
            metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"},
        )

    cluster.delete = delete
    cluster.pods.put(cluster.build.pod("low", requests={"cpu": "2"}, priority=1, node_name="n0"))
    async with running(cluster) as scheduler:
        cluster.pod("high", requests={"cpu": "2"}, priority=9)
        await settle(scheduler)
        cluster.node("n0", cpu="2", taints=[("k", "v", "NoSchedule")])
        cluster.pods.remove("low", "default")
        await settle(scheduler, 15)
        assert cluster.bound == {}
        cluster.pod("lesser", requests={"cpu": "1"}, priority=1, tolerations=[{"operator": "Exists"}])
        await settle(scheduler, 400)
        assert cluster.bound == {("default", "lesser"): "n0"}


async def test_who_may_not_preempt_says_so(cluster):
    cluster.node("n0", cpu="1")
    cluster.pods.put(cluster.build.pod("low", requests={"cpu": "1"}, priority=1, node_name="n0"))
    async with running(cluster) as scheduler:
        cluster.pod("meek", requests={"cpu": "1"}, priority=9, preemptionPolicy="Never")
        await settle(scheduler)
        assert cluster.patches[-1][1]["message"] == (
            "0/1 nodes are available: 1 Insufficient cpu. preemption: not eligible due to preemptionPolicy=Never."
        )
