"""Which victims preemption prefers when disruption budgets have a say."""

from hypothesis import given
from hypothesis import strategies as st

from windlass_scheduler.default_preemption import DefaultPreemption, choose_victims, violating


class Room:
    """A Preview of nodes with so many places, each pod taking one."""

    def __init__(self, nodes, budgets=(), places=2):
        self.nodes, self.budgets, self.places = nodes, budgets, places

    def candidates(self):
        return list(self.nodes)

    def total(self):
        return len(self.nodes)

    def pods(self, node_name):
        return self.nodes[node_name]

    def fits(self, node_name, without):
        gone = {pod.uid for pod in without}
        return sum(pod.uid not in gone for pod in self.nodes[node_name]) < self.places

    def disruption_budgets(self):
        return self.budgets


def budget(app, allowed, **status):
    return {
        "metadata": {"name": app, "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": app}}},
        "status": {"disruptionsAllowed": allowed, **status},
    }


def names(pods):
    return sorted(pod.name for pod in pods)


def parsed(build, name, app, priority=1, **facts):
    return build.core().parser.parse(build.pod(name, labels={"app": app}, priority=priority, **facts))


def test_the_pod_without_a_budget_goes_first(build):
    """Though it is the more important one."""
    kept, free = parsed(build, "kept", "db", 1), parsed(build, "free", "web", 5)
    high = parsed(build, "high", "x", 9)
    chosen = choose_victims(high, "n", Room({"n": [kept, free]}, [budget("db", 0)]))
    assert (names(chosen.pods), chosen.violations) == (["free"], 0)
    without = choose_victims(high, "n", Room({"n": [kept, free]}))
    assert names(without.pods) == ["kept"]


def test_the_node_where_no_budget_breaks_is_taken(build):
    """Though its victim is more important; a broken budget is no veto where there is no other way."""
    high = parsed(build, "high", "x", 9)
    nodes = {"a": [parsed(build, "kept", "db", 1)], "b": [parsed(build, "free", "web", 5)]}
    room = Room(nodes, [budget("db", 0)], places=1)
    assert DefaultPreemption().post_filter(high, room).node_name == "b"
    only = Room({"a": nodes["a"]}, [budget("db", 0)], places=1)
    assert names(DefaultPreemption().post_filter(high, only).victims) == ["kept"]


def test_budgets_are_used_up_in_order(build):
    pods = [parsed(build, f"p{n}", "db") for n in range(3)]
    assert violating(pods, [budget("db", 2)]) == {pods[2].uid}
    granted = budget("db", 0, disruptedPods={"p0": "2026-01-01T00:00:00Z"})
    assert violating(pods, [granted]) == {pods[1].uid, pods[2].uid}
    going = parsed(build, "g", "db", metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"})
    assert violating([going], [budget("db", 0)]) == set()


@given(
    st.lists(st.tuples(st.sampled_from(["db", "web", "none"]), st.integers(0, 8)), min_size=1, max_size=8),
    st.integers(0, 3), st.integers(0, 3), st.integers(1, 8),
)  # fmt: skip
def test_victims_are_needed_and_counted(build, pods, db, web, places):
    """Without any one of the victims the pod would not fit, and a budget is broken only where its pods go anyhow."""
    present = [parsed(build, f"p{n}", app, priority) for n, (app, priority) in enumerate(pods)]
    budgets = [budget("db", db), budget("web", web)]
    room = Room({"n": present}, budgets, places)
    chosen = choose_victims(parsed(build, "high", "x", 9), "n", room)
    assert chosen is not None
    assert room.fits("n", chosen.pods)
    for victim in chosen.pods:
        assert not room.fits("n", [other for other in chosen.pods if other is not victim])
    ordered = sorted(present, key=lambda pod: (-pod.priority, pod.created, pod.uid))
    broken = violating(ordered, budgets)
    assert chosen.violations == max(0, len(chosen.pods) - (len(present) - len(broken)))
