"""The plugin alone: no cluster is needed."""

import pytest
from windlass_require_labels.plugin import RequireLabels

from windlass import AdmissionRequest, InvalidError, UserInfo


def request(labels, owners=()):
    obj = {"metadata": {"name": "web", "labels": labels, "ownerReferences": list(owners)}}
    return AdmissionRequest(
        "CREATE",
        "apps",
        "v1",
        "Deployment",
        "deployments",
        "",
        "default",
        "web",
        obj,
        None,
        UserInfo("ann"),
        False,
        None,
        [],
    )


def test_a_workload_without_the_label_is_refused_by_name():
    with pytest.raises(InvalidError, match="'team'"):
        RequireLabels({"labels": ["team"]}).validate(request({}))


def test_labelled_and_owned_workloads_pass():
    plugin = RequireLabels({"labels": ["team"]})
    plugin.validate(request({"team": "a"}))
    plugin.validate(request({}, owners=[{"kind": "ReplicaSet"}]))
