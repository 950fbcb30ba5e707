"""Reviews: who am I, and may I. Answered on the spot by the guard that lets requests in, never stored."""

from collections.abc import Mapping
from typing import Any

from windlass.api.body import read_body
from windlass.api.guard import Guard
from windlass.api.negotiation import negotiate
from windlass.api.request import PAGE_NOT_FOUND, ApiRequest
from windlass.api.resources import NOT_ALLOWED, context_of
from windlass.api.response import ApiResponse, json_response, warning_headers
from windlass.apimachinery.scheme import KindDefinition, Obj
from windlass.apis.authentication.v1 import SELF_SUBJECT_REVIEWS
from windlass.apis.authorization.v1 import (
    KINDS,
    LOCAL_SUBJECT_ACCESS_REVIEWS,
    SELF_SUBJECT_ACCESS_REVIEWS,
)
from windlass.errors import FieldError, MethodNotAllowedError, NotFoundError
from windlass.plugin.interfaces.authn import Attributes, UserInfo
from windlass.registry.decoding import decode_body
from windlass.registry.refusals import invalid

REVIEW_KINDS = (SELF_SUBJECT_REVIEWS, *KINDS)


class ReviewHandler:
    """Serves one kind of review."""

    def __init__(self, kind: KindDefinition, guard: Guard, max_body_bytes: int) -> None:
        self._kind = kind
        self._guard = guard
        self._max_body_bytes = max_body_bytes

    async def handle(self, request: ApiRequest) -> ApiResponse:
        """Answer a review. Raises 404, 405, 406 (there is no Table of it), 422."""
        path = request.path
        if path.name or bool(path.namespace) != self._kind.namespaced:
            raise NotFoundError(PAGE_NOT_FOUND)
        if request.verb != "create":
            raise MethodNotAllowedError(NOT_ALLOWED)
        negotiate(request.header(b"accept"), forms=False)
        context = context_of(request)
        review, errors = decode_body(self._kind, await read_body(request, self._max_body_bytes), context)
        errors = [*errors, *([] if errors else _problems(self._kind, review, path.namespace))]
        if errors:
            raise invalid(self._kind, (review.get("metadata") or {}).get("name", ""), errors)
        review["metadata"] = {"creationTimestamp": None, **(review.get("metadata") or {})}
        review["status"] = self._answer(review, request.user)
        response = json_response(review, 201)
        response.headers += warning_headers(context.warnings)
        return response

    def _answer(self, review: Obj, user: UserInfo) -> Obj:
        if self._kind is SELF_SUBJECT_REVIEWS:
            return {"userInfo": _shown(user)}
        spec = review["spec"]
        if self._kind is not SELF_SUBJECT_ACCESS_REVIEWS:
            groups, extra = tuple(spec.get("groups") or ()), spec.get("extra") or {}
            user = UserInfo(spec.get("user", ""), groups, spec.get("uid", ""), extra)
        decision = self._guard.decide(attributes_of(spec, user))
        answer: Obj = {"allowed": decision.allowed is True}
        if decision.allowed is False:
            answer["denied"] = True
        return answer | ({"reason": decision.reason} if decision.reason else {})


def attributes_of(spec: Mapping[str, Any], user: UserInfo) -> Attributes:
    """Return the request that a review asks about."""
    asked = spec.get("resourceAttributes")
    if asked is None:
        path = spec["nonResourceAttributes"]
        return Attributes(user, path.get("verb", ""), path=path.get("path", ""))
    return Attributes(
        user,
        asked.get("verb", ""),
        asked.get("group", ""),
        asked.get("version", ""),
        asked.get("resource", ""),
        asked.get("subresource", ""),
        asked.get("namespace", ""),
        asked.get("name", ""),
        field_selector=_field_selector(asked.get("fieldSelector") or {}),
    )


def _field_selector(selector: Mapping[str, Any]) -> str:
    conditions = [
        f"{one['key']}={one['values'][0]}"
        for one in selector.get("requirements") or ()
        if one["operator"] == "In" and len(one.get("values") or ()) == 1
    ]
    return str(selector.get("rawSelector") or ",".join(conditions))


def _problems(kind: KindDefinition, review: Obj, namespace: str) -> list[FieldError]:
    """Return what the schema cannot say: one request, of somebody, in the path's namespace."""
    if kind is SELF_SUBJECT_REVIEWS:
        return []
    spec = review["spec"]
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    found = []
    if (resource is None) == (path is None):
        detail = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        found.append(FieldError("spec.resourceAttributes", f"Invalid value: null: {detail}", "FieldValueInvalid"))
    if kind is not SELF_SUBJECT_ACCESS_REVIEWS and not spec.get("user") and not spec.get("groups"):
        detail = "at least one of user or group must be specified"
        found.append(FieldError("spec.user", f"Required value: {detail}", "FieldValueRequired"))
    if kind is LOCAL_SUBJECT_ACCESS_REVIEWS:
        asked = (resource or {}).get("namespace", "")
        if resource is None:
            found.append(
                FieldError("spec.nonResourceAttributes", "Invalid value: null: disallowed on this kind of request")
            )
        elif asked != namespace:
            field, detail = "spec.resourceAttributes.namespace", "must match metadata.namespace"
            found.append(FieldError(field, f'Invalid value: "{asked}": {detail}', "FieldValueInvalid"))
    return found


def _shown(user: UserInfo) -> Obj:
    shown: Obj = {"username": user.name, "groups": list(user.groups)}
    if user.uid:
        shown["uid"] = user.uid
    if user.extra:
        shown["extra"] = {key: list(values) for key, values in user.extra.items()}
    return shown
