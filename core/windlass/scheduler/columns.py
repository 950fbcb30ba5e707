"""The node table: one column per fact about nodes, kept up to date by the informers, never rescanned.

A node keeps its row for as long as it, or a pod that names it, exists; freed rows are used again. Each change gives
its row a new version, so that what was computed from the table can be brought up to date row by row.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from windlass.apis.core.v1.pod_resources import CPU, resource_amount
from windlass.plugin.interfaces.arrays import Counts, Mask
from windlass.plugin.interfaces.scheduler import NodeInfo, PodInfo, PodRequirements, Taint
from windlass.scheduler.labels import LabelColumns
from windlass.scheduler.placements import Placements, grown
from windlass.scheduler.podinfo import MEMORY

PODS_RESOURCE = "pods"
_NONZERO_ROW = {CPU: 0, MEMORY: 1}


def _read_taints(spec: Mapping[str, Any]) -> tuple[Taint, ...]:
    return tuple(Taint(raw["key"], raw.get("value") or "", raw["effect"]) for raw in spec.get("taints") or ())


def _read_allocatable(status: Mapping[str, Any]) -> dict[str, int]:
    amounts = status.get("allocatable") or status.get("capacity") or {}
    return {name: resource_amount(name, text) for name, text in amounts.items()}


class NodeTable:
    """All nodes in columns, with the pods that are on them or assumed to be.

    `size` rows are in use; `valid` says which hold a node. `version` grows with each change and `row_versions` holds
    each row's last one. Arrays are longer than `size`.
    """

    def __init__(self) -> None:
        capacity = 64
        self.size = 0
        self.version = 0
        self.node_count = 0
        self.resources: dict[str, int] = {}
        self.allocatable: Counts = np.zeros((4, capacity), dtype=np.int64)
        self.requested: Counts = np.zeros((4, capacity), dtype=np.int64)
        self.nonzero: Counts = np.zeros((2, capacity), dtype=np.int64)
        self.pod_counts: Counts = np.zeros(capacity, dtype=np.int64)
        self.allowed_pods: Counts = np.zeros(capacity, dtype=np.int64)
        self.valid: Mask = np.zeros(capacity, dtype=np.bool_)
        self.unschedulable: Mask = np.zeros(capacity, dtype=np.bool_)
        self.taint_codes: Counts = np.zeros(capacity, dtype=np.int64)
        self.row_versions: Counts = np.zeros(capacity, dtype=np.int64)
        self.taint_sets: list[tuple[Taint, ...]] = [()]
        self.labels = LabelColumns()
        self.placements = Placements()
        self.namespace_labels: dict[str, Mapping[str, str]] = {}
        self.names: list[str] = []
        self.rows: dict[str, int] = {}
        self._taint_set_codes: dict[tuple[Taint, ...], int] = {(): 0}
        self._free: list[int] = []
        self._objects: list[Mapping[str, Any]] = []
        self._assumed: set[str] = set()
        self._vectors: dict[PodRequirements, tuple[Counts, Counts]] = {}
        for name in (CPU, MEMORY, "ephemeral-storage"):
            self.resource_row(name)

    def set_namespace(self, name: str, labels: Mapping[str, str] | None) -> bool:
        """Note a namespace's labels; None: it has gone. Return whether they changed: what was computed may be wrong."""
        if labels == self.namespace_labels.get(name):
            return False
        if labels is None:
            del self.namespace_labels[name]
        else:
            self.namespace_labels[name] = labels
        self.version += 1
        return True

    # -- nodes

    def set_node(self, obj: Mapping[str, Any]) -> bool:
        """Add or update a node. Return whether anything that matters for scheduling changed."""
        name = obj["metadata"]["name"]
        row = self.rows.get(name)
        if row is None:
            row = self._new_row(name)
        if self.valid[row] and self._same_facts(row, obj):
            self._objects[row] = obj
            return False
        spec, metadata = obj.get("spec") or {}, obj["metadata"]
        self._objects[row] = obj
        self._set_allocatable(row, _read_allocatable(obj.get("status") or {}))
        self.unschedulable[row] = bool(spec.get("unschedulable"))
        self.taint_codes[row] = self._taint_code(_read_taints(spec))
        self.labels.set_row(row, metadata.get("labels") or {})
        if not self.valid[row]:
            self.valid[row] = True
            self.node_count += 1
        self._touch(row)
        return True

    def remove_node(self, name: str) -> None:
        """Forget a node; what its pods hold stays known until they go."""
        row = self.rows.get(name)
        if row is None or not self.valid[row]:
            return
        self.valid[row] = False
        self.node_count -= 1
        self._objects[row] = {}
        self.labels.set_row(row, {})
        self.allocatable[:, row] = 0
        self.allowed_pods[row] = 0
        self.taint_codes[row] = 0
        self.unschedulable[row] = False
        self._touch(row)
        self._release(row)

    def _same_facts(self, row: int, obj: Mapping[str, Any]) -> bool:
        old = self._objects[row]
        old_status, status = old.get("status") or {}, obj.get("status") or {}
        return bool(
            old.get("spec") == obj.get("spec")
            and old["metadata"].get("labels") == obj["metadata"].get("labels")
            and old_status.get("allocatable") == status.get("allocatable")
            and (status.get("allocatable") or old_status.get("capacity") == status.get("capacity"))
        )

    def _set_allocatable(self, row: int, amounts: dict[str, int]) -> None:
        self.allowed_pods[row] = amounts.pop(PODS_RESOURCE, 0)
        indexes = {self.resource_row(name): amount for name, amount in amounts.items()}
        self.allocatable[:, row] = 0
        for index, amount in indexes.items():
            self.allocatable[index, row] = amount

    def _taint_code(self, taints: tuple[Taint, ...]) -> int:
        code = self._taint_set_codes.get(taints)
        if code is None:
            code = self._taint_set_codes[taints] = len(self.taint_sets)
            self.taint_sets.append(taints)
        return code

    def _new_row(self, name: str) -> int:
        if self._free:
            row = self._free.pop()
            self.names[row] = name
        else:
            row = self.size
            self.size += 1
            self.names.append(name)
            self._objects.append({})
            if self.size > len(self.valid):
                self._grow(2 * len(self.valid))
        self.labels.set_row(row, {})
        self.rows[name] = row
        return row

    def _release(self, row: int) -> None:
        if not self.valid[row] and not self.pod_counts[row] and self.rows.get(self.names[row]) == row:
            del self.rows[self.names[row]]
            self._free.append(row)

    def _grow(self, capacity: int) -> None:
        for name in (
            "allocatable",
            "requested",
            "nonzero",
            "pod_counts",
            "allowed_pods",
            "valid",
            "unschedulable",
            "taint_codes",
            "row_versions",
        ):
            setattr(self, name, grown(getattr(self, name), capacity))

    def _touch(self, row: int) -> None:
        self.version += 1
        self.row_versions[row] = self.version

    # -- resources

    def resource_row(self, name: str) -> int:
        """Return the row of a resource in `allocatable` and `requested`; a new one gets the next."""
        index = self.resources.get(name)
        if index is None:
            index = self.resources[name] = len(self.resources)
            if index >= len(self.allocatable):
                more = np.zeros_like(self.allocatable)
                self.allocatable = np.concatenate([self.allocatable, more])
                self.requested = np.concatenate([self.requested, more])
                self._vectors.clear()
        return index

    def _vector(self, requirements: PodRequirements) -> tuple[Counts, Counts]:
        vectors = self._vectors.get(requirements)
        if vectors is None:
            indexes = {self.resource_row(name): amount for name, amount in requirements.requests.items()}
            vector = np.zeros(len(self.requested), dtype=np.int64)
            for index, amount in indexes.items():
                vector[index] = amount
            nonzero = np.array([requirements.nonzero_requests.get(name, 0) for name in _NONZERO_ROW], dtype=np.int64)
            if len(self._vectors) >= 4096:
                self._vectors.clear()
            vectors = self._vectors[requirements] = (vector, nonzero)
        return vectors

    # -- pods

    def assume(self, pod: PodInfo, row: int) -> None:
        """Put a pod on a row before the API server knows: until `set_pod` confirms it or `forget` takes it back."""
        self._place(pod, row)
        self._assumed.add(pod.uid)

    def forget(self, uid: str) -> None:
        """Take an assumed pod back; nothing happens when it was confirmed meanwhile, or has gone."""
        if uid in self._assumed:
            self.remove_pod(uid)

    def set_pod(self, pod: PodInfo, node_name: str) -> None:
        """Take note that a pod is on a node, which need not be known yet."""
        self._assumed.discard(pod.uid)
        current = self.placements.get(pod.uid)
        row = self.rows.get(node_name)
        in_place = current is not None and row == self.placements.row_of(pod.uid)
        if in_place and current is not None and current.requirements is pod.requirements:
            self.placements.replace(pod)
            return
        if current is not None:
            self.remove_pod(pod.uid)
            row = self.rows.get(node_name)
        self._place(pod, self._new_row(node_name) if row is None else row)

    def remove_pod(self, uid: str) -> int | None:
        """Take a pod away and return the row that it leaves; None when it was on none."""
        self._assumed.discard(uid)
        if self.placements.row_of(uid) is None:
            return None
        pod, row = self.placements.remove(uid)
        self._account(pod.requirements, row, -1)
        self._release(row)
        return row

    def _place(self, pod: PodInfo, row: int) -> None:
        self.placements.add(pod, row)
        self._account(pod.requirements, row, 1)

    def _account(self, requirements: PodRequirements, row: int, sign: int) -> None:
        vector, nonzero = self._vector(requirements)
        if sign > 0:
            self.requested[:, row] += vector
            self.nonzero[:, row] += nonzero
        else:
            self.requested[:, row] -= vector
            self.nonzero[:, row] -= nonzero
        self.pod_counts[row] += sign
        self._touch(row)

    def is_assumed(self, uid: str) -> bool:
        """Say whether a pod is on its row by assumption only."""
        return uid in self._assumed

    # -- rows as plain Python

    def has_node(self, name: str) -> bool:
        """Say whether a node of this name exists now."""
        row = self.rows.get(name)
        return row is not None and bool(self.valid[row])

    def node_info(self, row: int) -> NodeInfo:
        """Return one row as plain Python."""
        return NodeInfo(
            name=self.names[row],
            labels=self.labels.row(row),
            taints=self.taint_sets[self.taint_codes[row]],
            unschedulable=bool(self.unschedulable[row]),
            allocatable={name: int(self.allocatable[index, row]) for name, index in self.resources.items()},
            requested={name: int(self.requested[index, row]) for name, index in self.resources.items()},
            pod_count=int(self.pod_counts[row]),
            obj=self._objects[row],
        )
