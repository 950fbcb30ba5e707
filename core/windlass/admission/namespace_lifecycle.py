"""Objects live in namespaces that exist and are not going away."""

from windlass.errors import NAMESPACE_TERMINATING, ErrorDetails, FieldError, ForbiddenError, NotFoundError
from windlass.plugin.interfaces.admission import AdmissionRequest

PROTECTED = frozenset({"default", "kube-system", "kube-public"})


class NamespaceLifecycle:
    """Refuses creation in a missing or terminating namespace and deletion of the system's own."""

    name = "NamespaceLifecycle"
    keeps_schema = True

    def admit(self, request: AdmissionRequest) -> None:
        """Change nothing."""

    def validate(self, request: AdmissionRequest) -> None:
        """Refuse with 404 for a missing namespace, 403 for a terminating or a protected one."""
        if request.operation == "DELETE" and request.resource == "namespaces" and request.name in PROTECTED:
            raise ForbiddenError(f'namespaces "{request.name}" is forbidden: this namespace may not be deleted')
        if request.operation != "CREATE" or not request.namespace or request.subresource:
            return
        namespace = request.reader.get("namespaces", "", request.namespace)
        if namespace is None:
            raise NotFoundError(
                f'namespaces "{request.namespace}" not found',
                details=ErrorDetails(kind="namespaces", name=request.namespace),
            )
        if namespace["metadata"].get("deletionTimestamp") or namespace.get("status", {}).get("phase") == "Terminating":
            reason = f"unable to create new content in namespace {request.namespace} because it is being terminated"
            group = f".{request.group}" if request.group else ""
            raise ForbiddenError(
                f'{request.resource}{group} "{request.name}" is forbidden: {reason}',
                details=ErrorDetails(
                    group=request.group,
                    kind=request.resource,
                    name=request.name,
                    causes=(FieldError("metadata.namespace", reason, NAMESPACE_TERMINATING),),
                ),
            )
