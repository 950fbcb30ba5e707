"""Who goes first, who never goes, and who has broken a limit of its own."""

from hypothesis import given
from hypothesis import strategies as st

from windlass_hostagent.eviction.ranking import PodUsage, eviction_message, is_critical, limit_breach, rank

MIB = 1 << 20


def pod(name, *, memory="", priority=0, annotations=None, volumes=(), storage=""):
    requests = {"memory": memory} if memory else {}
    limits = {"ephemeral-storage": storage} if storage else {}
    return {
        "metadata": {"name": name, "namespace": "default", "uid": name, "annotations": annotations or {}},
        "spec": {
            "priority": priority,
            "containers": [{"name": "main", "resources": {"requests": requests, "limits": limits}}],
            "volumes": list(volumes),
        },
    }


def order(pods, used, resource="memory"):
    usage = {name: PodUsage(memory=n * MIB) for name, n in used.items()}
    return [p["metadata"]["name"] for p in rank(pods, usage, resource)]


def test_those_over_their_request_go_before_those_within():
    pods = [pod("within", memory="100Mi"), pod("over", memory="10Mi", priority=1000)]
    assert order(pods, {"within": 90, "over": 20}) == ["over", "within"]


def test_lower_priority_then_larger_excess():
    pods = [pod("low-small"), pod("low-large"), pod("high", priority=10)]
    assert order(pods, {"low-small": 10, "low-large": 50, "high": 500}) == ["low-large", "low-small", "high"]


def test_critical_static_and_mirror_pods_stay():
    static = pod("static", annotations={"kubernetes.io/config.source": "file"})
    mirror = pod("mirror", annotations={"kubernetes.io/config.mirror": "hash"})
    critical = pod("critical", priority=2_000_000_000)
    assert order([static, mirror, critical, pod("plain")], {}) == ["plain"]
    assert is_critical(critical)
    assert not is_critical(pod("plain"))


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.tuples(st.integers(0, 99), st.integers(-5, 5)), min_size=1))
def test_ranking_loses_nobody_and_is_stable(found):
    pods = [pod(name, memory="50Mi", priority=priority) for name, (_, priority) in found.items()]
    used = {name: n for name, (n, _) in found.items()}
    ranked = order(pods, used)
    assert sorted(ranked) == sorted(found)
    assert ranked == order(list(reversed(pods)), used)
    over = [name for name in ranked if used[name] > 50]
    assert ranked[: len(over)] == over


def test_an_emptydir_over_its_size():
    scratch = {"name": "scratch", "emptyDir": {"sizeLimit": "1Mi"}}
    assert limit_breach(pod("p", volumes=[scratch]), PodUsage(volumes={"scratch": 2 * MIB})) == (
        'Usage of EmptyDir volume "scratch" exceeds the limit "1Mi". '
    )
    assert limit_breach(pod("p", volumes=[scratch]), PodUsage(volumes={"scratch": MIB})) == ""


def test_a_container_over_its_ephemeral_storage():
    used = PodUsage(ephemeral_storage=3 * MIB, containers={"main": 3 * MIB})
    assert "Container main exceeded" in limit_breach(pod("p", storage="2Mi"), used)
    spread = PodUsage(ephemeral_storage=3 * MIB, containers={"main": MIB})
    assert "exceeds the total limit of containers" in limit_breach(pod("p", storage="2Mi"), spread)
    assert limit_breach(pod("p"), used) == ""


def test_the_message_says_what_is_short_and_who_took_it():
    message = eviction_message(pod("p", memory="1Mi"), PodUsage(memory=5 * MIB), "memory", 7, 9)
    assert message.startswith("The node was low on resource: memory. Threshold quantity: 9, available: 7. ")
    assert f"Container(s) main was using {5 * MIB}, request is {MIB}" in message
