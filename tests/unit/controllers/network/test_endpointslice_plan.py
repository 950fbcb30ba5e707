"""From pods to endpoints, and from the slices there are to those there should be."""

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windlass_controllers.endpoints.plan import TRUNCATED, desired_object, is_same, plan_subsets
from windlass_controllers.endpointslice.desired import PortSet, desired_endpoints
from windlass_controllers.endpointslice.plan import (
    HEADLESS,
    MAX_ENDPOINTS,
    SERVICE_NAME,
    identity,
    plan_slices,
    service_owner,
)

HTTP = PortSet((("http", "TCP", 8080, ""),))


def service(*, name="web", ports=({"name": "http", "port": 80, "targetPort": 8080},), **spec):
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default", "uid": "s", "labels": {"team": "a"}},
        "spec": {"selector": {"app": "web"}, "ports": list(ports), **spec},
    }


def pod(name, ip="10.0.0.1", *, ready=True, ending=False, phase="Running", node="n1", ips=None, **spec):
    addresses = ips if ips is not None else [ip] if ip else []
    metadata = {"name": name, "namespace": "default", "uid": name, "labels": {"app": "web"}}
    if ending:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return {
        "metadata": metadata,
        "spec": {"nodeName": node, "containers": [{"name": "c"}], **spec},
        "status": {
            "phase": phase,
            "podIPs": [{"ip": a} for a in addresses],
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        },
    }


def conditions(service, pod):
    ((_, endpoints),) = desired_endpoints(service, [pod], {}).items()
    return tuple(endpoints[0]["conditions"][key] for key in ("ready", "serving", "terminating"))


@pytest.mark.parametrize(
    ("changes", "publish", "expected"),
    [
        ({}, False, (True, True, False)),
        ({"ready": False}, False, (False, False, False)),
        ({"ending": True}, False, (False, True, True)),
        ({"ending": True, "ready": False}, False, (False, False, True)),
        ({"ready": False}, True, (True, True, False)),
        ({"ending": True, "ready": False}, True, (True, True, True)),
    ],
)
def test_conditions(changes, publish, expected):
    assert conditions(service(publishNotReadyAddresses=publish), pod("p", **changes)) == expected


@pytest.mark.parametrize("changes", [{"phase": "Succeeded"}, {"phase": "Failed"}, {"ip": ""}])
def test_pods_that_are_no_endpoints(changes):
    assert desired_endpoints(service(), [pod("p", **changes)], {}) == {}


def test_named_ports_differ_by_pod_and_split_the_slices():
    by_name = service(ports=[{"name": "http", "port": 80, "targetPort": "web"}])
    containers = [[{"name": "c", "ports": [{"name": "web", "containerPort": n}]}] for n in (8080, 9090)]
    pods = [pod("a", containers=containers[0]), pod("b", "10.0.0.2", containers=containers[1]), pod("c", "10.0.0.3")]
    found = {
        ports.ports: [e["targetRef"]["name"] for e in es]
        for (_, ports), es in desired_endpoints(by_name, pods, {}).items()
    }
    assert found == {
        (("http", "TCP", 8080, ""),): ["a"],
        (("http", "TCP", 9090, ""),): ["b"],
        (): ["c"],
    }


def test_both_families_zone_and_hostname():
    both = service(name="db", ipFamilies=["IPv4", "IPv6"])
    one = pod("p", ips=["10.0.0.1", "fd00::1"], hostname="db-0", subdomain="db")
    found = desired_endpoints(both, [one], {"n1": "eu"})
    assert {family: e[0]["addresses"] for (family, _), e in found.items()} == {
        "IPv4": ["10.0.0.1"],
        "IPv6": ["fd00::1"],
    }
    endpoint = found["IPv4", HTTP][0]
    assert (endpoint["zone"], endpoint["hostname"], endpoint["nodeName"]) == ("eu", "db-0", "n1")


def applied(existing, plan):
    """Return the slices after the plan, as the API would have them."""
    gone = {s["metadata"]["name"] for s in plan.delete}
    changed = {s["metadata"]["name"]: s for s in plan.update}
    kept = [changed.get(s["metadata"]["name"], s) for s in existing if s["metadata"]["name"] not in gone]
    names = {s["metadata"]["name"] for s in kept}
    fresh = (f"web-{n}" for n in range(10_000) if f"web-{n}" not in names)
    made = [{**s, "metadata": {**s["metadata"], "name": next(fresh)}} for s in plan.create]
    return copy.deepcopy([*kept, *made])


def plan(pods, existing, made=None):
    made = made or service()
    return plan_slices(service_owner(made), desired_endpoints(made, pods, {}), existing, ["IPv4"])


def pods_of(slices):
    return sorted(e["targetRef"]["name"] for s in slices for e in s["endpoints"] or ())


def many(count, **changes):
    return [pod(f"p{n}", f"10.0.{n // 250}.{n % 250 + 1}", **changes) for n in range(count)]


def test_a_service_without_pods_has_one_empty_slice():
    first = plan([], [])
    assert [s["endpoints"] for s in first.create] == [[]]
    slices = applied([], first)
    assert slices[0]["metadata"]["labels"][SERVICE_NAME] == "web"
    again = plan([], slices)
    assert (again.create, again.update, again.delete) == ([], [], [])


def test_one_changed_pod_is_one_write():
    slices = applied([], plan(many(250), []))
    assert sorted(len(s["endpoints"]) for s in slices) == [50, 100, 100]
    changed = many(250)
    changed[120] = pod("p120", "10.0.0.121", ready=False)
    again = plan(changed, slices)
    assert (len(again.create), len(again.update), len(again.delete)) == (0, 1, 0)


def test_a_new_pod_goes_where_there_is_room():
    slices = applied([], plan(many(150), []))
    again = plan(many(151), slices)
    assert (len(again.create), len(again.update)) == (0, 1)
    assert len(again.update[0]["endpoints"]) == 51


def test_headless_and_changed_labels():
    slices = applied([], plan(many(1), []))
    headless = service(clusterIP="None")
    again = plan(many(1), slices, headless)
    assert again.update[0]["metadata"]["labels"][HEADLESS] == ""


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sets(st.integers(0, 260), max_size=260), min_size=1, max_size=4))
def test_whatever_comes_and_goes_the_slices_end_right_and_full_enough(rounds):
    slices = []
    for wanted in rounds:
        pods = [p for n, p in enumerate(many(261)) if n in wanted]
        slices = applied(slices, plan(pods, slices))
        assert pods_of(slices) == sorted(p["metadata"]["name"] for p in pods)
        assert all(len(s["endpoints"]) <= MAX_ENDPOINTS for s in slices)
        assert len({identity(e) for s in slices for e in s["endpoints"]}) == len(pods)
        still = plan(pods, slices)
        assert (still.create, still.update, still.delete) == ([], [], [])


def test_endpoints_by_readiness_and_ports():
    subsets, cut = plan_subsets(service(), [pod("b", "10.0.0.2"), pod("a"), pod("c", "10.0.0.3", ready=False)])
    assert not cut
    assert [a["ip"] for a in subsets[0]["addresses"]] == ["10.0.0.1", "10.0.0.2"]
    assert [a["ip"] for a in subsets[0]["notReadyAddresses"]] == ["10.0.0.3"]
    assert subsets[0]["ports"] == [{"name": "http", "protocol": "TCP", "port": 8080}]


def test_endpoints_leave_out_what_ends_and_what_is_too_much():
    assert plan_subsets(service(), [pod("a", ending=True)]) == ([], False)
    subsets, cut = plan_subsets(service(), [pod("a", ready=False), pod("b", "10.0.0.2")], limit=1)
    assert cut
    assert [a["ip"] for a in subsets[0]["addresses"]] == ["10.0.0.2"]


def test_endpoints_object():
    made = desired_object(service(), [pod("a")], None)
    assert made["metadata"]["labels"]["team"] == "a"
    assert is_same(desired_object(service(), [pod("a")], made), made)
    assert not is_same(desired_object(service(), [], made), made)
    many_pods = desired_object(service(), many(1001), None)
    assert many_pods["metadata"]["annotations"] == {TRUNCATED: "truncated"}
