"""What server-side apply has to know of a type: which parts of a value have an owner each, and which only one together.

`kinds` compiles schemas to shapes. `None` stands for a value that has one owner as a whole: scalars, atomic lists and maps.
Each other shape has four operations, and they are all that tracking and applying need:

- `extract`: the fields that a value has. `added` also counts a map or list itself as a field, as an update that makes it
  does; who applies one owns its keys or items only.
- `compare`: which fields differ between two values: changed or new ones, and removed ones.
- `merge`: a value with what was applied laid over it (structured merge).
- `prune`: a value without some of its fields.

A value that does not fit its shape counts as a whole. https://kubernetes.io/docs/reference/using-api/server-side-apply
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

from windlass.apimachinery.apply.fieldset import LEAF, SELF, FieldSet, is_member
from windlass.apimachinery.apply.steps import FIELD, key_step, step_text, value_step


class Shape(Protocol):
    """A type whose values have more than one owner."""

    def extract(self, value: Any, *, added: bool) -> FieldSet | None:
        """Return the node of a value, None when it has no field at all."""
        ...

    def compare(self, old: Any, new: Any) -> "Comparison":
        """Return the fields that differ, for values that are both there and not equal."""
        ...

    def merge(self, live: Any, applied: Any) -> Any:
        """Return the live value with the applied one laid over it; parts of both are shared, neither is changed."""
        ...

    def prune(self, value: Any, fields: FieldSet) -> Any:
        """Return the value without the members of the set and all that is below them."""
        ...


Typed = Shape | None
"""The shape of a value, None for one that has one owner as a whole."""


class Comparison(NamedTuple):
    """Fields that differ between an old and a new value; None: no such field. What is removed goes with all below it."""

    changed: FieldSet | None
    removed: FieldSet | None


_KNOWN_STEPS = 4096
_ABSENT: Any = object()
WHOLE = Comparison(LEAF, None)
SAME = Comparison(None, None)


def extract(shape: Typed, value: Any, *, added: bool) -> FieldSet | None:
    """Return the node of a value."""
    return LEAF if shape is None else shape.extract(value, added=added)


def compare(shape: Typed, old: Any, new: Any) -> Comparison:
    """Return what differs between two values."""
    if old is new or old == new:
        return SAME
    return WHOLE if shape is None else shape.compare(old, new)


def merge(shape: Typed, live: Any, applied: Any) -> Any:
    """Return the live value with the applied one laid over it."""
    return applied if shape is None else shape.merge(live, applied)


class FieldsShape:
    """An object whose fields have owners of their own. Fields that it does not know are nobody's, and stay."""

    def __init__(self, fields: Mapping[str, Typed]) -> None:
        self._steps: dict[str, tuple[str, Typed]] = {name: (FIELD + name, shape) for name, shape in fields.items()}

    def typed(self, name: str) -> tuple[str, Typed] | None:
        """Return the step to a field and its shape, None for one that is nobody's."""
        return self._steps.get(name)

    def extract(self, value: Any, *, added: bool) -> FieldSet | None:
        """Return the node of a value."""
        if type(value) is not dict or not value:
            return LEAF
        node: FieldSet = {}
        for key, item in value.items():
            step = self.typed(key)
            if step is None:
                continue
            if step[1] is None:
                node[step[0]] = LEAF
            else:
                _note(node, step[0], step[1].extract(item, added=added))
        return node or None

    def compare(self, old: Any, new: Any) -> Comparison:
        """Return the fields that differ."""
        if type(old) is not dict or type(new) is not dict:
            return WHOLE
        changed: FieldSet = {}
        removed: FieldSet = {}
        common = 0
        for key, item in new.items():
            before = old.get(key, _ABSENT)
            if before is not _ABSENT:
                common += 1
                if before == item:
                    continue
            step = self.typed(key)
            if step is None:
                continue
            if before is _ABSENT:
                _note(changed, step[0], extract(step[1], item, added=True))
            elif step[1] is None:
                changed[step[0]] = LEAF
            else:
                differs = step[1].compare(before, item)
                _note(changed, step[0], differs.changed)
                _note(removed, step[0], differs.removed)
        if common < len(old):
            self._note_removed(removed, old.keys() - new.keys())
        return Comparison(changed or None, removed or None)

    def _note_removed(self, removed: FieldSet, keys: Iterable[str]) -> None:
        for key in keys:
            step = self.typed(key)
            if step is not None:
                removed[step[0]] = LEAF

    def merge(self, live: Any, applied: Any) -> Any:
        """Return the live value with the applied one laid over it."""
        if type(live) is not dict or type(applied) is not dict:
            return applied
        merged = dict(live)
        for key, item in applied.items():
            step = self.typed(key)
            if step is not None:
                merged[key] = merge(step[1], live[key], item) if key in live else item
        return merged

    def prune(self, value: Any, fields: FieldSet) -> Any:
        """Return the value without the members of the set."""
        if type(value) is not dict:
            return value
        kept = dict(value)
        for key in value:
            step = self.typed(key)
            node = fields.get(step[0]) if step is not None else None
            if step is None or node is None:
                continue
            if is_member(node):
                del kept[key]
            elif step[1] is not None:
                kept[key] = step[1].prune(value[key], node)
        return kept


class KeysShape(FieldsShape):
    """A map whose keys have owners of their own."""

    def __init__(self, value: Typed) -> None:
        super().__init__({})
        self._value = value

    def typed(self, name: str) -> tuple[str, Typed]:
        """Return the step to a key and the shape of its value."""
        return (FIELD + name, self._value)

    def extract(self, value: Any, *, added: bool) -> FieldSet | None:
        """Return the node of a value. An update that makes a map owns the map, too."""
        if type(value) is not dict or not value:
            return LEAF
        plain = self._value is None
        node = {FIELD + key: LEAF for key in value} if plain else super().extract(value, added=added) or {}
        return {SELF: LEAF, **node} if added else node


class UntypedShape(KeysShape):
    """A value that no schema describes: objects by their keys, everything else as a whole."""

    def __init__(self) -> None:
        super().__init__(self)

    def extract(self, value: Any, *, added: bool) -> FieldSet | None:
        """Return the node of a value."""
        return super().extract(value, added=added) if type(value) is dict else LEAF


class SetShape:
    """A list of scalars, each with owners of its own."""

    def step_to(self, item: Any) -> str:
        """Return the step to an item."""
        return value_step(item)

    def extract(self, value: Any, *, added: bool) -> FieldSet | None:
        """Return the node of a value; an empty list is a field only where an update made it."""
        if type(value) is not list:
            return LEAF
        if not value:
            return LEAF if added else None
        node: FieldSet = {SELF: LEAF} if added else {}
        for item in value:
            node[value_step(item)] = LEAF
        return node

    def compare(self, old: Any, new: Any) -> Comparison:
        """Return the items that are new or gone; another order alone is no difference."""
        if type(old) is not list or type(new) is not list:
            return WHOLE
        before = {value_step(item): LEAF for item in old}
        after = {value_step(item): LEAF for item in new}
        changed = {step: LEAF for step in after if step not in before}
        removed = {step: LEAF for step in before if step not in after}
        return Comparison(changed or None, removed or None)

    def merge(self, live: Any, applied: Any) -> Any:
        """Return the items of both."""
        if type(live) is not list or type(applied) is not list:
            return applied
        ours = {value_step(item): item for item in live}
        theirs = {value_step(item): item for item in applied}
        return [{**ours, **theirs}[step] for step in _order(list(ours), list(theirs))]

    def prune(self, value: Any, fields: FieldSet) -> Any:
        """Return the list without the members of the set."""
        return [item for item in value if value_step(item) not in fields] if type(value) is list else value


class ItemsShape:
    """A list that is a map: items are told apart by some of their fields."""

    def __init__(self, keys: Mapping[str, Any], item: Typed) -> None:
        """Take the names of the keys with their defaults (None: no default)."""
        self.names = tuple(sorted(keys))
        self._defaults = tuple(keys[name] for name in self.names)
        self.item = item
        self._known: dict[tuple[Any, ...], str] = {}

    def keys_of(self, item: Any) -> tuple[Any, ...]:
        """Return the values of an item's keys; null for one that is absent and has no default."""
        if type(item) is not dict:
            return (item,)
        if len(self.names) == 1:
            return (item.get(self.names[0], self._defaults[0]),)
        return tuple([item.get(name, default) for name, default in zip(self.names, self._defaults, strict=True)])

    def step_to(self, item: Any) -> str:
        """Return the step to an item."""
        if type(item) is not dict:
            return value_step(item)
        keys = self.keys_of(item)
        if not all(type(key) is str or type(key) is int for key in keys):
            return key_step(self.names, keys)  # true equals 1 as a dict's key, and what is no scalar is none
        known = self._known.get(keys)
        if known is None:
            if len(self._known) >= _KNOWN_STEPS:
                self._known.clear()
            known = self._known[keys] = key_step(self.names, keys)
        return known

    def extract(self, value: Any, *, added: bool) -> FieldSet | None:
        """Return the node of a value: each item counts as a field beside its own fields."""
        if type(value) is not list:
            return LEAF
        if not value:
            return LEAF if added else None
        node = {self.step_to(item): self._item_node(item, added=added) for item in value}
        return {SELF: LEAF, **node} if added else node

    def compare(self, old: Any, new: Any) -> Comparison:
        """Return the items that are new, gone or changed; another order alone is no difference."""
        if type(old) is not list or type(new) is not list:
            return WHOLE
        if len(old) == len(new):
            # Nearly every update: the same items in the same order, and most of them equal.
            pairs = [(before, after) for before, after in zip(old, new, strict=True) if before != after]
            if all(self.keys_of(before) == self.keys_of(after) for before, after in pairs):
                return self._compare_pairs(pairs)
        changed: FieldSet = {}
        removed: FieldSet = {}
        before, after = self._by_step(old), self._by_step(new)
        for step, items in after.items():
            known = before.get(step)
            if known is None:
                changed[step] = self._item_node(items[-1], added=True)
            elif known != items:
                differs = compare(self.item, known[-1], items[-1]) if len(known) == len(items) == 1 else WHOLE
                _note(changed, step, differs.changed)
                _note(removed, step, differs.removed)
        removed.update((step, LEAF) for step in before if step not in after)
        return Comparison(changed or None, removed or None)

    def merge(self, live: Any, applied: Any) -> Any:
        """Return the items of both, those of one key merged. Applied items keep their order."""
        if type(live) is not list or type(applied) is not list:
            return applied
        ours = self._by_step(live)
        theirs = {self.step_to(item): item for item in applied}
        merged = []
        for step in _order(list(ours), list(theirs)):
            if step not in theirs:
                merged += ours[step]
            elif len(ours.get(step, ())) == 1:
                merged.append(merge(self.item, ours[step][0], theirs[step]))
            else:
                merged.append(theirs[step])
        return merged

    def prune(self, value: Any, fields: FieldSet) -> Any:
        """Return the list without the members of the set."""
        if type(value) is not list:
            return value
        kept = []
        for item in value:
            node = fields.get(self.step_to(item))
            if node is None:
                kept.append(item)
            elif not is_member(node):
                kept.append(item if self.item is None else self.item.prune(item, node))
        return kept

    def _compare_pairs(self, pairs: list[tuple[Any, Any]]) -> Comparison:
        changed: FieldSet = {}
        removed: FieldSet = {}
        for old, new in pairs:
            differs = compare(self.item, old, new)
            step = self.step_to(new)
            _note(changed, step, differs.changed)
            _note(removed, step, differs.removed)
        return Comparison(changed or None, removed or None)

    def _item_node(self, item: Any, *, added: bool) -> FieldSet:
        node = extract(self.item, item, added=added)
        return {SELF: LEAF, **node} if node else LEAF

    def _by_step(self, items: list[Any]) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {}
        for item in items:
            found.setdefault(self.step_to(item), []).append(item)
        return found


def _note(node: FieldSet, step: str, below: FieldSet | None) -> None:
    if below is not None:
        node[step] = below


def _order(ours: list[str], theirs: list[str]) -> list[str]:
    """Merge two orders: items of the second keep theirs; one only in the first stays before what it stood before."""
    first, second = set(ours), set(theirs)
    shared = [step for step in theirs if step in first]
    merged: list[str] = []
    left = right = common = 0
    while left < len(ours) or right < len(theirs):
        if left < len(ours):
            step = ours[left]
            if step not in second:
                merged.append(step)
                left += 1
                continue
            if right >= len(theirs) or common >= len(shared) or step != shared[common]:
                left += 1  # its place is where the second order has it
                continue
        step = theirs[right]
        merged.append(step)
        right += 1
        if step in first:
            common += 1
            left += left < len(ours) and ours[left] == step
    return merged


def duplicates(shape: Typed, value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the lists that have two items of one key, and the key."""
    if isinstance(shape, FieldsShape) and type(value) is dict:
        for key, item in value.items():
            step = shape.typed(key)
            if step is not None and step[1] is not None:
                yield from duplicates(step[1], item, path + step_text(step[0]))
    elif isinstance(shape, ItemsShape | SetShape) and type(value) is list:
        seen: set[str] = set()
        for item in value:
            step_to = shape.step_to(item)
            if step_to in seen:
                yield path, step_text(step_to)
            seen.add(step_to)
            if isinstance(shape, ItemsShape):
                yield from duplicates(shape.item, item, path + step_text(step_to))
