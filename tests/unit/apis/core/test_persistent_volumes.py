"""Rules, defaults and columns of volumes and claims."""

import pytest

SIZE = {"storage": "1Gi"}
VOLUME = {"capacity": SIZE, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/srv/data"}}
CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": SIZE}}
TERM = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["n"]}]}
AFFINITY = {"required": {"nodeSelectorTerms": [TERM]}}
CSI = {"driver": "d.example.com", "volumeHandle": "h"}


@pytest.fixture
def volumes(served):
    return served("v1", "PersistentVolume")


@pytest.fixture
def claims(served):
    return served("v1", "PersistentVolumeClaim")


def without(spec, field):
    return {key: value for key, value in spec.items() if key != field}


def test_defaults(volumes, claims):
    made = volumes.create(spec=VOLUME, status={"phase": "Bound"})
    assert made["spec"]["persistentVolumeReclaimPolicy"] == "Retain"
    assert (made["spec"]["volumeMode"], made["status"]) == ("Filesystem", {"phase": "Pending"})
    made = claims.create(spec=CLAIM, status={"phase": "Bound"})
    assert (made["spec"]["volumeMode"], made["status"]) == ("Filesystem", {"phase": "Pending"})


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        (without(VOLUME, "capacity"), "spec.capacity: Required value"),
        ({**VOLUME, "capacity": {"storage": "0"}},
         'spec.capacity[storage]: Invalid value: "0": must be greater than zero'),
        ({**VOLUME, "capacity": {"cpu": "1"}},
         'spec.capacity: Unsupported value: {"cpu":"1"}: supported values: "storage"'),
        (without(VOLUME, "accessModes"), "spec.accessModes: Required value"),
        ({**VOLUME, "accessModes": ["ReadWriteOncePod", "ReadWriteOnce"]},
         "spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes"),
        (without(VOLUME, "hostPath"), "spec: Required value: must specify a volume type"),
        ({**VOLUME, "csi": CSI, "nfs": {"server": "s", "path": "/"}},
         "spec.hostPath: Forbidden: may not specify more than 1 volume type"),
        ({**without(VOLUME, "hostPath"), "local": {"path": "/mnt/x"}},
         "spec.nodeAffinity: Required value: Local volume requires node affinity"),
        ({**without(VOLUME, "hostPath"), "local": {"path": "/mnt/../x"}, "nodeAffinity": AFFINITY},
         'spec.local.path: Invalid value: "/mnt/../x": must not contain \'..\''),
        ({**VOLUME, "nodeAffinity": {}},
         "spec.nodeAffinity.required: Required value: must specify required node constraints"),
        ({**VOLUME, "persistentVolumeReclaimPolicy": "Recycle", "hostPath": {"path": "/"}},
         "spec.persistentVolumeReclaimPolicy: Forbidden: may not be 'recycle' for a hostPath mount of '/'"),
        ({**without(VOLUME, "hostPath"), "csi": {"driver": "", "volumeHandle": ""}}, "spec.csi.driver: Required value"),
        ({**VOLUME, "storageClassName": "Not Valid"}, "spec.storageClassName: Invalid value"),
    ],
)  # fmt: skip
def test_what_a_volume_must_be(volumes, spec, problem):
    assert volumes.problems(spec=VOLUME) == []
    assert volumes.problems(spec={**without(VOLUME, "hostPath"), "csi": CSI}) == []
    assert any(line.startswith(problem) for line in volumes.problems(spec=spec)), volumes.problems(spec=spec)


def test_a_volume_stays_where_it_is(volumes):
    old = volumes.create(spec=VOLUME)
    grown = {**VOLUME, "capacity": {"storage": "2Gi"}, "claimRef": {"name": "c", "namespace": "default"}}
    assert volumes.update_problems(old, spec={**grown, "persistentVolumeReclaimPolicy": "Delete"}) == []
    moved = volumes.update_problems(old, spec={**VOLUME, "hostPath": {"path": "/elsewhere"}})
    assert moved == ["spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation"]
    block = volumes.update_problems(old, spec={**VOLUME, "volumeMode": "Block"})
    assert block == ['spec.volumeMode: Invalid value: "Block": field is immutable']
    assert volumes.update_problems(old, spec={**VOLUME, "nodeAffinity": AFFINITY}) == []
    bound = volumes.create(spec={**VOLUME, "nodeAffinity": AFFINITY})
    assert [line.split(":")[0] for line in volumes.update_problems(bound, spec=VOLUME)] == ["spec.nodeAffinity"]


def test_the_secret_for_growing_may_come_later(volumes):
    spec = {**without(VOLUME, "hostPath"), "csi": CSI}
    named = {**CSI, "nodeExpandSecretRef": {"name": "s", "namespace": "n"}}
    assert volumes.update_problems(volumes.create(spec=spec), spec={**spec, "csi": named}) == []


def test_recycling_is_deprecated(volumes):
    made = volumes.create(spec={**VOLUME, "persistentVolumeReclaimPolicy": "Recycle"})
    assert "deprecated" in volumes.strategy.warnings(made)[0]
    assert volumes.strategy.warnings(volumes.create(spec=VOLUME)) == []


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        (without(CLAIM, "accessModes"), "spec.accessModes: Required value: at least 1 access mode is required"),
        (without(CLAIM, "resources"), "spec.resources[storage]: Required value"),
        ({**CLAIM, "resources": {"requests": {"storage": "-1"}}},
         'spec.resources[storage]: Invalid value: "-1": must be greater than zero'),
        ({**CLAIM, "accessModes": ["Sometimes"]}, 'spec.accessModes: Unsupported value: "Sometimes"'),
        ({**CLAIM, "dataSource": {"kind": "Pod", "name": "p"}, "dataSourceRef": {"kind": "Pod", "name": "p"}},
         'spec.dataSource: Invalid value: "Pod": must be \'PersistentVolumeClaim\' when referencing the default apiGroup'),
        ({**CLAIM, "dataSource": {"kind": "PersistentVolumeClaim", "name": "a"},
          "dataSourceRef": {"kind": "PersistentVolumeClaim", "name": "b"}},
         'spec: Invalid value: "spec.dataSource": must match dataSourceRef'),
    ],
)  # fmt: skip
def test_what_a_claim_must_be(claims, spec, problem):
    assert claims.problems(spec=CLAIM) == []
    assert any(line.startswith(problem) for line in claims.problems(spec=spec)), claims.problems(spec=spec)


@pytest.mark.parametrize("field", ["dataSource", "dataSourceRef"])
def test_data_sources_are_written_both_ways(claims, field):
    source = {"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "s"}
    made = claims.create(spec={**CLAIM, field: source})
    assert made["spec"]["dataSource"] == made["spec"]["dataSourceRef"] == source


def test_the_old_spelling_names_only_claims_and_snapshots(claims):
    source = {"apiGroup": "example.com", "kind": "Backup", "name": "b"}
    assert "dataSource" not in claims.create(spec={**CLAIM, "dataSource": source})["spec"]
    made = claims.create(spec={**CLAIM, "dataSourceRef": source})["spec"]
    assert made["dataSourceRef"] == source
    assert "dataSource" not in made


FROZEN = "spec: Forbidden: spec is immutable after creation except resources.requests"


def test_a_claim_keeps_its_spec(claims):
    old = claims.create(spec=CLAIM)
    assert claims.update_problems(old, spec={**CLAIM, "accessModes": ["ReadOnlyMany"]})[0].startswith(FROZEN)
    grown = {**CLAIM, "resources": {"requests": {"storage": "2Gi"}}}
    assert claims.update_problems(old, spec=grown)[0].startswith(FROZEN)
    assert claims.update_problems(old, spec={**CLAIM, "volumeName": "v", "storageClassName": "fast"}) == []


def test_a_bound_claim_may_grow(claims):
    spec = {**CLAIM, "volumeName": "v"}
    old = {**claims.create(spec=spec), "status": {"phase": "Bound", "capacity": SIZE}}

    def sized(size, **fields):
        return {**spec, "resources": {"requests": {"storage": size}}, **fields}

    assert claims.update_problems(old, spec=sized("2Gi")) == []
    smaller = claims.update_problems(old, spec=sized("500Mi"))
    assert smaller == ["spec.resources.requests.storage: Forbidden: field can not be less than status.capacity"]
    assert claims.update_problems(old, spec=sized("1Gi", volumeName="w"))[0].startswith(FROZEN)
    growing = {**claims.create(spec=sized("9Gi")), "status": {"phase": "Bound", "capacity": SIZE}}
    assert claims.update_problems(growing, spec=sized("3Gi")) == []
    assert claims.update_problems(growing, spec=sized("1Gi")) != []


def test_columns(volumes, claims):
    spec = {**VOLUME, "accessModes": ["ReadWriteMany", "ReadWriteOnce"], "storageClassName": "fast",
            "capacity": {"storage": "1024Mi"}, "claimRef": {"namespace": "default", "name": "c"}}  # fmt: skip
    assert volumes.row(volumes.create(spec=spec), wide=True) == {
        "Name": "x", "Capacity": "1Gi", "Access Modes": "RWO,RWX", "Reclaim Policy": "Retain", "Status": "Pending",
        "Claim": "default/c", "StorageClass": "fast", "VolumeAttributesClass": "<unset>", "Reason": "", "Age": "60m",
        "VolumeMode": "Filesystem",
    }  # fmt: skip
    claim = claims.create(spec={**CLAIM, "storageClassName": "fast"})
    assert claims.row(claim) == {
        "Name": "x", "Status": "Pending", "Volume": "", "Capacity": "", "Access Modes": "", "StorageClass": "fast",
        "VolumeAttributesClass": "<unset>", "Age": "60m",
    }  # fmt: skip
    claim["spec"]["volumeName"] = "v"
    claim["status"] = {"phase": "Bound", "capacity": {"storage": "2Gi"}, "accessModes": ["ReadWriteOncePod"]}
    row = claims.row(claim)
    assert (row["Status"], row["Volume"], row["Capacity"], row["Access Modes"]) == ("Bound", "v", "2Gi", "RWOP")
    claim["metadata"]["deletionTimestamp"] = "2026-01-01T11:30:00Z"
    assert claims.row(claim)["Status"] == "Terminating"


def test_classes_of_attributes_are_switched_off(volumes, claims):
    """As in Kubernetes 1.32, where the feature gate is off unless somebody sets it: the field is dropped."""
    for kind, spec in ((volumes, VOLUME), (claims, CLAIM)):
        assert "volumeAttributesClassName" not in kind.create(spec={**spec, "volumeAttributesClassName": "gold"})["spec"]
