"""The algebra of field sets, beside Python's own sets of paths."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.apimachinery.apply.fieldset import (
    LEAF,
    SELF,
    difference,
    intersection,
    is_field_set,
    paths,
    recursive_difference,
    union,
)

PATHS = st.sets(st.lists(st.sampled_from(["f:a", "f:b", 'k:{"n":"x"}', 'v:"1"']), min_size=1, max_size=4).map(tuple), max_size=8)


def build(flat):
    root = {}
    for path in sorted(flat):
        node = root
        for step in path[:-1]:
            node = node.setdefault(step, {})
        node.setdefault(path[-1], {})[SELF] = {}
    return squeeze(root)


def squeeze(node):
    return {} if set(node) == {SELF} else {step: LEAF if step == SELF else squeeze(below) for step, below in node.items()}


def flatten(fields, prefix=()):
    found = set()
    for step, node in fields.items():
        if step != SELF:
            found |= {(*prefix, step)} if not node or SELF in node else set()
            found |= flatten(node, (*prefix, step))
    return found


@given(PATHS, PATHS)
def test_the_algebra(one, other):
    a, b = build(one), build(other)
    assert flatten(union(a, b)) == one | other
    assert flatten(difference(a, b)) == one - other
    assert flatten(intersection(a, b)) == one & other
    below = {path for path in one if any(path[:length] in other for length in range(1, len(path) + 1))}
    assert flatten(recursive_difference(a, b)) == one - below
    assert (flatten(a), flatten(b)) == (one, other)
    assert all(is_field_set(found) for found in (a, union(a, b), difference(a, b), intersection(a, b)))
    assert union(a, a) is a


def test_paths_as_kubectl_prints_them():
    containers = {'k:{"name":"web"}': {SELF: {}, "f:ports": {'k:{"containerPort":80,"protocol":"TCP"}': {}}}}
    fields = {"f:spec": {"f:containers": containers}, "f:metadata": {"f:finalizers": {'v:"x"': {}}}}
    assert list(paths(fields)) == [
        '.metadata.finalizers[="x"]', '.spec.containers[name="web"]',
        '.spec.containers[name="web"].ports[containerPort=80,protocol="TCP"]',
    ]  # fmt: skip


@pytest.mark.parametrize("value", [None, [], {"a": {}}, {"f:a": 1}, {"f:a": {SELF: {"f:b": {}}}}])
def test_what_is_no_field_set(value):
    assert not is_field_set(value)
