"""Constraints between pods: affinity, anti-affinity, topology spread; and preemption."""

import collections

import pytest

APP = {"matchLabels": {"app": "web"}}
ZONE, HOST = "topology.kubernetes.io/zone", "kubernetes.io/hostname"


def zoned(build, count=6, zones=3, **facts):
    return [build.node(f"n{index}", labels={ZONE: f"z{index % zones}"}, **facts) for index in range(count)]


def affinity(kind, key=HOST, selector=APP, **more):
    return {
        kind: {
            "requiredDuringSchedulingIgnoredDuringExecution": [{"labelSelector": selector, "topologyKey": key, **more}]
        }
    }


def spread(key=ZONE, skew=1, when="DoNotSchedule", **more):
    return [{"maxSkew": skew, "topologyKey": key, "whenUnsatisfiable": when, "labelSelector": APP, **more}]


def zones(places):
    return collections.Counter(int(place[1:]) % 3 for place in places)


def test_anti_affinity_puts_one_pod_on_each_node(build):
    core = build.core(zoned(build))
    pods = [build.pod(f"p{i}", labels={"app": "web"}, affinity=affinity("podAntiAffinity")) for i in range(7)]
    places = [core.place(pod, 6 - index) for index, pod in enumerate(pods)]
    assert sorted(places[:6]) == [f"n{index}" for index in range(6)]
    assert places[6].startswith("0/6 nodes are available: 6 node(s) didn't match pod anti-affinity rules.")


def test_existing_pods_anti_affinity_keeps_others_away(build):
    core = build.core(zoned(build, count=30))
    core.add(build.pod("shy", affinity=affinity("podAntiAffinity", ZONE)), "n0")
    places = [core.place(build.pod(f"p{i}", labels={"app": "web"}), 19 - i) for i in range(20)]
    assert 0 not in zones(places)
    core.table.remove_pod("default-shy")
    places = [core.place(build.pod(f"q{i}", labels={"app": "web"}), 29 - i) for i in range(30)]
    assert {f"n{index}" for index in range(0, 30, 3)} <= set(places)


def test_anti_affinity_is_of_its_namespace(build):
    core = build.core(zoned(build, count=1))
    core.add(build.pod("shy", namespace="other", affinity=affinity("podAntiAffinity")), "n0")
    assert core.place(build.pod("p", labels={"app": "web"})) == "n0"
    core.add(build.pod("shyer", namespace="other", affinity=affinity("podAntiAffinity", namespaces=["default"])), "n0")
    message = core.place(build.pod("q", labels={"app": "web"}))
    assert message == "0/1 nodes are available: 1 node(s) didn't satisfy existing pods anti-affinity rules."


def test_affinity_goes_where_the_first_one_went(build):
    core = build.core(zoned(build))
    pods = [build.pod(f"p{i}", labels={"app": "web"}, affinity=affinity("podAffinity", ZONE)) for i in range(8)]
    assert len(zones([core.place(pod, 7 - index) for index, pod in enumerate(pods)])) == 1


def test_affinity_to_nobody_waits(build):
    core = build.core(zoned(build))
    message = core.place(build.pod("p", affinity=affinity("podAffinity", ZONE)))
    assert message == "0/6 nodes are available: 6 node(s) didn't match pod affinity rules."


def test_namespaces_selected_by_labels(build):
    """Also those whose labels change later; the owner's own namespace is none of them unless it is selected."""
    core = build.core(zoned(build))
    selector = {"namespaceSelector": {"matchLabels": {"team": "x"}}}
    core.add(build.pod("web", namespace="near", labels={"app": "web"}), "n4")
    core.add(build.pod("mine", labels={"app": "web"}), "n0")
    core.table.set_namespace("near", {})
    near, far = affinity("podAffinity", **selector), affinity("podAntiAffinity", **selector)
    assert "didn't match pod affinity rules" in core.place(build.pod("p", affinity=near))
    assert core.table.set_namespace("near", {"team": "x"})
    assert not core.table.set_namespace("near", {"team": "x"})
    assert core.place(build.pod("p", affinity=near)) == "n4"
    places = [core.place(build.pod(f"q{i}", affinity=far), 9 - i) for i in range(10)]
    assert "n4" not in places
    assert core.table.set_namespace("near", None)
    assert "didn't match pod affinity rules" in core.place(build.pod("r", affinity=near))


def test_anti_affinity_of_pods_that_select_namespaces_by_label(build):
    core = build.core(zoned(build, count=2))
    shy = affinity("podAntiAffinity", namespaceSelector={"matchLabels": {"loud": "yes"}})
    core.add(build.pod("shy", namespace="other", affinity=shy), "n0")
    core.table.set_namespace("default", {"loud": "yes"})
    places = [core.place(build.pod(f"p{i}", labels={"app": "web"}), 4 - i) for i in range(5)]
    assert set(places) == {"n1"}


def test_all_namespaces_and_named_ones(build):
    core = build.core(zoned(build))
    core.add(build.pod("web", namespace="near", labels={"app": "web"}), "n4")
    assert core.place(build.pod("p", affinity=affinity("podAffinity", namespaceSelector={}))) == "n4"
    both = affinity("podAffinity", namespaces=["near"], namespaceSelector={"matchLabels": {"no": "such"}})
    assert core.place(build.pod("q", affinity=both)) == "n4"


def test_preferred_terms_attract_and_repel(build):
    core = build.core(zoned(build))
    core.add(build.pod("web", labels={"app": "web"}), "n3")
    term = [{"weight": 100, "podAffinityTerm": {"labelSelector": APP, "topologyKey": HOST}}]
    preferred = "preferredDuringSchedulingIgnoredDuringExecution"
    assert core.place(build.pod("near", affinity={"podAffinity": {preferred: term}})) == "n3"
    places = [core.place(build.pod(f"f{i}", affinity={"podAntiAffinity": {preferred: term}}), 9 - i) for i in range(10)]
    assert "n3" not in places


@pytest.mark.parametrize("skew", [1, 2, 5])
def test_spread_keeps_the_skew(build, skew):
    """At each moment the fullest zone has at most `maxSkew` more than the emptiest."""
    core = build.core([*zoned(build, cpu="100"), build.node("n9", labels={ZONE: "z0"}, cpu="100")])
    pods = [build.pod(f"p{i}", labels={"app": "web"}, topologySpreadConstraints=spread(skew=skew)) for i in range(30)]
    places = []
    for index, pod in enumerate(pods):
        places.append(core.place(pod, 29 - index))
        counts = zones(places)
        assert max(counts.values()) - min(counts[zone] for zone in range(3)) <= skew


def test_spread_refuses_when_the_emptiest_zone_is_full(build):
    core = build.core([build.node(f"n{i}", labels={ZONE: f"z{i}"}, pods="1" if i == 0 else "9") for i in range(3)])
    core.table.set_node(build.node("bare"))
    pods = [build.pod(f"p{i}", labels={"app": "web"}, topologySpreadConstraints=spread()) for i in range(7)]
    places = [core.place(pod, 6 - index) for index, pod in enumerate(pods)]
    assert sorted(places[:6]) == ["n0", "n1", "n1", "n2", "n2", places[5]] or sorted(places[:5]) == [
        "n0",
        "n1",
        "n1",
        "n2",
        "n2",
    ]
    assert places[6] == (
        "0/4 nodes are available: 1 Too many pods, "
        "1 node(s) didn't match pod topology spread constraints (missing required label), "
        "2 node(s) didn't match pod topology spread constraints."
    )


def test_soft_spread_prefers_the_emptier_zone(build):
    core = build.core(zoned(build))
    for index in range(3):
        core.add(build.pod(f"w{index}", labels={"app": "web"}), f"n{index % 2}")
    pod = build.pod("p", labels={"app": "web"}, topologySpreadConstraints=spread(when="ScheduleAnyway"))
    assert zones([core.place(pod)]) == {2: 1}


def test_min_domains_count_missing_ones_as_empty(build):
    core = build.core(zoned(build, zones=2, count=2))
    constraint = spread(minDomains=3)
    places = [
        core.place(build.pod(f"p{i}", labels={"app": "web"}, topologySpreadConstraints=constraint), 2 - i)
        for i in range(3)
    ]
    assert sorted(places[:2]) == ["n0", "n1"]
    assert "topology spread" in places[2]
