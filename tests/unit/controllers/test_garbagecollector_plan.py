from hypothesis import given
from hypothesis import strategies as st

from windlass_controllers.garbagecollector.graph import FOREGROUND, ORPHAN, Graph, Node, Owner, node_of
from windlass_controllers.garbagecollector.plan import (
    OwnerState,
    blocking_dependents,
    plan_dependent,
    plan_event,
    unblocked,
    without_owners,
)


def owner(uid, *, blocks=True):
    return Owner("v1", "Pod", uid, uid, blocks)


def node(uid, *owners, deleting=False, finalizers=(), namespace="default"):
    return Node(uid, "v1", "Pod", namespace, uid, tuple(owners), deleting, frozenset(finalizers))


states = st.dictionaries(st.integers(0, 6).map(lambda n: owner(f"o{n}")), st.sampled_from(OwnerState), max_size=5)


@given(states)
def test_nothing_is_deleted_while_an_owner_lives_or_may_live(owners):
    """A42: neither a missing uid nor another namespace makes the collector delete wrongly."""
    verdict = plan_dependent(node("x", *owners), owners, Graph())
    alive = {OwnerState.SOLID, OwnerState.UNKNOWN} & set(owners.values())
    if alive or not owners:
        assert not verdict.policy
    else:
        assert verdict.policy
    solid = {o.uid for o, state in owners.items() if state is OwnerState.SOLID}
    assert not verdict.drop & solid
    if OwnerState.UNKNOWN in owners.values():
        assert verdict.retry


def test_one_solid_owner_keeps_it_and_the_absent_ones_are_dropped():
    owners = {owner("a"): OwnerState.SOLID, owner("b"): OwnerState.ABSENT, owner("c"): OwnerState.WAITING}
    assert plan_dependent(node("x", *owners), owners, Graph()).drop == {"b", "c"}


def test_its_own_finalizers_choose_the_policy():
    absent = {owner("a"): OwnerState.ABSENT}
    for finalizers, policy in (((), "Background"), ((ORPHAN,), "Orphan"), ((FOREGROUND,), "Foreground")):
        assert plan_dependent(node("x", *absent, finalizers=finalizers), absent, Graph()).policy == policy


def test_a_circle_is_unblocked():
    """C059: pod3 owns pod1, pod1 owns pod2, pod2 owns pod3."""
    graph = Graph()
    graph.put(node("pod1", owner("pod3"), deleting=True, finalizers=[FOREGROUND]))
    graph.put(node("pod2", owner("pod1"), deleting=True, finalizers=[FOREGROUND]))
    third = node("pod3", owner("pod2"))
    graph.put(third)
    verdict = plan_dependent(third, {owner("pod2"): OwnerState.WAITING}, graph)
    assert (verdict.policy, verdict.unblock) == ("Foreground", True)


def test_only_blocking_dependents_hold_up_their_owner():
    graph = Graph()
    owning = node("a", deleting=True, finalizers=[FOREGROUND])
    graph.put(owning)
    graph.put(node("b", owner("a")))
    graph.put(node("c", owner("a", blocks=False)))
    graph.put(node("d", owner("a"), namespace="elsewhere"))
    assert [n.uid for n in blocking_dependents(owning, graph)] == ["b"]


def test_events_name_whom_to_look_at():
    graph = Graph()
    graph.put(node("a"))
    child = node("b", owner("a"))
    assert plan_event(graph.put(child), child, graph) == ["b"]
    old = graph.remove("a")
    assert plan_event(old, None, graph) == ["b"]
    freed = node("b")
    assert plan_event(graph.put(freed), freed, graph) == ["a"]


@given(st.lists(st.tuples(st.integers(0, 4), st.sets(st.integers(0, 4)), st.booleans()), max_size=25))
def test_dependents_are_what_the_objects_say(changes):
    graph, truth = Graph(), {}
    for uid, owners, removed in changes:
        if removed:
            graph.remove(str(uid))
            truth.pop(str(uid), None)
        else:
            graph.put(node(str(uid), *(owner(str(o)) for o in owners)))
            truth[str(uid)] = {str(o) for o in owners}
    for uid in map(str, range(5)):
        assert [n.uid for n in graph.dependents(uid)] == sorted(u for u, owners in truth.items() if uid in owners)
    assert len(graph) == len(truth)


def test_references_are_dropped_and_unblocked_as_a_whole():
    references = [{"uid": "a", "blockOwnerDeletion": True}, {"uid": "b"}]
    assert without_owners(references, ["a"]) == [{"uid": "b"}]
    assert without_owners(references, ["a", "b"]) is None
    assert all(r["blockOwnerDeletion"] is False for r in unblocked(references))


def test_a_node_is_read_from_metadata_alone():
    found = node_of({"metadata": {"uid": "u", "name": "n", "deletionTimestamp": "x", "finalizers": [FOREGROUND],
                                  "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "o", "uid": "o"}]}},
                    "v1", "ConfigMap")
    assert found.waits_for_dependents
    assert found.owners == (Owner("v1", "Pod", "o", "o", False),)
