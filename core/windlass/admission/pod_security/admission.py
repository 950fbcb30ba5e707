"""PodSecurity: a namespace's labels say which Pod Security Standard its pods must keep, and of which one users are warned.

`pod-security.kubernetes.io/enforce|audit|warn: privileged|baseline|restricted`, each with `-version: latest|v1.N`. What a
namespace does not say, the plugin's configuration says. Templates of workloads are warned of and never refused: their
pods are. All versions mean today's rules.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from windlass.admission.pod_security.standards import LEVELS, violations
from windlass.apimachinery.field_errors import invalid
from windlass.errors import ErrorDetails, FieldError, ForbiddenError, InvalidError
from windlass.logs import get_logger
from windlass.plugin.interfaces.admission import AdmissionRequest

PREFIX = "pod-security.kubernetes.io/"
MODES = ("enforce", "audit", "warn")
VERSION = re.compile(r"latest|v1\.\d{1,4}")
TEMPLATES = {
    ("", "replicationcontrollers"), ("", "podtemplates"), ("apps", "replicasets"), ("apps", "deployments"),
    ("apps", "statefulsets"), ("apps", "daemonsets"), ("batch", "jobs"), ("batch", "cronjobs"),
}  # fmt: skip
NAMED_PODS = 10
"""How many of the pods that break a namespace's new level its warning names."""
log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Policy:
    """A level and its version as they were written, `restricted:latest`."""

    level: str = "privileged"
    version: str = "latest"

    def __str__(self) -> str:
        return f"{self.level}:{self.version}"

    def broken_by(self, pod: Mapping[str, Any]) -> str:
        """Return what a pod (or a template) does against it, '' when nothing."""
        annotations = (pod.get("metadata") or {}).get("annotations") or {}
        return ", ".join(violations(pod.get("spec") or {}, annotations, self.level))


@dataclass(frozen=True, slots=True)
class Exemptions:
    """Who is not asked: these namespaces, these users, pods of these runtime classes."""

    namespaces: frozenset[str] = frozenset()
    usernames: frozenset[str] = frozenset()
    runtime_classes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class PodSecurity:
    """Refuses pods by the `enforce` level of their namespace, warns by `warn`, logs by `audit`."""

    defaults: Mapping[str, Policy] = field(default_factory=dict)
    exemptions: Exemptions = Exemptions()
    name: ClassVar[str] = "PodSecurity"
    keeps_schema: ClassVar[bool] = True

    def admit(self, request: AdmissionRequest) -> None:
        """Change nothing."""

    def validate(self, request: AdmissionRequest) -> None:
        """Raise ForbiddenError for a pod below its namespace's level, InvalidError for labels that name no level."""
        if request.obj is None:
            return
        what = (request.group, request.resource)
        if what == ("", "namespaces") and not request.subresource:
            self._check_namespace(request, request.obj)
        elif what == ("", "pods") and _counts(request):
            self._check_pod(request, request.obj)
        elif what in TEMPLATES and not request.subresource:
            self._check_template(request, request.obj)

    def policy(self, labels: Mapping[str, str], mode: str) -> Policy:
        """Return a namespace's policy of one mode. A label that names no level means the strictest one, as upstream."""
        default = self.defaults.get(mode, Policy())
        level = labels.get(PREFIX + mode)
        if level is None:
            return default
        version = labels.get(f"{PREFIX}{mode}-version", "latest")
        return Policy(level if level in LEVELS else LEVELS[-1], version if VERSION.fullmatch(version) else "latest")

    def _exempt(self, request: AdmissionRequest, spec: Mapping[str, Any]) -> bool:
        return (
            request.namespace in self.exemptions.namespaces
            or request.user.name in self.exemptions.usernames
            or spec.get("runtimeClassName") in self.exemptions.runtime_classes
        )

    def _check_pod(self, request: AdmissionRequest, pod: Mapping[str, Any]) -> None:
        if self._exempt(request, pod.get("spec") or {}):
            return
        labels = _namespace_labels(request)
        enforced = self.policy(labels, "enforce")
        if broken := enforced.broken_by(pod):
            raise ForbiddenError(f'pods "{request.name}" is forbidden: violates PodSecurity "{enforced}": {broken}')
        self._tell(request, labels, pod)

    def _check_template(self, request: AdmissionRequest, obj: Mapping[str, Any]) -> None:
        template = _template(obj)
        if template and not self._exempt(request, template.get("spec") or {}):
            self._tell(request, _namespace_labels(request), template)

    def _tell(self, request: AdmissionRequest, labels: Mapping[str, str], pod: Mapping[str, Any]) -> None:
        """Warn the user and log what the laxer modes find."""
        warned, audited = self.policy(labels, "warn"), self.policy(labels, "audit")
        if broken := warned.broken_by(pod):
            request.warnings.append(f'would violate PodSecurity "{warned}": {broken}')
        if broken := audited.broken_by(pod):
            log.info("pod_security_audit", policy=str(audited), resource=request.resource, namespace=request.namespace,
                     name=request.name, user=request.user.name, violations=broken)  # fmt: skip

    def _check_namespace(self, request: AdmissionRequest, namespace: Mapping[str, Any]) -> None:
        labels = (namespace.get("metadata") or {}).get("labels") or {}
        errors = list(_label_errors(labels))
        if errors and not _deleting(namespace):
            text = ", ".join(f"{error.field}: {error.message}" for error in errors)
            details = ErrorDetails(kind="Namespace", name=request.name, causes=errors)
            raise InvalidError(f'Namespace "{request.name}" is invalid: {text}', details=details)
        before = (((request.old or {}).get("metadata") or {}).get("labels")) or {}
        enforced = self.policy(labels, "enforce")
        exempt = request.name in self.exemptions.namespaces
        if request.old is None or exempt or enforced == self.policy(before, "enforce"):
            return
        broken = [pod for pod in request.reader.list("pods", request.name) if enforced.broken_by(pod)]
        if broken:
            request.warnings += _warnings_of(request.name, enforced, broken)


def _warnings_of(namespace: str, enforced: Policy, pods: Sequence[Mapping[str, Any]]) -> list[str]:
    first = f'existing pods in namespace "{namespace}" violate the new PodSecurity enforce level "{enforced}"'
    named = [f"{pod['metadata']['name']}: {enforced.broken_by(pod)}" for pod in pods[:NAMED_PODS]]
    rest = len(pods) - len(named)
    return [first, *named, *([f"and {rest} more pods"] if rest else [])]


def _counts(request: AdmissionRequest) -> bool:
    """Say whether a write may change what a pod is allowed: a new pod, or a container added to one that runs.

    Updates of a pod change images, tolerations and metadata only, and none of these is a matter of the standards.
    """
    if request.subresource:
        return request.subresource == "ephemeralcontainers"
    return request.operation == "CREATE"


def _template(obj: Mapping[str, Any]) -> Mapping[str, Any] | None:
    spec = obj.get("spec") or obj
    found: Mapping[str, Any] | None = (spec.get("jobTemplate") or {"spec": spec})["spec"].get("template")
    return found


def _namespace_labels(request: AdmissionRequest) -> Mapping[str, str]:
    namespace = request.reader.get("namespaces", "", request.namespace)
    labels: Mapping[str, str] = ((namespace or {}).get("metadata") or {}).get("labels") or {}
    return labels


def _deleting(namespace: Mapping[str, Any]) -> bool:
    return bool(namespace["metadata"].get("deletionTimestamp"))


def _label_errors(labels: Mapping[str, str]) -> Iterator[FieldError]:
    for mode in MODES:
        level, version = labels.get(PREFIX + mode), labels.get(f"{PREFIX}{mode}-version")
        if level is not None and level not in LEVELS:
            message = f"must be one of {', '.join(LEVELS)}"
            yield invalid(f"metadata.labels[{PREFIX}{mode}]", level, message)
        if version is not None and not VERSION.fullmatch(version):
            message = 'must be "latest" or "v1.x"'
            yield invalid(f"metadata.labels[{PREFIX}{mode}-version]", version, message)
