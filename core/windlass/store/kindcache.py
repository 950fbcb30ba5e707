"""The cached objects of one stored kind: indexes for selectors, recent history, and who watches."""

import bisect
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet

from windlass.apimachinery.selectors import FieldSelector, LabelSelector
from windlass.errors import CompactedError
from windlass.store.cached import CacheChange, CachedObject
from windlass.store.watcher import Watcher

HISTORY_CHANGES = 8192
HISTORY_BYTES = 32 << 20
_SPARSE = 4
"""Sort a candidate set rather than walk the whole order when it is this many times smaller."""


class _Index:
    """Which objects have a (key, value) pair. A value that only one object has costs no set: most are such."""

    def __init__(self) -> None:
        self._positions: dict[str, dict[str, str | set[str]]] = {}

    def add(self, pairs: Iterable[tuple[str, str]], position: str) -> None:
        for key, value in pairs:
            values = self._positions.setdefault(key, {})
            known = values.get(value)
            if known is None:
                values[value] = position
            elif isinstance(known, set):
                known.add(position)
            elif known != position:
                values[value] = {known, position}

    def remove(self, pairs: Iterable[tuple[str, str]], position: str) -> None:
        for key, value in pairs:
            values = self._positions.get(key, {})
            known = values.get(value)
            if isinstance(known, set):
                known.discard(position)
            if not known or known == position:
                values.pop(value, None)

    def find(self, key: str, values: Iterable[str]) -> AbstractSet[str]:
        index = self._positions.get(key, {})
        found: list[AbstractSet[str]] = []
        for value in values:
            known = index.get(value)
            if known is not None:
                found.append(known if isinstance(known, set) else {known})
        return found[0] if len(found) == 1 else set().union(*found)


class KindCache:
    """Objects by namespace and name. All methods are synchronous: nothing changes between two of them."""

    def __init__(self) -> None:
        self._objects: dict[str, CachedObject] = {}
        self._order: list[str] = []
        self._namespaces: Counter[str] = Counter()
        self._labels = _Index()
        self._fields = _Index()
        self._history: deque[CacheChange] = deque()
        self._history_bytes = 0
        self._history_start = 0
        self._watchers: set[Watcher] = set()
        self._indexed_watchers: dict[tuple[str, str], set[Watcher]] = {}

    def __len__(self) -> int:
        return len(self._objects)

    def get(self, namespace: str, name: str) -> CachedObject | None:
        """Return one object."""
        return self._objects.get(f"{namespace}/{name}")

    def select(
        self,
        namespace: str = "",
        labels: LabelSelector | None = None,
        fields: FieldSelector | None = None,
        limit: int = 0,
        after: str = "",
    ) -> tuple[list[CachedObject], bool, int]:
        """Return (objects in order, whether more follow, how many follow). '' is every namespace."""
        if labels is not None and labels.nothing:
            return [], False, 0
        candidates = map(self._objects.__getitem__, self._candidates(namespace, labels, fields, after))
        if (labels is None or labels.empty) and (fields is None or not fields.requirements):
            chosen = list(candidates)
        else:
            chosen = [
                cached
                for cached in candidates
                if (not namespace or cached.namespace == namespace)
                and (labels is None or labels.matches(cached.labels))
                and (fields is None or fields.matches(cached.fields))
            ]
        if limit and len(chosen) > limit:
            return chosen[:limit], True, len(chosen) - limit
        return chosen, False, 0

    def _candidates(
        self, namespace: str, labels: LabelSelector | None, fields: FieldSelector | None, after: str
    ) -> Sequence[str]:
        narrowest = self._narrowest(labels, fields)
        first, last = self._range(namespace, after)
        if narrowest is not None and len(narrowest) * _SPARSE < last - first:
            return sorted(position for position in narrowest if position > after)
        return self._order[first:last]

    def _range(self, namespace: str, after: str) -> tuple[int, int]:
        first, last = 0, len(self._order)
        if namespace:
            first = bisect.bisect_left(self._order, f"{namespace}/")
            last = bisect.bisect_left(self._order, f"{namespace}0", first)
        if after:
            first = max(first, bisect.bisect_right(self._order, after))
        return first, max(first, last)

    def _narrowest(self, labels: LabelSelector | None, fields: FieldSelector | None) -> AbstractSet[str] | None:
        found: list[AbstractSet[str]] = []
        if labels is not None:
            found += [self._labels.find(r.key, r.values) for r in labels.requirements if r.operator == "in"]
        if fields is not None:
            found += [
                self._named(value) if name == "metadata.name" else self._fields.find(name, (value,))
                for name, operator, value in fields.requirements
                if operator == "=" and name != "metadata.namespace" and value
            ]
        return min(found, key=len) if found else None

    def _named(self, name: str) -> AbstractSet[str]:
        return {position for namespace in self._namespaces if (position := f"{namespace}/{name}") in self._objects}

    def watch(
        self, since: int, namespace: str = "", labels: LabelSelector | None = None, fields: FieldSelector | None = None
    ) -> Watcher:
        """Start a watcher with every change after `since`. Raises CompactedError when history begins later."""
        if since < self._history_start:
            raise CompactedError(f"history begins after revision {self._history_start}")
        watcher = Watcher(namespace, labels, fields, self._forget)
        start = bisect.bisect_right(self._history, since, key=lambda change: change.revision)
        for index in range(start, len(self._history)):
            watcher.offer(self._history[index])
        key = watcher.index_key
        (self._watchers if key is None else self._indexed_watchers.setdefault(key, set())).add(watcher)
        return watcher

    def apply(self, position: str, new: CachedObject | None, revision: int) -> None:
        """Put (or, with None, remove) an object and tell the watchers. An older change than what is here is skipped."""
        old = self._objects.get(position)
        if (old is None and new is None) or (old is not None and old.revision >= revision):
            return
        if new is None:
            self._remove(position)
        else:
            self.put(position, new)
        change = CacheChange(old, new, revision)
        self._remember(change)
        for watcher in self._concerned(change):
            watcher.offer(change)

    def put(self, position: str, new: CachedObject) -> None:
        """Put an object without telling anybody, as a listing does."""
        old = self._objects.get(position)
        if old is None:
            if not self._order or position > self._order[-1]:
                self._order.append(position)
            else:
                bisect.insort(self._order, position)
            self._namespaces[new.namespace] += 1
        else:
            position = old.position
            self._labels.remove(old.labels.items(), position)
            self._fields.remove(old.selectable.items(), position)
        new.position = position
        self._objects[position] = new
        self._labels.add(new.labels.items(), position)
        self._fields.add(new.selectable.items(), position)

    def reset(self, history_start: int) -> None:
        """Forget everything before a new listing; watchers end with CompactedError."""
        for watcher in [*self._watchers, *(w for group in self._indexed_watchers.values() for w in group)]:
            watcher.fail(CompactedError("the server had to list its store anew"))
        self.__init__()  # type: ignore[misc]
        self._history_start = history_start

    def begin_history(self, revision: int) -> None:
        """State that history is complete from here on."""
        self._history_start = max(self._history_start, revision)

    def _remove(self, position: str) -> None:
        old = self._objects.pop(position)
        del self._order[bisect.bisect_left(self._order, position)]
        self._labels.remove(old.labels.items(), position)
        self._fields.remove(old.selectable.items(), position)
        self._namespaces[old.namespace] -= 1
        if not self._namespaces[old.namespace]:
            del self._namespaces[old.namespace]

    def _concerned(self, change: CacheChange) -> list[Watcher]:
        concerned = list(self._watchers)
        if self._indexed_watchers:
            pairs = {
                pair for cached in (change.old, change.new) if cached is not None for pair in cached.fields.items()
            }
            for pair in pairs & self._indexed_watchers.keys():
                concerned += self._indexed_watchers[pair]
        return concerned

    def _remember(self, change: CacheChange) -> None:
        self._history.append(change)
        self._history_bytes += change.size
        while len(self._history) > HISTORY_CHANGES or (self._history_bytes > HISTORY_BYTES and len(self._history) > 1):
            dropped = self._history.popleft()
            self._history_bytes -= dropped.size
            self._history_start = dropped.revision

    def _forget(self, watcher: Watcher) -> None:
        self._watchers.discard(watcher)
        key = watcher.index_key
        if key is not None and key in self._indexed_watchers:
            self._indexed_watchers[key].discard(watcher)
            if not self._indexed_watchers[key]:
                del self._indexed_watchers[key]
