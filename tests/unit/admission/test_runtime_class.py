import pytest

from windlass.admission.runtime_class import CLASSES, RuntimeClass
from windlass.errors import ForbiddenError
from windlass.plugin.interfaces.admission import AdmissionRequest
from windlass.plugin.interfaces.authn import UserInfo

OVERHEAD = {"cpu": "250m"}
FULL = {
    "metadata": {"name": "full"},
    "handler": "h",
    "overhead": {"podFixed": OVERHEAD},
    "scheduling": {"nodeSelector": {"kind": "vm"}, "tolerations": [{"key": "vm", "operator": "Exists"}]},
}


class Reader:
    def get(self, resource, namespace, name):
        assert (resource, namespace) == (CLASSES, "")
        return {"full": FULL, "plain": {"metadata": {"name": "plain"}, "handler": "h"}}.get(name)

    def list(self, resource, namespace=""):
        raise AssertionError("one class is asked for")


def admit(spec, operation="CREATE", subresource=""):
    obj = {"metadata": {"name": "x"}, "spec": spec}
    user = UserInfo("admin", ("system:masters",))
    request = AdmissionRequest(
        operation, "", "v1", "", "pods", subresource, "ns", "x", obj, None, user, False, Reader(), []
    )
    RuntimeClass().admit(request)
    RuntimeClass().validate(request)
    return spec


def test_a_class_that_is_not_there_is_403():
    """C283, C284."""
    with pytest.raises(ForbiddenError, match='pod rejected: RuntimeClass "gone" not found'):
        admit({"runtimeClassName": "gone"})


def test_a_class_without_overhead_adds_none():
    """C286."""
    assert admit({"runtimeClassName": "plain"}) == {"runtimeClassName": "plain"}


def test_overhead_nodes_and_tolerations_come_from_the_class():
    own = {"key": "a", "operator": "Exists"}
    spec = admit({"runtimeClassName": "full", "nodeSelector": {"zone": "a"}, "tolerations": [own]})
    assert spec["overhead"] == OVERHEAD
    assert spec["nodeSelector"] == {"zone": "a", "kind": "vm"}
    assert spec["tolerations"] == [own, *FULL["scheduling"]["tolerations"]]
    assert admit(dict(spec)) == spec


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"overhead": OVERHEAD}, "without corresponding RuntimeClass"),
        ({"overhead": OVERHEAD, "runtimeClassName": "plain"}, "without corresponding RuntimeClass"),
        ({"overhead": {"cpu": "1"}, "runtimeClassName": "full"}, "doesn't match RuntimeClass"),
        ({"nodeSelector": {"kind": "metal"}, "runtimeClassName": "full"}, r"nodeSelector\[kind\] = vm"),
    ],
)
def test_contradictions_are_403(spec, message):
    with pytest.raises(ForbiddenError, match=message):
        admit(spec)


def test_only_new_pods_are_looked_at():
    assert admit({"runtimeClassName": "gone"}, operation="UPDATE") == {"runtimeClassName": "gone"}
    assert admit({"runtimeClassName": "gone"}, subresource="binding") == {"runtimeClassName": "gone"}
