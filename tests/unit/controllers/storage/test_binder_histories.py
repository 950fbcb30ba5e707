"""P87, P89: the binder over any history: binders that die after any write, several at once and behind, claims that go."""

import copy

from hypothesis import given, settings
from hypothesis import strategies as st

from windlass_controllers.persistentvolume.matching import claim_ref, find_volume, is_free
from windlass_controllers.persistentvolume.plan import View, plan_claim, plan_volume

NOW = "2026-01-01T00:00:00Z"
COMPLETED = "pv.kubernetes.io/bind-completed"
NAMES = [f"c{n}" for n in range(4)]
VOLUMES = [f"v{n}" for n in range(4)]


class StaleWriteError(Exception):
    """The object has changed since it was read."""


class Store:
    """Objects with versions, as the API keeps them; a write needs the version that it was decided on."""

    def __init__(self):
        self.version = 0
        self.uids = 0
        self.claims, self.volumes = {}, {}

    def create(self, table, obj):
        name = obj["metadata"]["name"]
        if name in table:
            return
        self.version += 1
        self.uids += 1
        metadata = {**obj["metadata"], "uid": f"u{self.uids}", "resourceVersion": str(self.version)}
        table[name] = {**copy.deepcopy(obj), "metadata": metadata}

    def write(self, step):
        table = self.claims if step.resource.plural == "persistentvolumeclaims" else self.volumes
        there = table.get(step.obj["metadata"]["name"])
        if there is None or there["metadata"]["resourceVersion"] != step.obj["metadata"]["resourceVersion"]:
            raise StaleWriteError
        self.version += 1
        written = {**there, "status": step.obj["status"]} if step.subresource else {**step.obj, "status": there["status"]}
        table[step.obj["metadata"]["name"]] = {
            **written, "metadata": {**written["metadata"], "resourceVersion": str(self.version)},
        }  # fmt: skip

    def snapshot(self):
        found = Store()
        found.claims, found.volumes = dict(self.claims), dict(self.volumes)
        return found


def decide(seen, kind, name):
    """Plan one step on what a binder sees, which may be behind."""
    if kind == "claim":
        claim = seen.claims.get(name)
        view = View(seen.volumes.get, lambda _: list(seen.volumes.values()), list, lambda _: None, lambda _: None)
        return plan_claim(claim, view, NOW) if claim else None
    volume = seen.volumes.get(name)
    if volume is None:
        return None
    return plan_volume(volume, seen.claims.get(str(claim_ref(volume).get("name"))), NOW)


def check(store):
    """Never two claims on one volume, and who is bound is bound both ways."""
    bound = [c for c in store.claims.values() if c["status"]["phase"] == "Bound"]
    names = [c["spec"]["volumeName"] for c in bound]
    assert len(names) == len(set(names))
    for claim in bound:
        volume = store.volumes.get(claim["spec"]["volumeName"])
        if volume is not None:
            assert claim_ref(volume)["uid"] == claim["metadata"]["uid"]


def settle(store):
    """Let one binder that sees everything go on until there is nothing to do; it must come to an end."""
    for _ in range(200):
        busy = False
        for kind, names in (("claim", list(store.claims)), ("volume", list(store.volumes))):
            for name in names:
                step = decide(store, kind, name)
                if step is not None and step.obj is not None:
                    store.write(step)
                    check(store)
                    busy = True
        if not busy:
            return
    raise AssertionError("the binder never rests")


sizes = st.sampled_from(["1Gi", "2Gi", "3Gi"])
moves = st.one_of(
    st.tuples(st.just("claim"), st.sampled_from(NAMES), sizes, st.sampled_from(["", *VOLUMES])),
    st.tuples(st.just("volume"), st.sampled_from(VOLUMES), sizes, st.sampled_from(["", *NAMES])),
    st.tuples(st.just("delete claim"), st.sampled_from(NAMES)),
    st.tuples(st.just("look"), st.integers(0, 1)),
    st.tuples(st.just("step"), st.integers(0, 1), st.just("claim"), st.sampled_from(NAMES)),
    st.tuples(st.just("step"), st.integers(0, 1), st.just("volume"), st.sampled_from(VOLUMES)),
    st.tuples(st.just("settle")),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(moves, max_size=40))
def test_no_history_gives_two_claims_one_volume_or_leaves_a_claim_that_could_be_bound(make, history):
    store = Store()
    seen = [store.snapshot(), store.snapshot()]
    for kind, *rest in history:
        if kind == "claim":
            named = {"volumeName": rest[2]} if rest[2] else {}
            store.create(store.claims, make.claim(rest[0], rest[1], **named))
        elif kind == "volume":
            kept = make.ref(rest[2]) if rest[2] else None
            store.create(store.volumes, make.volume(rest[0], rest[1], ref=kept, phase="Pending"))
        elif kind == "delete claim":
            store.claims.pop(rest[0], None)
        elif kind == "look":
            seen[rest[0]] = store.snapshot()
        elif kind == "settle":
            settle(store)
        else:
            _step(store, seen[rest[0]], *rest[1:])
        check(store)
    settle(store)
    for claim in store.claims.values():
        if claim["status"]["phase"] == "Pending" and not claim["spec"].get("volumeName"):
            assert find_volume(claim, store.volumes.values()) is None
    held = [claim_ref(v).get("uid") for v in store.volumes.values() if v["status"]["phase"] == "Bound"]
    assert len(held) == len(set(held))
    assert all(is_free(v) or claim_ref(v) for v in store.volumes.values())


def _step(store, seen, kind, name):
    step = decide(seen, kind, name)
    if step is None or step.obj is None:
        return
    if kind == "volume" and step.subresource and step.obj["status"]["phase"] == "Released":
        # That a claim is gone the controller asks the API server, whatever its copy says.
        reference = claim_ref(step.obj)
        claim = store.claims.get(reference["name"])
        if claim is not None and claim["metadata"]["uid"] == reference["uid"]:
            return
    try:
        store.write(step)
    except StaleWriteError:
        return
