"""LimitRanges give containers their defaults and hold their bounds (C308)."""

import pytest

from windlass.admission.limit_ranger import LimitRanger
from windlass.errors import ForbiddenError
from windlass.plugin.interfaces.admission import AdmissionRequest
from windlass.plugin.interfaces.authn import UserInfo


class Reader:
    def __init__(self, *items):
        self.items = items

    def list(self, resource, namespace=""):
        return [{"spec": {"limits": list(self.items)}}] if resource == "limitranges" and namespace == "ns" else []


def request(obj, *items, resource="pods", operation="CREATE", namespace="ns"):
    user = UserInfo("admin", ())
    return AdmissionRequest(
        operation, "", "v1", "", resource, "", namespace, "x", obj, None, user, False, Reader(*items), []
    )


def pod(*resources, **more):
    containers = [{"name": f"c{index}", "resources": dict(one)} for index, one in enumerate(resources)]
    return {"metadata": {"name": "x"}, "spec": {"containers": containers, **more}}


def refusal(obj, *items, **more):
    try:
        LimitRanger().validate(request(obj, *items, **more))
    except ForbiddenError as error:
        return str(error)
    return ""


DEFAULTS = {
    "type": "Container",
    "default": {"cpu": "500m", "memory": "512Mi"},
    "defaultRequest": {"cpu": "100m", "memory": "256Mi"},
}


def test_a_pod_without_resources_gets_the_defaults_and_is_told():
    """C308: and its quality of service follows."""
    made = pod({}, initContainers=[{"name": "init"}])
    LimitRanger().admit(request(made, DEFAULTS))
    wanted = {"requests": DEFAULTS["defaultRequest"], "limits": DEFAULTS["default"]}
    assert [c["resources"] for c in (*made["spec"]["containers"], *made["spec"]["initContainers"])] == [wanted, wanted]
    assert made["metadata"]["annotations"]["kubernetes.io/limit-ranger"] == (
        "LimitRanger plugin set: cpu, memory request for container c0; cpu, memory limit for container c0; "
        "cpu, memory request for init container init; cpu, memory limit for init container init"
    )
    assert made["status"]["qosClass"] == "Burstable"


def test_what_a_pod_says_itself_stays():
    """C308: one with part of them gets the rest filled in."""
    made = pod({"requests": {"cpu": "300m"}, "limits": {"memory": "1Gi"}})
    LimitRanger().admit(request(made, DEFAULTS))
    assert made["spec"]["containers"][0]["resources"] == {
        "requests": {"cpu": "300m", "memory": "256Mi"},
        "limits": {"memory": "1Gi", "cpu": "500m"},
    }


@pytest.mark.parametrize(
    ("resources", "item", "words"),
    [
        ({}, {"min": {"cpu": "100m"}}, "minimum cpu usage per Container is 100m.  No request is specified"),
        (
            {"requests": {"cpu": "50m"}},
            {"min": {"cpu": "100m"}},
            "minimum cpu usage per Container is 100m, but request is 50m",
        ),
        ({"requests": {"cpu": "1"}}, {"max": {"cpu": "2"}}, "maximum cpu usage per Container is 2.  No limit is specified"),
        (
            {"requests": {"cpu": "1"}, "limits": {"cpu": "3"}},
            {"max": {"cpu": "2"}},
            "maximum cpu usage per Container is 2, but limit is 3",
        ),
        (
            {"requests": {"memory": "1Gi"}, "limits": {"memory": "3Gi"}},
            {"maxLimitRequestRatio": {"memory": "2"}},
            "memory max limit to request ratio per Container is 2, but provided ratio is 3.000000",
        ),
        (
            {"limits": {"cpu": "1"}},
            {"maxLimitRequestRatio": {"cpu": "2"}},
            "cpu max limit to request ratio per Container is 2, but no request is specified or request is 0",
        ),
        ({"requests": {"cpu": "1"}, "limits": {"cpu": "2"}}, {"min": {"cpu": "1"}, "max": {"cpu": "2"}}, ""),
        ({"requests": {"cpu": "1"}, "limits": {"cpu": "2"}}, {"maxLimitRequestRatio": {"cpu": "2"}}, ""),
    ],
)
def test_bounds_of_containers(resources, item, words):
    """C308: outside min or max is refused."""
    found = refusal(pod(resources), {"type": "Container", **item})
    assert found == (f'pods "x" is forbidden: {words}' if words else "")


def test_a_pod_is_the_sum_of_its_containers_or_its_largest_init_container():
    one = {"requests": {"cpu": "1"}, "limits": {"cpu": "1"}}
    big = [{"name": "init", "resources": {"requests": {"cpu": "3"}, "limits": {"cpu": "3"}}}]
    bound = {"type": "Pod", "max": {"cpu": "2"}}
    assert refusal(pod(one, one), bound) == ""
    assert refusal(pod(one, one, one), bound).endswith("maximum cpu usage per Pod is 2, but limit is 3")
    assert refusal(pod(one, initContainers=big), bound).endswith("maximum cpu usage per Pod is 2, but limit is 3")


def test_everything_wrong_by_one_range_is_named():
    found = refusal(pod({}), {"type": "Container", "min": {"cpu": "1"}, "max": {"memory": "1Gi"}})
    assert found == (
        'pods "x" is forbidden: [minimum cpu usage per Container is 1.  No request is specified, '
        "maximum memory usage per Container is 1Gi.  No limit is specified]"
    )


@pytest.mark.parametrize(
    ("size", "words"),
    [
        ("1Gi", ""),
        ("512Mi", "minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 512Mi"),
        ("4Gi", "maximum storage usage per PersistentVolumeClaim is 3Gi, but request is 4Gi"),
    ],
)
@pytest.mark.parametrize("operation", ["CREATE", "UPDATE"])
def test_claims(size, words, operation):
    claim = {"metadata": {"name": "x"}, "spec": {"resources": {"requests": {"storage": size}}}}
    bound = {"type": "PersistentVolumeClaim", "min": {"storage": "1Gi"}, "max": {"storage": "3Gi"}}
    found = refusal(claim, bound, resource="persistentvolumeclaims", operation=operation)
    assert found == (f'persistentvolumeclaims "x" is forbidden: {words}' if words else "")


def test_other_namespaces_updates_and_pods_on_their_way_out_are_left_alone():
    bound = {"type": "Container", "min": {"cpu": "1"}}
    assert refusal(pod({}), bound, namespace="other") == ""
    assert refusal(pod({}), bound, operation="UPDATE") == ""
    ending = pod({})
    ending["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert refusal(ending, bound) == ""
