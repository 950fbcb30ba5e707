"""Which pods are where: counts per row of each class and owner, host ports, and the pods themselves."""

from collections import Counter, OrderedDict
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from windlass.plugin.interfaces.arrays import Counts, Mask
from windlass.plugin.interfaces.scheduler import HostPort, PodInfo, PodRequirements

if TYPE_CHECKING:
    import numpy.typing as npt

ANY_ADDRESS = "0.0.0.0"  # noqa: S104 - compared with, never listened on
DENSE_LIMIT = 256
"""How many counts are kept as whole columns; the rest are rebuilt from the sparse form when asked for."""


class SparseCounts:
    """Counts per (key, row), kept sparse, with whole columns for the keys in use."""

    def __init__(self) -> None:
        self._sparse: dict[Hashable, dict[int, int]] = {}
        self._dense: OrderedDict[Hashable, Counts] = OrderedDict()

    def change(self, key: Hashable, row: int, delta: int) -> None:
        """Add to one count; at zero it is forgotten."""
        rows = self._sparse.setdefault(key, {})
        count = rows.get(row, 0) + delta
        if count:
            rows[row] = count
        else:
            rows.pop(row, None)
            if not rows:
                del self._sparse[key]
        column = self._dense.get(key)
        if column is not None and row < len(column):
            column[row] += delta

    def present(self) -> list[Hashable]:
        """Return the keys with any count."""
        return list(self._sparse)

    def column(self, key: Hashable, size: int) -> Counts:
        """Return the counts of rows 0..size-1. Do not change it."""
        column = self._dense.get(key)
        if column is None or len(column) < size:
            column = np.zeros(size, dtype=np.int64)
            rows = self._sparse.get(key)
            if rows:
                column[np.fromiter(rows, np.intp, len(rows))] = np.fromiter(rows.values(), np.int64, len(rows))
            self._dense[key] = column
            if len(self._dense) > DENSE_LIMIT:
                self._dense.popitem(last=False)
        return column[:size]


class HostPortTable:
    """Who holds which port of which node."""

    def __init__(self) -> None:
        self._holders: dict[tuple[str, int], dict[int, dict[str, int]]] = {}

    def change(self, ports: Sequence[HostPort], row: int, delta: int) -> None:
        """Take (1) or give back (-1) ports on a row."""
        for ip, protocol, port in ports:
            rows = self._holders.setdefault((protocol, port), {})
            addresses = rows.setdefault(row, {})
            addresses[ip] = addresses.get(ip, 0) + delta
            if addresses[ip] == 0:
                del addresses[ip]
            if not addresses:
                del rows[row]
            if not rows:
                del self._holders[protocol, port]

    def conflicts(self, ports: Sequence[HostPort], size: int) -> Mask:
        """Say on which rows one of the ports is taken: same number and protocol, same address or either is any."""
        mask = np.zeros(size, dtype=np.bool_)
        for ip, protocol, port in ports:
            for row, addresses in self._holders.get((protocol, port), {}).items():
                if ip == ANY_ADDRESS or ip in addresses or ANY_ADDRESS in addresses:
                    mask[row] = True
        return mask


class Placements:
    """The pods on each row, and what can be asked about them in columns."""

    def __init__(self) -> None:
        self.ports = HostPortTable()
        self._classes = SparseCounts()
        self._owners = SparseCounts()
        self._anti_affinity: Counter[PodRequirements] = Counter()
        self._rows: dict[int, dict[str, PodInfo]] = {}
        self._row_of: dict[str, int] = {}

    def row_of(self, uid: str) -> int | None:
        """Return the row that a pod is on, or None."""
        return self._row_of.get(uid)

    def get(self, uid: str) -> PodInfo | None:
        """Return a pod that is on some row, or None."""
        row = self._row_of.get(uid)
        return None if row is None else self._rows[row][uid]

    def pods(self, row: int) -> list[PodInfo]:
        """Return the pods on a row."""
        return list(self._rows.get(row, {}).values())

    def add(self, pod: PodInfo, row: int) -> None:
        """Put a pod on a row; it must be on none."""
        self._rows.setdefault(row, {})[pod.uid] = pod
        self._row_of[pod.uid] = row
        self._count(pod.requirements, row, 1)

    def remove(self, uid: str) -> tuple[PodInfo, int]:
        """Take a pod away and return it with its row. Raises KeyError when it is on none."""
        row = self._row_of.pop(uid)
        pod = self._rows[row].pop(uid)
        if not self._rows[row]:
            del self._rows[row]
        self._count(pod.requirements, row, -1)
        return pod, row

    def replace(self, pod: PodInfo) -> None:
        """Swap in a newer version of a pod with the same requirements."""
        self._rows[self._row_of[pod.uid]][pod.uid] = pod

    def _count(self, requirements: PodRequirements, row: int, delta: int) -> None:
        self._classes.change(requirements, row, delta)
        if requirements.owner_uid:
            self._owners.change(requirements.owner_uid, row, delta)
        if requirements.pod_anti_affinity.get("requiredDuringSchedulingIgnoredDuringExecution"):
            self._anti_affinity[requirements] += delta
            if not self._anti_affinity[requirements]:
                del self._anti_affinity[requirements]
        if requirements.host_ports:
            self.ports.change(requirements.host_ports, row, delta)

    def classes(self) -> list[PodRequirements]:
        """Return the classes of all pods that are placed."""
        return [key for key in self._classes.present() if isinstance(key, PodRequirements)]

    def anti_affinity_classes(self) -> list[PodRequirements]:
        """Return those of them with required anti-affinity."""
        return list(self._anti_affinity)

    def class_column(self, requirements: PodRequirements, size: int) -> Counts:
        """Return how many pods of a class each row has."""
        return self._classes.column(requirements, size)

    def owner_column(self, owner_uid: str, size: int) -> Counts:
        """Return how many pods of a controller each row has."""
        return self._owners.column(owner_uid, size)


def grown(array: "npt.NDArray[np.generic]", capacity: int) -> "npt.NDArray[np.generic]":
    """Copy an array, its last axis filled up with zeros to the capacity."""
    bigger = np.zeros((*array.shape[:-1], capacity), dtype=array.dtype)
    bigger[..., : array.shape[-1]] = array
    return bigger
