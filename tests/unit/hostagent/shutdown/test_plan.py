"""The order in which pods end when the machine shuts down."""

from windlass_hostagent.shutdown.plan import ShutdownPolicy, phases

POLICY = ShutdownPolicy(grace_seconds=30, critical_seconds=10)


def pod(name, *, priority=0, grace=5, phase="Running"):
    return {
        "metadata": {"uid": name},
        "spec": {"priority": priority, "terminationGracePeriodSeconds": grace},
        "status": {"phase": phase},
    }


def test_ordinary_pods_go_first_each_within_its_own_grace():
    found = phases([pod("critical", priority=2_000_000_000), pod("web"), pod("slow", grace=600)], POLICY)
    assert [(list(p.pods), p.seconds) for p in found] == [
        ([("web", 5), ("slow", 20)], 20),
        ([("critical", 5)], 10),
    ]


def test_pods_that_have_ended_are_left_alone():
    assert phases([pod("done", phase="Succeeded"), pod("broken", phase="Failed")], POLICY) == []


def test_no_time_at_all_is_still_an_order():
    assert [p.seconds for p in phases([pod("a"), pod("b", priority=2_000_000_001)], ShutdownPolicy())] == [0, 0]
