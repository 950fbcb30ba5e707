"""The columns against a brute-force scheduler that looks at each node in plain Python."""

import math
from fractions import Fraction

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

KEYS, VALUES = ("zone", "disk", "size"), ("a", "b", "3", "7")
TAINTS = [
    ("gpu", "yes", "NoSchedule"),
    ("old", "", "NoExecute"),
    ("busy", "", "PreferNoSchedule"),
    ("far", "x", "PreferNoSchedule"),
]


def quantity_cpu(text):
    return int(text[:-1]) if text.endswith("m") else int(text) * 1000


def quantity_memory(text):
    return int(text[:-2]) * {"Mi": 2**20, "Gi": 2**30}[text[-2:]]


def amounts(requests):
    return {
        name: {"cpu": quantity_cpu, "memory": quantity_memory}.get(name, int)(text) for name, text in requests.items()
    }


# -- the oracle


def effective(pod, defaults):
    def of(container):
        return {**defaults, **amounts(container.get("resources", {}).get("requests", {}))}

    def plus(*parts):
        return {name: sum(part.get(name, 0) for part in parts) for name in {name for part in parts for name in part}}

    spec = pod["spec"]
    containers = plus(*(of(container) for container in spec["containers"]))
    phases, sidecars = [], {}
    for container in spec.get("initContainers", ()):
        if container.get("restartPolicy") == "Always":
            sidecars = plus(sidecars, of(container))
            phases.append(sidecars)
        else:
            phases.append(plus(sidecars, of(container)))
    phases.append(plus(containers, sidecars))
    names = {name for phase in phases for name in phase}
    return plus(
        {name: max(phase.get(name, 0) for phase in phases) for name in names}, amounts(spec.get("overhead", {}))
    )


def tolerated(pod, taint):
    for toleration in pod["spec"].get("tolerations", ()):
        key_fits = toleration.get("key") in {None, taint["key"]}
        effect_fits = toleration.get("effect") in {None, taint["effect"]}
        value_fits = toleration.get("operator") == "Exists" or toleration.get("value", "") == taint["value"]
        if key_fits and effect_fits and value_fits:
            return True
    return False


def expression_holds(labels, expression):
    key, operator, values = expression["key"], expression["operator"], expression.get("values", ())
    value = labels.get(key)
    if operator in {"Gt", "Lt"}:
        if value is None or not value.isdigit():
            return False
        return int(value) > int(values[0]) if operator == "Gt" else int(value) < int(values[0])
    return {
        "In": value in values,
        "NotIn": value not in values,
        "Exists": value is not None,
        "DoesNotExist": value is None,
    }[operator]


def term_holds(node, term):
    expressions, fields = term.get("matchExpressions", ()), term.get("matchFields", ())
    labels = node["metadata"]["labels"]
    return bool(expressions or fields) and (
        all(expression_holds(labels, expression) for expression in expressions)
        and all(expression_holds({"metadata.name": node["metadata"]["name"]}, field) for field in fields)
    )


def ports_of(pod):
    return [
        (port.get("hostIP", "0.0.0.0"), port["protocol"], port["hostPort"])
        for container in pod["spec"]["containers"]
        for port in container.get("ports", ())
    ]


def ports_clash(one, other):
    return any(
        a[1:] == b[1:] and (a[0] == b[0] or "0.0.0.0" in {a[0], b[0]}) for a in ports_of(one) for b in ports_of(other)
    )


def fits(node, pods, pod):
    spec, node_spec = pod["spec"], node["spec"]
    if node_spec.get("unschedulable") and not tolerated(
        pod, {"key": "node.kubernetes.io/unschedulable", "value": "", "effect": "NoSchedule"}
    ):
        return False
    if any(t["effect"] in {"NoSchedule", "NoExecute"} and not tolerated(pod, t) for t in node_spec.get("taints", ())):
        return False
    if any(node["metadata"]["labels"].get(key) != value for key, value in spec.get("nodeSelector", {}).items()):
        return False
    affinity = spec.get("affinity", {}).get("nodeAffinity", {})
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if required is not None and not any(term_holds(node, term) for term in required["nodeSelectorTerms"]):
        return False
    if any(ports_clash(pod, other) for other in pods):
        return False
    allocatable = amounts(node["status"]["allocatable"])
    if len(pods) + 1 > allocatable["pods"]:
        return False
    used = [effective(other, {}) for other in pods]
    return all(
        amount == 0 or amount + sum(each.get(name, 0) for each in used) <= allocatable.get(name, 0)
        for name, amount in effective(pod, {}).items()
    )


def score(node, pods, pod):
    allocatable = amounts(node["status"]["allocatable"])
    defaults = {"cpu": 100, "memory": 200 * 2**20}
    free, shares = [], []
    for name in ("cpu", "memory"):
        counted = sum(effective(each, defaults).get(name, 0) for each in [*pods, pod])
        asked = sum(effective(each, {}).get(name, 0) for each in [*pods, pod])
        free.append(Fraction(max(allocatable[name] - counted, 0), allocatable[name]))
        shares.append(min(Fraction(asked, allocatable[name]), Fraction(1)))
    total = Fraction(100) * sum(free) / 2 + 100 - abs(shares[0] - shares[1]) * 50
    soft = [
        t
        for n in [node]
        for t in n["spec"].get("taints", ())
        if t["effect"] == "PreferNoSchedule" and not tolerated(pod, t)
    ]
    total += 3 * Fraction(100, 1 + len(soft))
    preferred = (
        pod["spec"]
        .get("affinity", {})
        .get("nodeAffinity", {})
        .get("preferredDuringSchedulingIgnoredDuringExecution", ())
    )
    weights = sum(term["weight"] for term in preferred)
    if weights:
        total += 2 * Fraction(100 * sum(t["weight"] for t in preferred if term_holds(node, t["preference"])), weights)
    owner = pod["metadata"].get("ownerReferences")
    if owner:
        total += 2 * Fraction(100, 1 + sum(other["metadata"].get("ownerReferences") == owner for other in pods))
    return total


# -- random clusters

labels = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES), max_size=3)
expression = st.one_of(
    st.fixed_dictionaries(
        {
            "key": st.sampled_from(KEYS),
            "operator": st.sampled_from(["In", "NotIn"]),
            "values": st.lists(st.sampled_from(VALUES), min_size=1),
        }
    ),
    st.fixed_dictionaries({"key": st.sampled_from(KEYS), "operator": st.sampled_from(["Exists", "DoesNotExist"])}),
    st.fixed_dictionaries(
        {
            "key": st.just("size"),
            "operator": st.sampled_from(["Gt", "Lt"]),
            "values": st.sampled_from([["3"], ["5"], ["7"]]),
        }
    ),
)
field = st.fixed_dictionaries(
    {
        "key": st.just("metadata.name"),
        "operator": st.sampled_from(["In", "NotIn"]),
        "values": st.lists(st.sampled_from(["n0", "n1"]), min_size=1, max_size=1),
    }
)
term = st.fixed_dictionaries(
    {}, optional={"matchExpressions": st.lists(expression, max_size=2), "matchFields": st.lists(field, max_size=1)}
)
toleration = st.sampled_from(
    [
        {"operator": "Exists"},
        {"key": "gpu", "operator": "Equal", "value": "yes", "effect": "NoSchedule"},
        {"key": "gpu", "operator": "Equal", "value": "no"},
        {"key": "old", "operator": "Exists", "effect": "NoExecute"},
        {"key": "busy", "operator": "Exists"},
        {"key": "node.kubernetes.io/unschedulable", "operator": "Exists"},
    ]
)
requests = st.fixed_dictionaries(
    {},
    optional={
        "cpu": st.sampled_from(["0", "100m", "500m", "1"]),
        "memory": st.sampled_from(["0Mi", "100Mi", "1Gi"]),
        "example.com/gpu": st.sampled_from(["0", "1", "2"]),
    },
)
ports = st.lists(
    st.tuples(
        st.sampled_from(["0.0.0.0", "10.0.0.1", "10.0.0.2"]),
        st.sampled_from(["TCP", "UDP"]),
        st.sampled_from([80, 443]),
    ),
    max_size=2, unique=True,
)  # fmt: skip


@st.composite
def templates(draw):
    affinity = {}
    if draw(st.booleans()):
        affinity["requiredDuringSchedulingIgnoredDuringExecution"] = {
            "nodeSelectorTerms": draw(st.lists(term, min_size=1, max_size=2))
        }
    if draw(st.booleans()):
        preference = st.fixed_dictionaries({"weight": st.integers(1, 100), "preference": term})
        affinity["preferredDuringSchedulingIgnoredDuringExecution"] = draw(st.lists(preference, min_size=1, max_size=2))
    init = [
        {"name": f"i{index}", "resources": {"requests": request}, **({"restartPolicy": "Always"} if sidecar else {})}
        for index, (request, sidecar) in enumerate(draw(st.lists(st.tuples(requests, st.booleans()), max_size=3)))
    ]
    return {
        "requests": draw(requests),
        "ports": draw(st.one_of(st.just([]), ports)),
        "owner": draw(st.sampled_from(["", "rs1", "rs2"])),
        "nodeSelector": draw(
            st.one_of(st.just({}), st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES), max_size=1))
        ),
        "tolerations": draw(st.lists(toleration, max_size=2)),
        "affinity": {"nodeAffinity": affinity} if affinity else {},
        "initContainers": init,
        "overhead": draw(st.sampled_from([{}, {}, {"cpu": "50m"}])),
    }


@st.composite
def node_facts(draw):
    return {
        "labels": draw(labels),
        "taints": draw(st.lists(st.sampled_from(TAINTS), max_size=2, unique=True)),
        "unschedulable": draw(st.integers(0, 5)) == 0,
        "cpu": draw(st.sampled_from(["1", "2", "1500m"])),
        "memory": draw(st.sampled_from(["1Gi", "4Gi"])),
        "pods": draw(st.sampled_from(["2", "6", "20"])),
        "example.com__gpu": draw(st.sampled_from(["0", "2", "4"])),
    }


node_names = st.sampled_from(["n0", "n1", "n2", "n3", "n4"])
operations = st.lists(
    st.one_of(
        st.tuples(st.just("node"), node_names, node_facts()),
        st.tuples(st.just("remove_node"), node_names),
        st.tuples(st.just("batch"), st.integers(0, 2), st.integers(1, 12)),
        st.tuples(st.just("delete_pod"), st.integers(0, 50)),
    ),
    min_size=3, max_size=14,
)  # fmt: skip


class World:
    """The same cluster twice: columns, and plain dictionaries."""

    def __init__(self, build, seed):
        self.build = build
        self.core = build.core(seed=seed)
        self.nodes, self.on, self.counter = {}, {}, 0

    def pods(self, name):
        return [pod for pod, node in self.on.values() if node == name]

    def node(self, name, facts):
        self.nodes[name] = self.build.node(name, **facts)
        self.core.table.set_node(self.nodes[name])

    def remove_node(self, name):
        self.nodes.pop(name, None)
        self.core.table.remove_node(name)

    def delete_pod(self, index):
        if self.on:
            uid = sorted(self.on)[index % len(self.on)]
            self.on.pop(uid)
            self.core.table.remove_pod(uid)

    def batch(self, template, count):
        for left in reversed(range(count)):
            self.counter += 1
            pod = self.build.pod(f"p{self.counter:03}", **template)
            feasible = {name for name, node in self.nodes.items() if fits(node, self.pods(name), pod)}
            chosen = self.core.place(pod, left)
            if not feasible:
                expected = f"0/{len(self.nodes)} nodes are available: " if self.nodes else "no nodes available"
                assert chosen.startswith(expected), chosen
                continue
            assert chosen in feasible
            scores = {name: score(self.nodes[name], self.pods(name), pod) for name in feasible}
            assert math.isclose(scores[chosen], max(scores.values()), abs_tol=1e-4), scores
            self.on[pod["metadata"]["uid"]] = (pod, chosen)

    def facts(self, table):
        rows = {}
        for name, row in table.rows.items():
            info = table.node_info(row)
            rows[name] = (
                bool(table.valid[row]), info.labels, info.taints, info.unschedulable, info.pod_count,
                {key: value for key, value in info.allocatable.items() if value},
                {key: value for key, value in info.requested.items() if value},
                table.nonzero[:, row].tolist(), int(table.allowed_pods[row]),
                sorted(pod.uid for pod in table.placements.pods(row)),
            )  # fmt: skip
        return rows

    def check_rebuilt(self):
        fresh = self.build.core()
        for node in self.nodes.values():
            fresh.table.set_node(node)
        for pod, name in self.on.values():
            fresh.add(pod, name)
        assert self.facts(self.core.table) == self.facts(fresh.table)
        for pod, _ in self.on.values():
            old, new = self.core.parser.parse(pod).requirements, fresh.parser.parse(pod).requirements
            for name, row in self.core.table.rows.items():
                other = fresh.table.rows[name]
                ports = self.core.table.placements.ports.conflicts(old.host_ports, self.core.table.size)
                assert ports[row] == fresh.table.placements.ports.conflicts(new.host_ports, fresh.table.size)[other]
                owned = self.core.table.placements.owner_column(old.owner_uid, self.core.table.size)
                assert owned[row] == fresh.table.placements.owner_column(new.owner_uid, fresh.table.size)[other]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    pod_templates=st.lists(templates(), min_size=3, max_size=3),
    steps=operations,
    first_nodes=st.lists(node_facts(), min_size=1, max_size=3),
    seed=st.integers(0, 5),
)
def test_columns_agree_with_the_oracle(build, *, pod_templates, steps, first_nodes, seed):
    """Every choice is feasible and best; pods pend exactly when no node fits; the table equals a rebuilt one."""
    world = World(build, seed)
    for index, facts in enumerate(first_nodes):
        world.node(f"n{index}", facts)
    for step in steps:
        if step[0] == "node":
            world.node(step[1], step[2])
        elif step[0] == "remove_node":
            world.remove_node(step[1])
        elif step[0] == "batch":
            world.batch(pod_templates[step[1]], step[2])
        else:
            world.delete_pod(step[1])
    world.check_rebuilt()


def test_a_batch_never_goes_above_allocatable(build):
    """P90: heterogeneous nodes, more pods than fit: as many are placed as fit, none above what nodes can give."""
    core = build.core([build.node(f"n{index}", cpu=str(1 + index % 4), pods=str(5 + index % 7)) for index in range(50)])
    places = [
        core.place(build.pod(f"p{index}", requests={"cpu": "300m", "memory": "64Mi"}), 599 - index)
        for index in range(600)
    ]
    table = core.table
    expected = sum(min((1 + index % 4) * 1000 // 300, 5 + index % 7) for index in range(50))
    assert sum(place.startswith("n") for place in places) == expected
    assert (table.requested <= table.allocatable).all()
    assert (table.pod_counts <= table.allowed_pods).all()
    assert np.array_equal(table.pod_counts[:50], [len(table.placements.pods(row)) for row in range(50)])


def test_a_seed_fixes_every_choice(build):
    """Ties are broken by a seeded order: equal seeds choose equally, others spread differently."""

    def choices(seed):
        core = build.core([build.node(f"n{index}") for index in range(40)], seed=seed)
        return [core.place(build.pod(f"p{index}", requests={"cpu": "100m"}), 0) for index in range(20)]

    assert choices(1) == choices(1)
    assert choices(1) != choices(2)
