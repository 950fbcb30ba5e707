"""Selection by index gives what a scan would."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.apimachinery.selectors import parse_field_selector, parse_label_selector
from windlass.store.cached import CachedObject
from windlass.store.kindcache import KindCache

LABEL_SELECTORS = [None, "app=a", "app=a,tier=b", "app in (a,b)", "app!=a", "tier", "!tier", "app=none", "app notin (a)"]
FIELD_SELECTORS = [None, "spec.nodeName=n1", "spec.nodeName!=n1", "metadata.name=p1", "metadata.namespace=x", "spec.nodeName="]


def cached(namespace, name, labels, node, revision):
    obj = {"metadata": {"namespace": namespace, "name": name, "labels": labels}}
    return CachedObject(obj, {"spec.nodeName": node}, revision, revision)


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["x", "x-1", "y", ""]), st.sampled_from([f"p{n}" for n in range(6)]),
        st.dictionaries(st.sampled_from(["app", "tier"]), st.sampled_from(["a", "b", "c"])),
        st.sampled_from(["", "n1", "n2"]), st.booleans(),
    ),
    max_size=40,
)


def expected(model, namespace, labels, fields):
    return [
        position for position, obj in sorted(model.items())
        if (not namespace or obj.namespace == namespace)
        and (labels is None or labels.matches(obj.labels))
        and (fields is None or fields.matches(obj.fields))
    ]


@given(OPERATIONS)
def test_select_equals_a_scan(operations):
    cache, model = KindCache(), {}
    for revision, (namespace, name, labels, node, removed) in enumerate(operations, 1):
        position = f"{namespace}/{name}"
        new = None if removed else cached(namespace, name, labels, node, revision)
        cache.apply(position, new, revision)
        model.pop(position, None)
        if new is not None:
            model[position] = new
    for namespace in ("", "x", "x-1"):
        for label_text in LABEL_SELECTORS:
            for field_text in FIELD_SELECTORS:
                labels = parse_label_selector(label_text) if label_text else None
                fields = parse_field_selector(field_text) if field_text else None
                found, more, rest = cache.select(namespace, labels, fields)
                assert [obj.position for obj in found] == expected(model, namespace, labels, fields)
                assert (more, rest) == (False, 0)


@pytest.mark.parametrize("namespace", ["", "ns1"])
def test_pages_meet(namespace):
    cache = KindCache()
    order = [(f"ns{n % 3}", f"p{n:03}") for n in range(100)]
    random.Random(1).shuffle(order)
    for revision, (where, name) in enumerate(order, 1):
        cache.apply(f"{where}/{name}", cached(where, name, {}, "", revision), revision)
    found, after, remaining = [], "", None
    while remaining != 0:
        page, more, remaining = cache.select(namespace, None, None, 7, after)
        assert more == (remaining > 0)
        found += [obj.position for obj in page]
        after = found[-1]
    assert found == sorted(f"{where}/{name}" for where, name in order if namespace in ("", where))


def test_an_older_change_is_skipped():
    """A listing may be newer than the change entries that follow it."""
    cache = KindCache()
    cache.put("x/p", cached("x", "p", {"app": "a"}, "", 10))
    watch = cache.watch(0)
    cache.apply("x/p", cached("x", "p", {"app": "b"}, "", 9), 9)
    cache.apply("x/p", None, 10)
    assert cache.get("x", "p").labels == {"app": "a"}
    assert watch.pending == 0


def test_memory_per_object_is_bounded():
    """R14: at most 4 kB for an object of 1 kB."""
    import gc
    import tracemalloc

    gc.collect()
    tracemalloc.start()
    cache, count = KindCache(), 5_000
    for number in range(count):
        labels = {"app": f"a{number % 50}", "hash": f"h{number % 150}", "only": f"v{number}"}
        obj = {"metadata": {"namespace": "x", "name": f"p{number:06}", "labels": dict(labels)}, "pad": "x" * 900}
        cache.put(f"x/p{number:06}", CachedObject(obj, {"spec.nodeName": "n"}, number + 1, number + 1))
        del obj
    gc.collect()
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert used / count < 4096
