"""What a node refuses of what was bound to it."""

import pytest

from windlass_hostagent.pods.admission import refusal

ALLOCATABLE = {"cpu": "2", "memory": "1Gi", "pods": "3"}
NODE = {"metadata": {"name": "n1", "labels": {"zone": "a"}}}


def pod(phase="Running", selector=None, **requests):
    return {
        "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "c", "resources": {"requests": requests}}], "nodeSelector": selector or {}},
        "status": {"phase": phase},
    }


@pytest.mark.parametrize(
    ("new", "others", "reason"),
    [
        (pod(cpu="2"), [], None),
        (pod(cpu="2001m"), [], "OutOfcpu"),
        (pod(cpu="1"), [pod(cpu="1500m")], "OutOfcpu"),
        (pod(cpu="1"), [pod("Succeeded", cpu="1500m"), pod("Failed", cpu="1")], None),
        (pod(memory="2Gi"), [], "OutOfmemory"),
        (pod(**{"example.com/gpu": "1"}), [], None),  # counted by the scheduler alone, from the Node object
        (pod(**{"hugepages-2Mi": "2Mi"}), [], "OutOfhugepages-2Mi"),
        (pod(), [pod(cpu="9")], None),
        (pod(), [pod(), pod(), pod()], "OutOfpods"),
        (pod(selector={"zone": "b"}), [], "NodeAffinity"),
    ],
)
def test_refusal(new, others, reason):
    found = refusal(new, others, ALLOCATABLE, NODE)
    assert (found.reason if found else None) == reason


def test_the_message_has_the_numbers():
    found = refusal(pod(cpu="1"), [pod(cpu="1500m")], ALLOCATABLE, None)
    assert found is not None
    assert found.message.endswith("resource: cpu, requested: 1000, used: 1500, capacity: 2000")


def test_extended_resources_that_the_agent_offers_are_counted():
    found = refusal(pod(**{"example.com/gpu": "2"}), [], {**ALLOCATABLE, "example.com/gpu": "1"}, NODE)
    assert found is not None
    assert found.reason == "OutOfexample.com/gpu"
