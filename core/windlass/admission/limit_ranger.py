"""Limit ranges at work: defaults for new pods' containers, bounds for pods and claims."""

from collections.abc import Iterator, Mapping
from typing import Any

from windlass.apis.core.v1.limits import claim_problems, give_defaults, pod_problems
from windlass.errors import ErrorDetails, ForbiddenError
from windlass.plugin.interfaces.admission import AdmissionRequest

RANGES = "limitranges"
PODS, CLAIMS = "pods", "persistentvolumeclaims"


class LimitRanger:
    """Gives and holds what the namespace's LimitRanges say (C308)."""

    name = "LimitRanger"
    keeps_schema = True

    def admit(self, request: AdmissionRequest) -> None:
        """Give a new pod's containers the requests and limits they lack."""
        if request.resource == PODS:
            for limit_range in self._ranges(request):
                give_defaults(request.obj or {}, limit_range)

    def validate(self, request: AdmissionRequest) -> None:
        """Refuse with 403 what is outside a range; everything wrong by one range is named at once."""
        find = pod_problems if request.resource == PODS else claim_problems
        for limit_range in self._ranges(request):
            found = list(dict.fromkeys(find(request.obj or {}, limit_range)))
            if found:
                text = found[0] if len(found) == 1 else f"[{', '.join(found)}]"
                details = ErrorDetails(kind=request.resource, name=request.name)
                raise ForbiddenError(f'{request.resource} "{request.name}" is forbidden: {text}', details=details)

    def _ranges(self, request: AdmissionRequest) -> Iterator[Mapping[str, Any]]:
        operations = {PODS: ("CREATE",), CLAIMS: ("CREATE", "UPDATE")}.get(request.resource, ())
        if request.group or request.subresource or request.operation not in operations or request.obj is None:
            return
        if request.obj["metadata"].get("deletionTimestamp"):
            return  # on its way out: only finalizers change
        yield from request.reader.list(RANGES, request.namespace)
