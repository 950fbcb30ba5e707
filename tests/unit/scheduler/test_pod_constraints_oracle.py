"""Affinity, anti-affinity and topology spread against a brute-force reading of the API's rules."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ZONE, HOST = "topology.kubernetes.io/zone", "kubernetes.io/hostname"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def selected(term, owner, other):
    if other["metadata"]["namespace"] not in term.get("namespaces", [owner["metadata"]["namespace"]]):
        return False
    wanted = term["labelSelector"]["matchLabels"]
    return all(other["metadata"].get("labels", {}).get(key) == value for key, value in wanted.items())


def terms(pod, kind):
    return pod["spec"].get("affinity", {}).get(kind, {}).get(REQUIRED, [])


class Oracle:
    def __init__(self, nodes):
        self.nodes = {node["metadata"]["name"]: node for node in nodes}
        self.on = []

    def domain(self, name, key):
        return self.nodes[name]["metadata"]["labels"].get(key)

    def near(self, name, key):
        """Return the pods in the node's domain."""
        domain = self.domain(name, key)
        return [] if domain is None else [pod for pod, other in self.on if self.domain(other, key) == domain]

    def affinity_holds(self, name, pod):
        wanted = terms(pod, "podAffinity")
        if not wanted:
            return True

        def all_select(other):
            return all(selected(term, pod, other) for term in wanted)

        if not any(all_select(other) for other, _ in self.on) and all_select(pod):
            return all(self.domain(name, term["topologyKey"]) is not None for term in wanted)
        return all(any(all_select(other) for other in self.near(name, term["topologyKey"])) for term in wanted)

    def anti_affinity_holds(self, name, pod):
        for term in terms(pod, "podAntiAffinity"):
            if any(selected(term, pod, other) for other in self.near(name, term["topologyKey"])):
                return False
        for other, place in self.on:
            for term in terms(other, "podAntiAffinity"):
                domain = self.domain(place, term["topologyKey"])
                if (
                    domain is not None
                    and domain == self.domain(name, term["topologyKey"])
                    and selected(term, other, pod)
                ):
                    return False
        return True

    def spread_holds(self, name, pod):
        constraints = pod["spec"].get("topologySpreadConstraints", [])
        keys = [constraint["topologyKey"] for constraint in constraints]
        eligible = [node for node in self.nodes if all(self.domain(node, key) is not None for key in keys)]
        for constraint in constraints:
            key = constraint["topologyKey"]
            if self.domain(name, key) is None:
                return False
            counts = {self.domain(node, key): 0 for node in eligible}
            for other, place in self.on:
                if place in eligible and selected(constraint, pod, other):
                    counts[self.domain(place, key)] += 1
            least = min(counts.values(), default=0)
            itself = int(selected(constraint, pod, pod))
            if counts.get(self.domain(name, key), 0) + itself - least > constraint["maxSkew"]:
                return False
        return True

    def feasible(self, pod):
        checks = (self.affinity_holds, self.anti_affinity_holds, self.spread_holds)
        return {name for name in self.nodes if all(check(name, pod) for check in checks)}


app = st.sampled_from(["a", "b"])
selector = app.map(lambda value: {"matchLabels": {"app": value}})
key = st.sampled_from([ZONE, HOST])
pod_term = st.fixed_dictionaries(
    {"labelSelector": selector, "topologyKey": key}, optional={"namespaces": st.sampled_from([["x"], ["x", "y"]])}
)
constraint = st.fixed_dictionaries(
    {
        "labelSelector": selector,
        "topologyKey": key,
        "maxSkew": st.integers(1, 2),
        "whenUnsatisfiable": st.just("DoNotSchedule"),
    }
)


@st.composite
def templates(draw):
    affinity = {}
    for kind in ("podAffinity", "podAntiAffinity"):
        wanted = draw(st.lists(pod_term, max_size=2)) if draw(st.booleans()) else []
        if wanted:
            affinity[kind] = {REQUIRED: wanted}
    return {
        "namespace": draw(st.sampled_from(["x", "y"])),
        "labels": {"app": draw(app)},
        "affinity": affinity,
        "topologySpreadConstraints": draw(st.one_of(st.just([]), st.lists(constraint, max_size=2))),
    }


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    zones=st.lists(st.sampled_from(["z1", "z2", None]), min_size=1, max_size=12),
    pod_templates=st.lists(templates(), min_size=2, max_size=4),
    steps=st.lists(st.tuples(st.integers(0, 3), st.integers(1, 6), st.integers(0, 9)), min_size=1, max_size=6),
)
def test_constraints_agree_with_the_oracle(build, zones, pod_templates, steps):
    """Pods go to feasible nodes only, and wait only when there is none; also after others were deleted."""
    nodes = [build.node(f"n{index}", labels={ZONE: zone} if zone else {}) for index, zone in enumerate(zones)]
    core, oracle = build.core(nodes), Oracle(nodes)
    counter = 0
    for template, count, deletion in steps:
        for left in reversed(range(count)):
            counter += 1
            pod = build.pod(f"p{counter}", **pod_templates[template % len(pod_templates)])
            feasible = oracle.feasible(pod)
            chosen = core.place(pod, left)
            assert (chosen in feasible) if feasible else chosen.startswith(f"0/{len(nodes)} nodes"), (chosen, feasible)
            if feasible:
                oracle.on.append((pod, chosen))
        if deletion < len(oracle.on):
            gone, _ = oracle.on.pop(deletion)
            core.table.remove_pod(gone["metadata"]["uid"])
