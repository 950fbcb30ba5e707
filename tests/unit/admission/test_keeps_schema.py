"""What the built-in plugins make of a pod is what decoding and defaulting would leave as it is: `keeps_schema`."""

import copy

import pytest

from windlass.admission.plugin import register_admission_plugins
from windlass.apimachinery.decode import decode
from windlass.apis.scheme import builtin_scheme
from windlass.plugin.interfaces.admission import AdmissionRequest
from windlass.plugin.interfaces.authn import UserInfo

POD = builtin_scheme().by_resource("", "v1", "pods")
OBJECTS = {
    "limitranges": [
        {
            "metadata": {"name": "bounds", "namespace": "ns"},
            "spec": {
                "limits": [
                    {
                        "type": "Container",
                        "default": {"cpu": "500m", "memory": "1Gi"},
                        "defaultRequest": {"cpu": "100m", "memory": "1Gi"},
                    }
                ]
            },
        }
    ],
    "namespaces": [{"metadata": {"name": "ns"}, "status": {"phase": "Active"}}],
    "priorityclasses.scheduling.k8s.io": [
        {"metadata": {"name": "usual"}, "value": 7, "globalDefault": True, "preemptionPolicy": "Never"},
        {"metadata": {"name": "high"}, "value": 1000},
    ],
    "runtimeclasses.node.k8s.io": [
        {
            "metadata": {"name": "vm"},
            "handler": "vm",
            "overhead": {"podFixed": {"cpu": "250m", "memory": "64Mi"}},
            "scheduling": {"nodeSelector": {"kind": "vm"}, "tolerations": [{"key": "vm", "operator": "Exists"}]},
        }
    ],
}


class Reader:
    def list(self, resource, namespace=""):
        return OBJECTS.get(resource, ())

    def get(self, resource, namespace, name):
        return next((obj for obj in self.list(resource) if obj["metadata"]["name"] == name), None)


def settled(obj):
    """Decode and default, as the API server does before admission, and after it when a plugin is not trusted."""
    decoded = decode(POD.schema, copy.deepcopy(obj))
    assert not decoded.errors
    assert not decoded.unknown
    POD.strategy.default(decoded.obj)
    return decoded.obj


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"priorityClassName": "high", "serviceAccountName": "robot"},
        {"priorityClassName": "system-node-critical"},
        {"runtimeClassName": "vm", "nodeSelector": {"zone": "a"}},
        {"tolerations": [{"operator": "Exists", "effect": "NoExecute"}], "serviceAccount": "robot"},
    ],
)
def test_a_second_decoding_would_change_nothing(spec):
    container = {"name": "main", "image": "busybox"}
    metadata = {"name": "x", "namespace": "ns"}
    pod = settled(
        {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container], **spec}}
    )
    user = UserInfo("admin", ("system:masters",))
    request = AdmissionRequest("CREATE", "", "v1", "Pod", "pods", "", "ns", "x", pod, None, user, False, Reader(), [])
    before = copy.deepcopy(pod)
    for driver in register_admission_plugins():
        driver.build({}).admit(request)
    assert request.obj != before
    assert settled(request.obj) == request.obj
