"""The objects that an informer knows, by name, by namespace and by what indexes say."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

Obj = dict[str, Any]
Objects = list[Obj]
Key = tuple[str, str]
IndexFunction = Callable[[Mapping[str, Any]], Iterable[str]]


def key_of(obj: Mapping[str, Any]) -> Key:
    """Return namespace and name."""
    metadata = obj["metadata"]
    return str(metadata.get("namespace") or ""), str(metadata["name"])


class Indexer:
    """A table of objects; looking up by any index costs what it returns. Objects are shared: never mutate them."""

    def __init__(self) -> None:
        self._objects: dict[Key, Obj] = {}
        self._by_namespace: dict[str, dict[Key, Obj]] = {}
        self._functions: dict[str, IndexFunction] = {}
        self._indexes: dict[str, dict[str, dict[Key, Obj]]] = {}

    def __len__(self) -> int:
        return len(self._objects)

    def keys(self) -> set[Key]:
        """Return all keys."""
        return set(self._objects)

    def get(self, key: Key) -> Obj | None:
        """Return one object, or None."""
        return self._objects.get(key)

    def list(self, namespace: str = "") -> Objects:
        """Return the objects of a namespace; of all, with ''."""
        found = self._by_namespace.get(namespace, {}) if namespace else self._objects
        return list(found.values())

    def add_index(self, name: str, function: IndexFunction) -> None:
        """Keep an index; adding the same name again changes nothing."""
        if name in self._functions:
            return
        self._functions[name] = function
        self._indexes[name] = {}
        for key, obj in self._objects.items():
            self._enter(name, key, obj)

    def by_index(self, name: str, value: str) -> Objects:
        """Return the objects for which the index function gave the value."""
        return list(self._indexes[name].get(value, {}).values())

    def put(self, obj: Obj) -> Obj | None:
        """Set an object; return the one it replaces."""
        key = key_of(obj)
        old = self.remove(key)
        self._objects[key] = obj
        self._by_namespace.setdefault(key[0], {})[key] = obj
        for name in self._functions:
            self._enter(name, key, obj)
        return old

    def remove(self, key: Key) -> Obj | None:
        """Drop an object; return it, or None."""
        old = self._objects.pop(key, None)
        if old is None:
            return None
        _leave(self._by_namespace, key[0], key)
        for name, function in self._functions.items():
            for value in function(old):
                _leave(self._indexes[name], value, key)
        return old

    def _enter(self, name: str, key: Key, obj: Obj) -> None:
        for value in self._functions[name](obj):
            self._indexes[name].setdefault(value, {})[key] = obj


def _leave(index: dict[str, dict[Key, Obj]], value: str, key: Key) -> None:
    entries = index.get(value)
    if entries is not None:
        entries.pop(key, None)
        if not entries:
            del index[value]
