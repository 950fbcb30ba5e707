"""The plugin alone: no cluster is needed."""

import pytest
from windlass_require_labels.plugin import RequireLabels

from windlass import AdmissionRequest, InvalidError, UserInfo


def request(labels, owners=(), old=None, subresource=""):
    obj = {"metadata": {"name": "web", "labels": labels, "ownerReferences": list(owners)}}
    return AdmissionRequest(
        "CREATE" if old is None else "UPDATE",
        "apps",
        "v1",
        "Deployment",
        "deployments",
        subresource,
        "default",
        "web",
        obj,
        None if old is None else {"metadata": {"name": "web", "labels": old}},
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


def test_an_update_may_not_take_a_label_away():
    plugin = RequireLabels({"labels": ["team"]})
    with pytest.raises(InvalidError, match="'team'"):
        plugin.validate(request({}, old={"team": "a"}))
    plugin.validate(request({"team": "b"}, old={"team": "a"}))


def test_what_lacked_the_label_before_and_status_writes_pass():
    plugin = RequireLabels({"labels": ["team"]})
    plugin.validate(request({"tier": "x"}, old={}))
    plugin.validate(request({}, old={"team": "a"}, subresource="status"))
