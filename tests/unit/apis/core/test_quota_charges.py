"""Charging, refunding and recounting one quota."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.apimachinery.quantity import compare
from windlass.apis.core.v1.pod_quantities import minus, plus, pod_amounts
from windlass.apis.core.v1.quota_charges import (
    EXPIRES_SECONDS,
    Asked,
    QuotaRefusalError,
    charge,
    pending_charges,
    recount,
    refund,
)
from windlass.apis.core.v1.quota_usage import PODS, SERVICES, usage_of

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


def quota(used=None, **hard):
    hard = {name.replace("_", "."): bound for name, bound in hard.items()}
    status = {"hard": dict(hard), "used": used or dict.fromkeys(hard, "0")}
    return {"metadata": {"name": "q", "namespace": "ns"}, "spec": {"hard": hard}, "status": status}


def pod(uid, cpu="0"):
    return {"metadata": {"name": uid, "uid": uid}, "spec": {"containers": [{"name": "c", "resources": {
        "requests": {"cpu": cpu}}}]}}  # fmt: skip


def asked(new, old=None, sort=PODS, now=NOW):
    return Asked(sort, new, old, now)


def test_a_charge_is_used_and_pending_until_refunded():
    before = quota(pods="2", requests_cpu="1")
    after = charge(before, asked(pod("a", "300m")))
    assert after["status"]["used"] == {"pods": "1", "requests.cpu": "300m"}
    assert [(one.uid, one.used) for one in pending_charges(after)] == [("a", {"pods": "1", "requests.cpu": "300m"})]
    back = refund(after, "a/0")
    assert back == before
    assert refund(back, "a/0") is None


def test_what_does_not_fit_is_refused_in_kubernetes_words():
    full = quota({"pods": "1", "requests.cpu": "800m"}, pods="1", requests_cpu="1")
    with pytest.raises(QuotaRefusalError) as refused:
        charge(full, asked(pod("a", "300m")))
    assert str(refused.value) == (
        "exceeded quota: q, requested: pods=1,requests.cpu=300m, used: pods=1,requests.cpu=800m, limited: pods=1,requests.cpu=1"
    )
    with pytest.raises(QuotaRefusalError, match=r"failed quota: q: must specify limits\.cpu for: c"):
        charge(quota(limits_cpu="1"), asked(pod("a")))
    uncounted = quota(pods="1")
    uncounted["status"]["used"] = {}
    with pytest.raises(QuotaRefusalError, match="status unknown for quota: q, resources: pods"):
        charge(uncounted, asked(pod("a")))


def test_bounds_that_are_not_enforced_yet_do_not_count():
    fresh = quota(pods="0")
    fresh["status"] = {}
    assert charge(fresh, asked(pod("a"))) is None


def service(kind, revision="7"):
    return {"metadata": {"uid": "s", "resourceVersion": revision}, "spec": {"type": kind, "ports": [{"port": 1}]}}


def test_an_update_is_charged_what_it_adds_and_never_refused_for_what_it_frees():
    """C076. A quota that was lowered below its use lets everything shrink."""
    bounds = {"services": "1", "services_nodeports": "1"}
    held = quota({"services": "1", "services.nodeports": "0"}, **bounds)
    after = charge(held, asked(service("NodePort"), service("ClusterIP"), SERVICES))
    assert after["status"]["used"] == {"services": "1", "services.nodeports": "1"}
    assert [(one.after, one.used) for one in pending_charges(after)] == [(7, {"services.nodeports": "1"})]
    over = quota({"services": "5", "services.nodeports": "5"}, **bounds)
    assert charge(over, asked(service("ClusterIP"), service("NodePort"), SERVICES)) is None


def test_a_recount_keeps_what_is_on_its_way_and_drops_what_never_came():
    charged = charge(charge(quota(pods="9"), asked(pod("a"))), asked(pod("b"), now=NOW - timedelta(seconds=50)))
    later = NOW + timedelta(seconds=EXPIRES_SECONDS - 20)
    kept = recount(charged, {PODS: []}, lambda one: one.is_over(later))
    assert kept["status"]["used"] == {"pods": "1"}
    assert [one.uid for one in pending_charges(kept)] == ["a"]
    seen = recount(kept, {PODS: [usage_of(PODS, pod("a"), NOW)]}, lambda one: one.uid == "a")
    assert seen["status"]["used"] == {"pods": "1"}
    assert "annotations" not in seen["metadata"]


def test_a_recount_puts_new_bounds_in_force_and_keeps_what_nobody_counts():
    before = quota({"pods": "3", "count/odd.example.com": "4"}, pods="5")
    before["spec"]["hard"] = {"pods": "1", "configmaps": "2", "count/odd.example.com": "9"}
    after = recount(before, {PODS: [], ("", "configmaps"): [{"configmaps": "1"}, {"configmaps": "1"}]}, lambda _: True)
    assert after["status"] == {
        "hard": {"pods": "1", "configmaps": "2", "count/odd.example.com": "9"},
        "used": {"pods": "0", "configmaps": "2", "count/odd.example.com": "4"},
    }


@pytest.mark.parametrize("broken", ["", "{", "[]", '{"a/0":{}}', '{"a/0":7}'])
def test_a_broken_annotation_counts_as_nothing(broken):
    odd = quota(pods="1")
    odd["metadata"]["annotations"] = {"quota.windlass.dev/pending-charges": broken}
    assert pending_charges(odd) == []


QUANTITIES = st.sampled_from(["0", "1m", "250m", "1", "3", "1Ki", "1Mi", "2Gi", "1500M"])


@given(st.dictionaries(st.sampled_from("ab"), QUANTITIES), st.dictionaries(st.sampled_from("ab"), QUANTITIES))
def test_adding_and_taking_away_ends_where_it_began(first, second):
    ended = minus(plus(first, second), second)
    assert all(compare(text, first.get(name, "0")) == 0 for name, text in ended.items())
    assert ended.keys() == first.keys() | second.keys()


@given(st.lists(st.sampled_from(["100m", "250m", "1", "0"]), max_size=12), st.sampled_from(["0", "1", "2", "10"]))
def test_charges_never_pass_a_bound_and_a_recount_agrees_with_them(cpus, bound):
    held, taken = quota(pods="6", requests_cpu=bound), []
    for number, cpu in enumerate(cpus):
        try:
            held = charge(held, asked(pod(f"p{number}", cpu))) or held
            taken.append(pod(f"p{number}", cpu))
        except QuotaRefusalError:
            continue
        assert all(compare(held["status"]["used"][name], top) <= 0 for name, top in held["spec"]["hard"].items())
    counted = recount(held, {PODS: [usage_of(PODS, one, NOW) for one in taken]}, lambda _: True)
    assert all(compare(text, held["status"]["used"][name]) == 0 for name, text in counted["status"]["used"].items())


def test_sidecars_run_beside_and_init_containers_before():
    def container(cpu, **more):
        return {"resources": {"requests": {"cpu": cpu}}, **more}

    spec = {
        "containers": [container("1")],
        "initContainers": [container("500m", restartPolicy="Always"), container("2")],
        "overhead": {"cpu": "100m", "memory": "1Mi"},
    }
    assert pod_amounts(spec, "requests") == {"cpu": "2600m", "memory": "1Mi"}
    assert pod_amounts(spec, "limits") == {}
