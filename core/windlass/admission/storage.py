"""What admission adds to new claims and volumes, and when a claim may grow."""

from collections.abc import Mapping
from typing import Any

from windlass.apimachinery.quantity import compare
from windlass.apis.core.v1.access_modes import BETA_CLASS, storage_class_of
from windlass.apis.core.v1.persistent_volume_claim_validation import requested_storage
from windlass.apis.storage.v1.storage_class import is_default_class
from windlass.errors import ForbiddenError
from windlass.plugin.interfaces.admission import AdmissionRequest

CLASSES = "storageclasses.storage.k8s.io"
FINALIZERS = {"persistentvolumeclaims": "kubernetes.io/pvc-protection", "persistentvolumes": "kubernetes.io/pv-protection"}
CANNOT_GROW = (
    "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize"
)


def _is(request: AdmissionRequest, operation: str, *resources: str) -> bool:
    same = request.operation == operation and not request.group and not request.subresource
    return same and request.resource in resources and request.obj is not None


class StorageObjectInUseProtection:
    """Keeps claims that pods use, and volumes that claims are bound to, from vanishing: each gets a finalizer."""

    name = "StorageObjectInUseProtection"
    keeps_schema = True

    def admit(self, request: AdmissionRequest) -> None:
        """Add the finalizer that a controller takes away."""
        if request.obj is None or not _is(request, "CREATE", *FINALIZERS):
            return
        finalizer, found = FINALIZERS[request.resource], request.obj["metadata"].get("finalizers") or []
        if finalizer not in found:
            request.obj["metadata"]["finalizers"] = [*found, finalizer]

    def validate(self, request: AdmissionRequest) -> None:
        """Refuse nothing."""


class DefaultStorageClass:
    """Names the default class in claims that name none."""

    name = "DefaultStorageClass"
    keeps_schema = True

    def admit(self, request: AdmissionRequest) -> None:
        """Fill `spec.storageClassName`; of several default classes the newest counts."""
        if request.obj is None or not _is(request, "CREATE", "persistentvolumeclaims"):
            return
        spec = request.obj["spec"]
        if spec.get("storageClassName") is not None or BETA_CLASS in (request.obj["metadata"].get("annotations") or {}):
            return
        defaults = sorted((c for c in request.reader.list(CLASSES) if is_default_class(c)), key=_name)
        if defaults:
            newest = max(defaults, key=lambda c: str(c["metadata"].get("creationTimestamp") or ""))
            spec["storageClassName"] = _name(newest)

    def validate(self, request: AdmissionRequest) -> None:
        """Refuse nothing."""


def _name(obj: Mapping[str, Any]) -> str:
    return str(obj["metadata"]["name"])


class PersistentVolumeClaimResize:
    """Lets claims grow only where their class says that they may."""

    name = "PersistentVolumeClaimResize"
    keeps_schema = True

    def admit(self, request: AdmissionRequest) -> None:
        """Change nothing."""

    def validate(self, request: AdmissionRequest) -> None:
        """Refuse a larger request where the class does not allow expansion. Raises ForbiddenError."""
        if request.obj is None or request.old is None or not _is(request, "UPDATE", "persistentvolumeclaims"):
            return
        wanted, former = requested_storage(request.obj["spec"]), requested_storage(request.old["spec"])
        if wanted is None or former is None or compare(wanted, former) <= 0:
            return
        name = storage_class_of(request.old)
        found = request.reader.get(CLASSES, "", name) if name else None
        if not (found or {}).get("allowVolumeExpansion"):
            raise ForbiddenError(f'persistentvolumeclaims "{request.name}" is forbidden: {CANNOT_GROW}')
