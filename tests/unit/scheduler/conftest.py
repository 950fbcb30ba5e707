"""Builders of nodes and pods, and a scheduler core without API server."""

from types import SimpleNamespace

import pytest

from windlass.scheduler.batch import BatchPlanner
from windlass.scheduler.columns import NodeTable
from windlass.scheduler.framework import Framework, load_plugins
from windlass.scheduler.podinfo import PodParser
from windlass_scheduler.registrations import REGISTRATIONS


def build_node(name, *, labels=None, taints=(), unschedulable=False, **amounts):
    allocatable = {"cpu": "4", "memory": "8Gi", "pods": "110"}
    allocatable.update({key.replace("__", "/").replace("_", "-"): value for key, value in amounts.items()})
    spec = {}
    if taints:
        spec["taints"] = [dict(zip(("key", "value", "effect"), taint, strict=True)) for taint in taints]
    if unschedulable:
        spec["unschedulable"] = True
    metadata = {"name": name, "uid": f"node-{name}", "labels": {"kubernetes.io/hostname": name, **(labels or {})}}
    return {"metadata": metadata, "spec": spec, "status": {"allocatable": allocatable}}


def build_pod(name, *, namespace="default", owner="", labels=None, node_name="", ports=(), priority=0, **more):
    requests = more.pop("requests", {})
    container = {"name": "main", "image": "i", "resources": {"requests": requests}}
    if ports:
        container["ports"] = [
            {"containerPort": port, "hostPort": port, "hostIP": ip, "protocol": protocol}
            for ip, protocol, port in ports
        ]
    metadata = {
        "name": name,
        "namespace": namespace,
        "uid": f"{namespace}-{name}",
        "creationTimestamp": more.pop("created", ""),
    }
    if labels:
        metadata["labels"] = labels
    if owner:
        metadata["ownerReferences"] = [{"uid": owner, "controller": True, "kind": "ReplicaSet", "name": owner}]
    metadata.update(more.pop("metadata", {}))
    spec = {"containers": [container], "priority": priority, **more}
    if node_name:
        spec["nodeName"] = node_name
    return {"metadata": metadata, "spec": spec, "status": {}}


class Core:
    """A node table with the built-in plugins; `place` says where a pod goes or why nowhere."""

    def __init__(self, nodes=(), registrations=REGISTRATIONS, config=None, seed=0):
        self.table = NodeTable()
        self.framework = Framework(load_plugins(registrations, config or {}))
        self.parser = PodParser(self.framework.equivalence_keys())
        self.planner = BatchPlanner(self.framework, self.table, seed)
        for node in nodes:
            self.table.set_node(node)

    def place(self, obj, more=0):
        result = self.planner.place(self.parser.parse(obj), more)
        return self.table.names[result] if isinstance(result, int) else result.message

    def add(self, obj, node_name):
        self.table.set_pod(self.parser.parse(obj), node_name)


@pytest.fixture(scope="session")
def build():
    return SimpleNamespace(node=build_node, pod=build_pod, core=Core)
