"""Rules, defaults and columns of storage.k8s.io/v1."""

import pytest

GROUP = "storage.k8s.io/v1"
DEFAULT = {"storageclass.kubernetes.io/is-default-class": "true"}
CLASS = {"provisioner": "windlass.dev/hostpath"}
ATTACHMENT = {"attacher": "d.example.com", "nodeName": "n", "source": {"persistentVolumeName": "v"}}
DRIVER = {"name": "d.example.com", "nodeID": "n"}


def test_a_class(served):
    classes = served(GROUP, "StorageClass")
    made = classes.create(**CLASS, metadata={"annotations": DEFAULT})
    assert (made["reclaimPolicy"], made["volumeBindingMode"]) == ("Delete", "Immediate")
    assert classes.row(made) == {
        "Name": "x (default)", "Provisioner": "windlass.dev/hostpath", "ReclaimPolicy": "Delete",
        "VolumeBindingMode": "Immediate", "AllowVolumeExpansion": False, "Age": "60m",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"provisioner": ""}, "provisioner"),
        ({"provisioner": "not valid"}, "provisioner"),
        ({"parameters": {"": "x"}}, "parameters"),
        ({"parameters": {"x": "x" * 300_000}}, "parameters"),
        ({"parameters": {str(number): "" for number in range(513)}}, "parameters"),
        ({"reclaimPolicy": "Recycle"}, "reclaimPolicy"),
        ({"allowedTopologies": [{"matchLabelExpressions": [{"key": "zone", "values": []}]}]},
         "allowedTopologies[0].matchLabelExpressions[0].values"),
        ({"allowedTopologies": [{"matchLabelExpressions": [{"key": "zone", "values": ["a", "a"]}]}]},
         "allowedTopologies[0].matchLabelExpressions[0].values[1]"),
        ({"allowedTopologies": [{"matchLabelExpressions": [{"key": "z", "values": ["a"]}] * 2}]},
         "allowedTopologies[0].matchLabelExpressions[1].key"),
    ],
)  # fmt: skip
def test_what_a_class_must_be(served, fields, path):
    found = served(GROUP, "StorageClass").problems(**{**CLASS, **fields})
    assert [line.split(": ")[0] for line in found] == [path]


def test_a_class_keeps_what_volumes_were_made_by(served):
    classes = served(GROUP, "StorageClass")
    old = classes.create(**CLASS)
    assert classes.update_problems(old, **CLASS, allowVolumeExpansion=True, mountOptions=["ro"]) == []
    found = classes.update_problems(old, provisioner="other", parameters={"a": "b"}, reclaimPolicy="Retain",
                                    volumeBindingMode="WaitForFirstConsumer")  # fmt: skip
    assert [line.split(": ")[0] for line in found] == [
        "parameters", "provisioner", "reclaimPolicy", "volumeBindingMode",
    ]  # fmt: skip


def test_an_attachment(served):
    attachments = served(GROUP, "VolumeAttachment")
    made = attachments.create(spec=ATTACHMENT)
    assert attachments.row(made) == {
        "Name": "x", "Attacher": "d.example.com", "PV": "v", "Node": "n", "Attached": False, "Age": "60m",
    }  # fmt: skip
    assert attachments.problems(spec=ATTACHMENT) == []
    inline = {"accessModes": ["ReadWriteOnce"], "csi": {"driver": "d.example.com", "volumeHandle": "h"}}
    assert attachments.problems(spec={**ATTACHMENT, "source": {"inlineVolumeSpec": inline}}) == []
    for source in ({}, {"persistentVolumeName": "v", "inlineVolumeSpec": inline}):
        found = attachments.problems(spec={**ATTACHMENT, "source": source})
        assert [line.split(": ")[0] for line in found] == ["spec.source"]
    assert [line.split(": ")[0] for line in attachments.problems(spec={"attacher": "", "nodeName": "", "source": {}})
            ] == ["spec.attacher", "spec.nodeName", "spec.source"]  # fmt: skip
    changed = attachments.update_problems(made, spec={**ATTACHMENT, "nodeName": "other"})
    assert [line.split(": ")[0] for line in changed] == ["spec"]


def test_a_driver(served):
    drivers = served(GROUP, "CSIDriver")
    made = drivers.create(spec={"tokenRequests": [{"audience": "vault"}, {}]})
    assert made["spec"]["volumeLifecycleModes"] == ["Persistent"]
    assert drivers.row(made) == {
        "Name": "x", "AttachRequired": True, "PodInfoOnMount": False, "StorageCapacity": False,
        "TokenRequests": "vault,", "RequiresRepublish": False, "Modes": "Persistent", "Age": "60m",
    }  # fmt: skip
    bad = {"volumeLifecycleModes": ["Never"], "tokenRequests": [{"expirationSeconds": 9}, {}]}
    assert [line.split(": ")[0] for line in drivers.problems(spec=bad)] == [
        "spec.volumeLifecycleModes", "spec.tokenRequests[0].expirationSeconds", "spec.tokenRequests[1].audience",
    ]  # fmt: skip
    changed = drivers.update_problems(made, spec={"attachRequired": False, "storageCapacity": True})
    assert [line.split(": ")[0] for line in changed] == ["spec.attachedRequired"]


def test_a_node(served):
    nodes = served(GROUP, "CSINode")
    made = nodes.create(spec={"drivers": [DRIVER]})
    assert nodes.row(made) == {"Name": "x", "Drivers": 1, "Age": "60m"}
    bad = [{"name": "d", "nodeID": "", "topologyKeys": ["a", "a"], "allocatable": {"count": -1}},
           {"name": "d", "nodeID": "n" * 300}]  # fmt: skip
    assert [line.split(": ")[0] for line in nodes.problems(spec={"drivers": bad})] == [
        "spec.drivers[0].nodeID", "spec.drivers[0].topologyKeys[1]", "spec.drivers[0].allocatable.count",
        "spec.drivers[1].name", "spec.drivers[1].nodeID",
    ]  # fmt: skip
    other = {"name": "o.example.com", "nodeID": "n"}
    assert nodes.update_problems(made, spec={"drivers": [DRIVER, other]}) == []
    assert nodes.update_problems(made, spec={"drivers": [other]}) == []
    assert len(nodes.update_problems(made, spec={"drivers": [{**DRIVER, "nodeID": "m"}]})) == 1


def test_a_capacity(served):
    capacities = served(GROUP, "CSIStorageCapacity")
    made = capacities.create(storageClassName="fast", capacity="1024Mi")
    assert capacities.row(made) == {"Name": "x", "StorageClassName": "fast", "Capacity": "1Gi"}
    assert capacities.row(capacities.create(storageClassName="fast"))["Capacity"] == "<unset>"
    found = capacities.problems(storageClassName="", capacity="-1")
    assert [line.split(": ")[0] for line in found] == ["storageClassName", "capacity"]
    changed = capacities.update_problems(made, storageClassName="slow", nodeTopology={"matchLabels": {"a": "b"}})
    assert [line.split(": ")[0] for line in changed] == ["nodeTopology", "storageClassName"]
