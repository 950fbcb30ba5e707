"""`serviceaccounts/NAME/token`, TokenReview, and the documents by which others check our tokens."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson

from windlass.api.body import read_body
from windlass.api.guard import Guard
from windlass.api.negotiation import negotiate
from windlass.api.request import PAGE_NOT_FOUND, ApiRequest
from windlass.api.resources import NOT_ALLOWED, context_of
from windlass.api.response import ApiResponse, json_response, warning_headers
from windlass.api.router import Router
from windlass.apimachinery.scheme import Obj
from windlass.apis.authentication.tokens import TOKEN_REQUESTS, TOKEN_REVIEWS
from windlass.auth.node_authorizer import NODE_GROUP, NODE_PREFIX
from windlass.auth.service_accounts.tokens import ALGORITHM, ServiceAccountTokens
from windlass.clock import rfc3339
from windlass.errors import (
    BadRequestError,
    ConflictError,
    FieldError,
    ForbiddenError,
    MethodNotAllowedError,
    NotFoundError,
    UnauthorizedError,
)
from windlass.plugin.interfaces.authn import Credentials, ObjectReader, UserInfo
from windlass.registry.decoding import decode_body
from windlass.registry.generic import Registry
from windlass.registry.refusals import invalid

MIN_SECONDS, MAX_SECONDS = 600, 1 << 32
BOUND_KINDS = {("v1", "Pod"): "pods", ("v1", "Secret"): "secrets", ("v1", "Node"): "nodes"}
CONFIGURATION, KEYS = "/.well-known/openid-configuration", "/openid/v1/jwks"
JWKS_TYPE = "application/jwk-set+json"


class Bound(NamedTuple):
    """An object that a token is bound to; `key` is its claim."""

    key: str
    obj: Mapping[str, Any]


class TokenRequestHandler:
    """Gives out tokens of service accounts."""

    def __init__(self, tokens: ServiceAccountTokens, reader: ObjectReader, max_body_bytes: int) -> None:
        self._tokens = tokens
        self._reader = reader
        self._max_body_bytes = max_body_bytes

    async def handle(self, request: ApiRequest, registry: Registry) -> ApiResponse:
        """Answer a TokenRequest. Raises 400, 403 (a node, for a pod that is not its own), 404, 409, 422."""
        negotiate(request.header(b"accept"), forms=False)
        context, path = context_of(request), request.path
        asked, errors = decode_body(TOKEN_REQUESTS, await read_body(request, self._max_body_bytes), context)
        errors = errors or _problems(asked["spec"])
        if errors:
            raise invalid(TOKEN_REQUESTS, path.name, errors)
        account = (await registry.get(path.namespace, path.name)).obj
        bound = self._bound(asked["spec"], account)
        _check_node(request.user, bound)
        spec = {"audiences": [self._tokens.issuer], **asked["spec"]}
        spec["audiences"] = spec["audiences"] or [self._tokens.issuer]
        token, expiry = self._tokens.issue(
            path.namespace,
            path.name,
            self._private_claims(account, bound),
            audiences=spec["audiences"],
            seconds=spec["expirationSeconds"],
        )
        metadata = {
            "name": path.name,
            "namespace": path.namespace,
            "creationTimestamp": account["metadata"]["creationTimestamp"],
        }
        status = {"token": token, "expirationTimestamp": rfc3339(datetime.fromtimestamp(expiry, UTC))}
        response = json_response({**asked, "metadata": metadata, "spec": spec, "status": status}, 201)
        response.headers += warning_headers(context.warnings)
        return response

    def _bound(self, spec: Obj, account: Mapping[str, Any]) -> Bound | None:
        ref = spec.get("boundObjectRef")
        if not ref:
            return None
        resource = BOUND_KINDS[ref.get("apiVersion") or "v1", ref["kind"]]
        namespace, name = account["metadata"]["namespace"], ref.get("name") or ""
        obj = self._reader.get(resource, "" if resource == "nodes" else namespace, name)
        if obj is None:
            raise NotFoundError(f'{resource} "{name}" not found')
        uid = obj["metadata"]["uid"]
        if ref.get("uid") and ref["uid"] != uid:
            raise ConflictError(
                f'Operation cannot be fulfilled on {ref["kind"]} "{name}": the UID in the bound object reference ({ref["uid"]}) '
                f"does not match the UID in record. The object might have been deleted and then recreated"
            )
        if resource == "pods" and obj["spec"].get("serviceAccountName") != account["metadata"]["name"]:
            raise BadRequestError(
                f'cannot bind token for serviceaccount "{account["metadata"]["name"]}" to pod running with different '
                f"serviceaccount name."
            )
        return Bound(ref["kind"].lower(), obj)

    def _private_claims(self, account: Mapping[str, Any], bound: Bound | None) -> dict[str, Any]:
        claims = {"serviceaccount": _reference(account)}
        if bound is not None:
            claims[bound.key] = _reference(bound.obj)
            node = (
                self._reader.get("nodes", "", bound.obj["spec"].get("nodeName") or "") if bound.key == "pod" else None
            )
            if node is not None:
                claims["node"] = _reference(node)
        return claims


class TokenReviewHandler:
    """Says what a token is worth."""

    def __init__(self, guard: Guard, issuer: str, max_body_bytes: int) -> None:
        self._guard = guard
        self._issuer = issuer
        self._max_body_bytes = max_body_bytes

    async def handle(self, request: ApiRequest) -> ApiResponse:
        """Answer a TokenReview. Raises 400, 404, 405."""
        if request.path.name or request.path.namespace:
            raise NotFoundError(PAGE_NOT_FOUND)
        if request.verb != "create":
            raise MethodNotAllowedError(NOT_ALLOWED)
        negotiate(request.header(b"accept"), forms=False)
        context = context_of(request)
        review, errors = decode_body(TOKEN_REVIEWS, await read_body(request, self._max_body_bytes), context)
        if errors:
            raise invalid(TOKEN_REVIEWS, "", errors)
        if not review["spec"].get("token"):
            raise BadRequestError("token is required for TokenReview in authentication")
        review["metadata"] = {"creationTimestamp": None, **(review.get("metadata") or {})}
        review["status"] = self._answer(review["spec"]["token"], review["spec"].get("audiences") or [])
        response = json_response(review, 201)
        response.headers += warning_headers(context.warnings)
        return response

    def _answer(self, token: str, audiences: Sequence[str]) -> Obj:
        try:
            user = self._guard.identify(Credentials(None, token, tuple(audiences)))
        except UnauthorizedError as error:
            return {"authenticated": False, "error": str(error)}
        good_for = list(user.audiences) or [audience for audience in audiences if audience == self._issuer]
        if audiences and not good_for:
            return {"authenticated": False, "error": "the token is not meant for any of the audiences"}
        shown: Obj = {"username": user.name, "groups": list(user.groups)}
        if user.uid:
            shown["uid"] = user.uid
        if user.extra:
            shown["extra"] = {key: list(values) for key, values in user.extra.items()}
        answer: Obj = {"authenticated": True, "user": shown}
        return answer | ({"audiences": good_for} if audiences else {})


def add_issuer_documents(router: Router, tokens: ServiceAccountTokens, address: str) -> None:
    """Serve the documents of OpenID Connect's discovery that a checker of our tokens needs."""
    configuration = {
        "issuer": tokens.issuer,
        "jwks_uri": f"https://{address}{KEYS}",
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [ALGORITHM],
    }

    async def serve_configuration(_request: ApiRequest) -> ApiResponse:
        return json_response(configuration)

    async def serve_keys(_request: ApiRequest) -> ApiResponse:
        return ApiResponse(orjson.dumps(tokens.keys.jwks()), content_type=JWKS_TYPE)

    router.add_path(CONFIGURATION, serve_configuration)
    router.add_path(KEYS, serve_keys)


def _problems(spec: Obj) -> list[FieldError]:
    seconds, ref = spec["expirationSeconds"], spec.get("boundObjectRef")
    found = []
    if seconds < MIN_SECONDS:
        found.append(_invalid("spec.expirationSeconds", seconds, "may not specify a duration less than 10 minutes"))
    elif seconds > MAX_SECONDS:
        found.append(_invalid("spec.expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds"))
    if ref and (ref.get("apiVersion") or "v1", ref.get("kind")) not in BOUND_KINDS:
        shown = f"{ref.get('apiVersion') or 'v1'}, Kind={ref.get('kind')}"
        found.append(_invalid("spec.boundObjectRef", shown, "cannot bind token to this type of object"))
    return found


def _invalid(field: str, value: Any, detail: str) -> FieldError:
    return FieldError(field, f"Invalid value: {orjson.dumps(value).decode()}: {detail}")


def _check_node(user: UserInfo, bound: Bound | None) -> None:
    """Let a node have tokens only for pods that are bound to it."""
    if NODE_GROUP not in user.groups:
        return
    node = user.name.removeprefix(NODE_PREFIX)
    if bound is None or bound.key != "pod":
        raise ForbiddenError(f"node {node} requested a token that is not bound to a pod")
    if bound.obj["spec"].get("nodeName") != node:
        raise ForbiddenError(f"node {node} requested a token bound to a pod scheduled on a different node")


def _reference(obj: Mapping[str, Any]) -> dict[str, str]:
    return {"name": obj["metadata"]["name"], "uid": obj["metadata"]["uid"]}
