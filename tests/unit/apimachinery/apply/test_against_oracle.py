"""Random histories of applies and updates, beside a slow and plain model of what server-side apply means.

The model knows an object as a flat table: a path for each place, with its value; an owner is a set of such paths. It
shares no code with what it checks.
"""

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windlass.apimachinery.apply.applying import ConflictsError, apply
from windlass.apimachinery.apply.fieldset import SELF
from windlass.apimachinery.apply.kinds import object_shape
from windlass.apimachinery.apply.managers import Writer, after_update
from windlass.apimachinery.apply.shapes import compare, duplicates
from windlass.apimachinery.schema import Int, ListOf, MapOf, Nested, ObjectSchema, Str
from windlass.apis.meta.v1 import ApiObject


class Config(ObjectSchema):
    """A plain object."""

    x = Str("X.")
    y = Int("Y.")


class Item(ObjectSchema):
    """An item of a list that is a map by two keys, one with a default."""

    name = Str("Name.")
    kind = Str("Kind.", default="K")
    value = Str("Value.")
    tags = ListOf("A set.", Str("Tag."), list_type="set")
    config = Nested("Object.", Config)


class Thing(ApiObject):
    """Everything that has owners of its own, and what has not."""

    items = ListOf("Items.", Item, list_type="map", list_map_keys=("name", "kind"))
    data = MapOf("Map.", Str("Text."))
    args = ListOf("Atomic list.", Str("Text."))
    whole = MapOf("Atomic map.", Str("Text."), map_type="atomic")
    config = Nested("Object.", Config)


SHAPE = object_shape(Thing, "", has_status=False)
NAMES, TEXTS = st.sampled_from("abc"), st.sampled_from(["1", "2"])
CONFIGS = st.fixed_dictionaries({}, optional={"x": TEXTS, "y": st.integers(0, 1)}).filter(bool)
MAPS = st.dictionaries(NAMES, TEXTS, min_size=1)
ITEMS = st.lists(
    st.fixed_dictionaries(
        {"name": NAMES},
        optional={
            "kind": st.sampled_from("KL"), "value": TEXTS, "config": CONFIGS,
            "tags": st.lists(NAMES, min_size=1, unique=True),
        },
    ),
    min_size=1, unique_by=lambda item: (item["name"], item.get("kind", "K")),
)  # fmt: skip
THINGS = st.fixed_dictionaries(
    {}, optional={"items": ITEMS, "data": MAPS, "args": st.lists(TEXTS, min_size=1), "whole": MAPS, "config": CONFIGS,
                  "metadata": st.fixed_dictionaries({"labels": MAPS})},
)  # fmt: skip
STEPS = st.lists(st.tuples(st.sampled_from(["apply", "force", "update"]), NAMES, THINGS), min_size=1, max_size=7)


def table(obj, marks):
    """Return the places of an object that somebody may own. `marks`: maps and lists themselves, too."""
    rows = {}

    def visit(value, field, path):
        if field in ("data", "labels"):
            rows.update({path: "map"} if marks else {})
            rows.update({(*path, f"f:{key}"): text for key, text in value.items()})
        elif field == "tags":
            rows.update({path: "set"} if marks else {})
            rows.update({(*path, f'v:"{tag}"'): "tag" for tag in value})
        elif field == "items":
            rows.update({path: "list"} if marks else {})
            for item in value:
                here = (*path, f'k:{{"kind":"{item.get("kind", "K")}","name":"{item["name"]}"}}')
                rows[here] = "item"
                for key in item:
                    visit(item[key], key, (*here, f"f:{key}"))
        elif field in ("config", "metadata", ""):
            for key in value:
                visit(value[key], key, (*path, f"f:{key}"))
        else:
            rows[path] = copy.deepcopy(value)

    visit(obj, "", ())
    return rows


def places(rows):
    return {path[:length] for path in rows for length in range(1, len(path) + 1)}


def differing(old, new):
    return {path for path, value in new.items() if path not in old or old[path] != value}


class Model:
    """Who owns what, slowly."""

    def __init__(self):
        self.rows, self.owners = {}, {}

    def update(self, who, new):
        changed, there = differing(self.rows, new), places(new)
        if changed or places(self.rows) - there:
            left = {name: {path for path in paths if path in there} for name, paths in self.owners.items()}
            self.owners = {name: paths - changed for name, paths in left.items()}
            self.owners[who] = left.get(who, set()) | changed
        self.rows = new

    def apply(self, who, config, force):
        """Return the conflicts; nothing happens when there are some."""
        named = set(table(config, marks=False))
        merged = {**self.rows, **table(config, marks=True)}
        others = {name: paths for name, paths in self.owners.items() if name != who}
        kept = named.union(*others.values())
        gone = with_parents(self.owners.get(who, set())) - with_parents(kept) - {("f:metadata",)}
        result = {path: value for path, value in merged.items()
                  if not any(path[:length] in gone for length in range(1, len(path) + 1))}  # fmt: skip
        changed, there = differing(self.rows, result), places(result)
        conflicts = {path for paths in others.values() for path in paths & changed}
        if conflicts and not force:
            return conflicts
        self.owners = {name: {path for path in paths if path in there} - changed for name, paths in others.items()}
        self.owners[who], self.rows = named, result
        return set()


def with_parents(paths):
    return set(paths) | {path[:n] for path in paths for n in range(1, len(path)) if path[n - 1].startswith("f:")}


def flat(fields, prefix=()):
    found = set()
    for step, node in fields.items():
        if step == SELF:
            continue
        path = (*prefix, step)
        if not node or SELF in node:
            found.add(path)
        found |= flat(node, path)
    return found


def owners_of(entries):
    return {(entry["manager"], entry["operation"]): flat(entry["fieldsV1"]) for entry in entries}


def text(path):
    """Spell a path as kubectl does."""
    words = {"f:": ".{}", "v:": "[={}]"}
    return "".join(
        words[step[:2]].format(step[2:]) if step[:2] in words
        else '[kind="{}",name="{}"]'.format(*step.split('"')[3::4]) for step in path
    )  # fmt: skip


@settings(max_examples=400)
@given(STEPS)
def test_histories(steps):
    live, entries, model = {}, [], Model()
    for number, (verb, name, thing) in enumerate(steps):
        now = f"2026-01-01T00:00:{number:02}Z"
        before = copy.deepcopy((live, entries, thing))
        if verb == "update":
            entries = after_update(entries, Writer(name, "Update", "v1"), compare(SHAPE, live, thing), now)
            live = thing
            model.update((name, "Update"), table(thing, marks=True))
        else:
            writer, force = Writer(name, "Apply", "v1"), verb == "force"
            conflicts = model.apply((name, "Apply"), thing, force)
            if not entries and live:
                return  # what was there before the first apply is another test's
            try:
                done = apply(SHAPE, live, thing, entries=entries, writer=writer, now=now, force=force)
            except ConflictsError as error:
                found = {each.path for each in error.conflicts}
            else:
                found = set()
            assert (live, entries, thing) == before
            assert found == {text(path) for path in conflicts}
            if found:
                continue
            live, entries = done
            if not entries:
                return  # nobody owns anything: the next apply is a first one
            again = apply(SHAPE, live, thing, entries=entries, writer=writer, now="later", force=False)
            assert again == (live, entries)
        assert table(live, marks=True) == model.rows
        assert owners_of(entries) == {who: paths for who, paths in model.owners.items() if paths}
        assert not list(duplicates(SHAPE, live))


@settings(max_examples=200)
@given(THINGS, THINGS)
def test_what_is_applied_keeps_its_order(live, config):
    merged = SHAPE.merge(live, config)
    if "items" in config:
        given_order = [SHAPE_OF_ITEMS.step_to(item) for item in config["items"]]
        found = [SHAPE_OF_ITEMS.step_to(item) for item in merged["items"]]
        assert [step for step in found if step in given_order] == given_order
        rest = [step for step in map(SHAPE_OF_ITEMS.step_to, live.get("items", ())) if step not in given_order]
        assert [step for step in found if step in rest] == rest


SHAPE_OF_ITEMS = SHAPE.typed("items")[1]


@pytest.mark.parametrize(
    ("ours", "theirs", "merged"),
    [("abc", "b", "abc"), ("abc", "cb", "acb"), ("abc", "xb", "axbc"), ("ab", "ba", "ba"), ("", "ab", "ab"), ("axb", "ba", "xba")],
)
def test_two_orders(ours, theirs, merged):
    def of(names):
        return {"items": [{"name": name} for name in names]}

    found = SHAPE.merge(of(ours), of(theirs))["items"]
    assert "".join(item["name"] for item in found) == merged
