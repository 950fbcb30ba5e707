"""authorization.k8s.io/v1: may somebody do something. Created to be answered, never stored."""

from windlass.apimachinery.schema import Bool, ListOf, MapOf, Nested, ObjectSchema, Str
from windlass.apimachinery.scheme import KindDefinition
from windlass.apis.meta.v1 import ApiObject

PREFIX = "io.k8s.api.authorization.v1"
GROUP = "authorization.k8s.io"


class SelectorRequirement(ObjectSchema):
    """One condition of a selector that the request carries."""

    key = Str("Label or field that the condition looks at.", required=True)
    operator = Str("How key and values relate: In, NotIn, Exists or DoesNotExist.", required=True)
    values = ListOf("Values for In and NotIn.", Str("A value."))


class FieldSelectorRequirement(SelectorRequirement):
    """One condition on a field."""

    openapi_prefix = "io.k8s.apimachinery.pkg.apis.meta.v1"


class LabelSelectorCondition(SelectorRequirement):
    """One condition on a label."""

    openapi_name = "io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelectorRequirement"


class FieldSelectorAttributes(ObjectSchema):
    """The field selector that the request carries."""

    openapi_prefix = PREFIX

    raw_selector = Str("The selector as it would stand in the query.")
    requirements = ListOf("The selector's conditions.", FieldSelectorRequirement)


class LabelSelectorAttributes(ObjectSchema):
    """The label selector that the request carries."""

    openapi_prefix = PREFIX

    raw_selector = Str("The selector as it would stand in the query.")
    requirements = ListOf("The selector's conditions.", LabelSelectorCondition)


class ResourceAttributes(ObjectSchema):
    """A request for a resource."""

    openapi_prefix = PREFIX

    field_selector = Nested("Field selector of the request.", FieldSelectorAttributes)
    group = Str("Group of the resource; `*` means all.")
    label_selector = Nested("Label selector of the request.", LabelSelectorAttributes)
    name = Str("Name of the object; empty means all.")
    namespace = Str("Namespace; empty means all, or none for what has no namespace.")
    resource = Str("Plural name of the resource; `*` means all.")
    subresource = Str("Subresource, such as `log`.")
    verb = Str("What is to be done: get, list, watch, create, update, patch, delete, ...; `*` means all.")
    version = Str("Version of the resource; `*` means all.")


class NonResourceAttributes(ObjectSchema):
    """A request for a path that is no resource."""

    openapi_prefix = PREFIX

    path = Str("The path.")
    verb = Str("The HTTP method, in small letters.")


class SelfSubjectAccessReviewSpec(ObjectSchema):
    """The request in question: exactly one of the two."""

    openapi_prefix = PREFIX

    non_resource_attributes = Nested("A request for a path.", NonResourceAttributes)
    resource_attributes = Nested("A request for a resource.", ResourceAttributes)


class SubjectAccessReviewSpec(SelfSubjectAccessReviewSpec):
    """The request in question, and whose it is."""

    openapi_prefix = PREFIX

    extra = MapOf("Whatever else the authenticator knows of the user.", ListOf("Values.", Str("A value.")))
    groups = ListOf("Groups that the user is in.", Str("A group."))
    uid = Str("The user's uid.")
    user = Str("The user's name.")


class SubjectAccessReviewStatus(ObjectSchema):
    """The answer."""

    openapi_prefix = PREFIX

    allowed = Bool("True when the request would be let through.", required=True)
    denied = Bool("True when somebody says no; false with allowed false: nobody says yes.")
    evaluation_error = Str("What kept an authoriser from deciding.")
    reason = Str("Why the answer is what it is.")


class SelfSubjectAccessReview(ApiObject):
    """Asks what the asking user may do."""

    openapi_prefix = PREFIX

    spec = Nested("The request in question.", SelfSubjectAccessReviewSpec, required=True)
    status = Nested("The answer.", SubjectAccessReviewStatus)


class SubjectAccessReview(ApiObject):
    """Asks what any user may do."""

    openapi_prefix = PREFIX

    spec = Nested("The request in question.", SubjectAccessReviewSpec, required=True)
    status = Nested("The answer.", SubjectAccessReviewStatus)


class LocalSubjectAccessReview(SubjectAccessReview):
    """Asks what any user may do in one namespace."""

    openapi_prefix = PREFIX


def _review(schema: type[ApiObject], *, namespaced: bool = False) -> KindDefinition:
    kind = schema.__name__
    return KindDefinition(
        GROUP, "v1", kind, f"{kind.lower()}s", kind.lower(), namespaced=namespaced, schema=schema, verbs=("create",)
    )


SELF_SUBJECT_ACCESS_REVIEWS = _review(SelfSubjectAccessReview)
SUBJECT_ACCESS_REVIEWS = _review(SubjectAccessReview)
LOCAL_SUBJECT_ACCESS_REVIEWS = _review(LocalSubjectAccessReview, namespaced=True)
KINDS = (SELF_SUBJECT_ACCESS_REVIEWS, SUBJECT_ACCESS_REVIEWS, LOCAL_SUBJECT_ACCESS_REVIEWS)
