"""What admission makes of claims and volumes."""

import pytest

from windlass.admission.storage import DefaultStorageClass, PersistentVolumeClaimResize, StorageObjectInUseProtection
from windlass.errors import ForbiddenError
from windlass.plugin.interfaces.admission import AdmissionRequest
from windlass.plugin.interfaces.authn import UserInfo

DEFAULT = "storageclass.kubernetes.io/is-default-class"
CLAIMS = "persistentvolumeclaims"


def storage_class(name, *, default=False, made="2026-01-01T00:00:00Z", **more):
    annotations = {DEFAULT: "true"} if default else {}
    return {"metadata": {"name": name, "creationTimestamp": made, "annotations": annotations}, **more}


class Reader:
    def __init__(self, *classes):
        self.classes = classes

    def get(self, resource, namespace, name):
        assert resource == "storageclasses.storage.k8s.io"
        return next((c for c in self.classes if c["metadata"]["name"] == name), None)

    def list(self, resource, namespace=""):
        assert resource == "storageclasses.storage.k8s.io"
        return self.classes


def request(resource, obj, old=None, *classes):
    return AdmissionRequest("UPDATE" if old else "CREATE", "", "v1", "", resource, "", "ns", "c", obj, old,
                            UserInfo("u", ()), False, Reader(*classes), [])  # fmt: skip


def claim(size="1Gi", **spec):
    return {"metadata": {"name": "c"}, "spec": {"resources": {"requests": {"storage": size}}, **spec}}


@pytest.mark.parametrize(
    ("resource", "finalizer"),
    [(CLAIMS, "kubernetes.io/pvc-protection"), ("persistentvolumes", "kubernetes.io/pv-protection")],
)
def test_new_claims_and_volumes_are_protected(resource, finalizer):
    obj = {"metadata": {"finalizers": ["example.com/mine"]}}
    for _ in range(2):
        StorageObjectInUseProtection().admit(request(resource, obj))
    assert obj["metadata"]["finalizers"] == ["example.com/mine", finalizer]
    pod = {"metadata": {}}
    StorageObjectInUseProtection().admit(request("pods", pod))
    assert pod == {"metadata": {}}


def test_the_newest_default_class_is_named():
    classes = [storage_class("a", default=True), storage_class("b", default=True), storage_class("c"),
               storage_class("new", default=True, made="2026-01-02T00:00:00Z")]  # fmt: skip
    plain = claim()
    DefaultStorageClass().admit(request(CLAIMS, plain, None, *classes))
    assert plain["spec"]["storageClassName"] == "new"
    plain = claim()
    DefaultStorageClass().admit(request(CLAIMS, plain, None, *classes[:3]))
    assert plain["spec"]["storageClassName"] == "a"


@pytest.mark.parametrize("fields", [{"storageClassName": ""}, {"storageClassName": "c"}])
def test_a_claim_that_says_something_keeps_it(fields):
    obj = claim(**fields)
    DefaultStorageClass().admit(request(CLAIMS, obj, None, storage_class("a", default=True)))
    assert obj["spec"]["storageClassName"] == fields["storageClassName"]
    without = claim()
    DefaultStorageClass().admit(request(CLAIMS, without, None, storage_class("a")))
    assert "storageClassName" not in without["spec"]


def test_claims_grow_where_their_class_allows_it():
    old, new = claim(storageClassName="a"), claim("2Gi", storageClassName="a")
    resize = PersistentVolumeClaimResize()
    resize.validate(request(CLAIMS, new, old, storage_class("a", allowVolumeExpansion=True)))
    resize.validate(request(CLAIMS, old, new))  # smaller: the kind's own rules
    for classes in ((), (storage_class("a"),)):
        with pytest.raises(ForbiddenError, match='persistentvolumeclaims "c" is forbidden: only dynamically provisioned'):
            resize.validate(request(CLAIMS, new, old, *classes))
    with pytest.raises(ForbiddenError):
        resize.validate(request(CLAIMS, claim("2Gi"), claim(), storage_class("a", allowVolumeExpansion=True)))
