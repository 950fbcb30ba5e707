import pytest

from windlass.admission.namespace_lifecycle import NamespaceLifecycle
from windlass.admission.node_restriction import NodeRestriction
from windlass.admission.pod_defaults import DefaultServiceAccount, DefaultTolerations, Priority
from windlass.errors import ForbiddenError, NotFoundError
from windlass.plugin.interfaces.admission import AdmissionRequest
from windlass.plugin.interfaces.authn import UserInfo


class Reader:
    def __init__(self, **objects):
        self.objects = objects

    def get(self, resource, namespace, name):
        return next((o for o in self.objects.get(resource, ()) if o["metadata"]["name"] == name), None)

    def list(self, resource, namespace=""):
        return self.objects.get(resource.split(".")[0], ())


ADMIN = UserInfo("admin", ("system:masters",))
NODE = UserInfo("system:node:n1", ("system:nodes",))


def request(
    resource="pods", *, operation="CREATE", obj=None, old=None, user=ADMIN, reader=None, namespace="ns", name="x"
):
    return AdmissionRequest(
        operation, "", "v1", "", resource, "", namespace, name, obj, old, user, False, reader or Reader(), []
    )


def test_a_missing_namespace_is_404_and_a_terminating_one_403():
    with pytest.raises(NotFoundError, match='namespaces "ns" not found'):
        NamespaceLifecycle().validate(request())
    ending = Reader(namespaces=[{"metadata": {"name": "ns", "deletionTimestamp": "t"}}])
    with pytest.raises(ForbiddenError, match="being terminated"):
        NamespaceLifecycle().validate(request(reader=ending))
    NamespaceLifecycle().validate(request(reader=Reader(namespaces=[{"metadata": {"name": "ns"}}])))


def test_system_namespaces_stay():
    with pytest.raises(ForbiddenError, match="may not be deleted"):
        NamespaceLifecycle().validate(request("namespaces", operation="DELETE", namespace="", name="kube-system"))


def test_priority_comes_from_the_class_or_the_global_default():
    classes = Reader(
        priorityclasses=[
            {"metadata": {"name": "high"}, "value": 1000, "preemptionPolicy": "Never"},
            {"metadata": {"name": "usual"}, "value": 5, "globalDefault": True},
        ]
    )
    pod = {"spec": {"priorityClassName": "high"}}
    Priority().admit(request(obj=pod, reader=classes))
    assert (pod["spec"]["priority"], pod["spec"]["preemptionPolicy"]) == (1000, "Never")
    plain = {"spec": {}}
    Priority().admit(request(obj=plain, reader=classes))
    assert (plain["spec"]["priority"], plain["spec"]["priorityClassName"]) == (5, "usual")


def test_a_pod_may_not_choose_its_number_or_an_unknown_class():
    with pytest.raises(ForbiddenError, match="must not be provided"):
        Priority().admit(request(obj={"spec": {"priority": 7}}))
    with pytest.raises(ForbiddenError, match="no PriorityClass with name gone"):
        Priority().admit(request(obj={"spec": {"priorityClassName": "gone"}}))


def test_default_tolerations_are_added_once():
    pod = {"spec": {"tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists"}]}}
    DefaultTolerations().admit(request(obj=pod))
    DefaultTolerations().admit(request(obj=pod))
    assert [t["key"] for t in pod["spec"]["tolerations"]] == [
        "node.kubernetes.io/not-ready",
        "node.kubernetes.io/unreachable",
    ]


def test_pods_run_as_default():
    pod = {"metadata": {}, "spec": {}}
    DefaultServiceAccount().admit(request(obj=pod))
    assert pod["spec"]["serviceAccountName"] == "default"


@pytest.mark.parametrize(
    ("obj", "old", "message"),
    [
        ({"metadata": {"name": "n2"}}, None, "only write its own Node"),
        ({"metadata": {"name": "n1", "ownerReferences": [{}]}}, None, "ownerReferences"),
        (
            {"metadata": {"name": "n1", "labels": {"node-restriction.kubernetes.io/x": "1"}}},
            None,
            "may not change label",
        ),
        ({"metadata": {"name": "n1"}, "spec": {}}, {"metadata": {}, "spec": {"taints": [{"key": "k"}]}}, "taints"),
    ],
)
def test_a_node_may_not_steer_scheduling_onto_itself(obj, old, message):
    """S50."""
    with pytest.raises(ForbiddenError, match=message):
        NodeRestriction().validate(request("nodes", obj=obj, old=old, user=NODE, name="n1"))
    NodeRestriction().validate(request("nodes", obj={"metadata": {"name": "n1"}}, user=NODE, name="n1"))


def test_a_node_may_not_touch_pods_of_others():
    with pytest.raises(ForbiddenError, match="not bound to node n1"):
        NodeRestriction().validate(request(operation="DELETE", old={"spec": {"nodeName": "n2"}}, user=NODE))


MIRROR_POD = {
    "metadata": {
        "name": "x", "annotations": {"kubernetes.io/config.mirror": "hash"},
        "ownerReferences": [{"kind": "Node", "name": "n1"}],
    },
    "spec": {"nodeName": "n1", "containers": [{"name": "main"}], "volumes": [{"name": "v", "emptyDir": {}}]},
}  # fmt: skip


def mirror(*, metadata=None, **spec):
    return {"metadata": {**MIRROR_POD["metadata"], **(metadata or {})}, "spec": {**MIRROR_POD["spec"], **spec}}


def test_a_node_may_create_mirrors_of_its_static_pods():
    NodeRestriction().validate(request(obj=mirror(), user=NODE))
    pod = mirror()
    DefaultServiceAccount().admit(request(obj=pod))
    assert "serviceAccountName" not in pod["spec"]


@pytest.mark.parametrize(
    ("pod", "message"),
    [
        (mirror(metadata={"annotations": {}}), "may only create mirrors"),
        (mirror(nodeName="n2"), "bound to it"),
        (mirror(nodeName=""), "bound to it"),
        (mirror(serviceAccountName="default"), "service account"),
        (mirror(imagePullSecrets=[{"name": "s"}]), "pull secrets"),
        (mirror(volumes=[{"name": "v", "secret": {"secretName": "s"}}]), "volumes may only be"),
        (mirror(volumes=[{"name": "v", "emptyDir": {}, "projected": {}}]), "volumes may only be"),
        (mirror(containers=[{"name": "c", "envFrom": [{"secretRef": {"name": "s"}}]}]), "environment"),
        (
            mirror(initContainers=[{"name": "c", "env": [{"valueFrom": {"secretKeyRef": {"name": "s"}}}]}]),
            "environment",
        ),
        (mirror(metadata={"ownerReferences": [{"kind": "Node", "name": "n2"}]}), "owned by node n1"),
    ],
)
def test_a_node_reads_nothing_through_a_pod_of_its_own_making(pod, message):
    """S50: the node authoriser opens what a node's pods refer to, so a node may not write such a reference."""
    with pytest.raises(ForbiddenError, match=message):
        NodeRestriction().validate(request(obj=pod, user=NODE))
