"""authentication.k8s.io/v1: who am I. Created to be answered, never stored."""

from windlass.apimachinery.schema import ListOf, MapOf, Nested, ObjectSchema, Str
from windlass.apimachinery.scheme import KindDefinition
from windlass.apis.meta.v1 import ApiObject

PREFIX = "io.k8s.api.authentication.v1"


class UserInfo(ObjectSchema):
    """A user as the authenticators see them."""

    openapi_prefix = PREFIX

    extra = MapOf("Whatever else the authenticator knows.", ListOf("Values of the key.", Str("A value.")))
    groups = ListOf("Groups that the user is in.", Str("A group."))
    uid = Str("What tells the user from others who had the name before.")
    username = Str("The user's name.")


class SelfSubjectReviewStatus(ObjectSchema):
    """The answer."""

    openapi_prefix = PREFIX

    user_info = Nested("Who is asking.", UserInfo)


class SelfSubjectReview(ApiObject):
    """Asks who the asking user is."""

    openapi_prefix = PREFIX

    status = Nested("The answer.", SelfSubjectReviewStatus)


SELF_SUBJECT_REVIEWS = KindDefinition(
    "authentication.k8s.io", "v1", "SelfSubjectReview", "selfsubjectreviews", "selfsubjectreview",
    namespaced=False, schema=SelfSubjectReview, verbs=("create",),
)  # fmt: skip
