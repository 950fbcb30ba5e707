"""authentication.k8s.io/v1: asking for a service account's token, and what a token is worth. Never stored."""

from windlass.apimachinery.schema import Bool, Int, ListOf, Nested, ObjectSchema, Str, Time
from windlass.apimachinery.scheme import KindDefinition
from windlass.apis.authentication.v1 import PREFIX, UserInfo
from windlass.apis.meta.v1 import ApiObject


class BoundObjectReference(ObjectSchema):
    """An object whose end is the token's end."""

    openapi_prefix = PREFIX

    api_version = Str("API version of the object.")
    kind = Str("Kind of the object: Pod, Secret or Node.")
    name = Str("Name of the object.")
    uid = Str("UID of the object.")


class TokenRequestSpec(ObjectSchema):
    """What is asked for."""

    openapi_prefix = PREFIX

    audiences = ListOf("Whom the token is meant for; the API server when empty.", Str("An audience."))
    bound_object_ref = Nested("Object whose end is the token's end.", BoundObjectReference)
    expiration_seconds = Int("Seconds that the token is to be good for.", bits=64, default=3600)


class TokenRequestStatus(ObjectSchema):
    """What is given."""

    openapi_prefix = PREFIX

    expiration_timestamp = Time("When the token expires.")
    token = Str("The token.")


class TokenRequest(ApiObject):
    """Asks for a token of a service account."""

    openapi_prefix = PREFIX

    spec = Nested("What is asked for.", TokenRequestSpec, required=True)
    status = Nested("What is given.", TokenRequestStatus)


class TokenReviewSpec(ObjectSchema):
    """What is asked."""

    openapi_prefix = PREFIX

    audiences = ListOf("Whom the token has to be meant for; the API server when empty.", Str("An audience."))
    token = Str("The token.")


class TokenReviewStatus(ObjectSchema):
    """The answer."""

    openapi_prefix = PREFIX

    audiences = ListOf("Those of the asked audiences that the token is meant for.", Str("An audience."))
    authenticated = Bool("Whether the token is good.")
    error = Str("Why the token could not be checked.")
    user = Nested("Whose token it is.", UserInfo)


class TokenReview(ApiObject):
    """Asks what a token is worth."""

    openapi_prefix = PREFIX

    spec = Nested("What is asked.", TokenReviewSpec, required=True)
    status = Nested("The answer.", TokenReviewStatus)


TOKEN_REQUESTS = KindDefinition(
    "authentication.k8s.io", "v1", "TokenRequest", "tokenrequests", "tokenrequest",
    namespaced=True, schema=TokenRequest, verbs=("create",),
)  # fmt: skip
"""Posted to `serviceaccounts/NAME/token`; no collection of its own."""
TOKEN_REVIEWS = KindDefinition(
    "authentication.k8s.io", "v1", "TokenReview", "tokenreviews", "tokenreview",
    namespaced=False, schema=TokenReview, verbs=("create",),
)  # fmt: skip
