"""Types of meta/v1: what every object, list and answer of the API is made of."""

from windlass.apimachinery.schema import (
    AnyValue,
    Bool,
    Int,
    ListOf,
    MapOf,
    Nested,
    ObjectSchema,
    Str,
    Time,
)
from windlass.apis.meta.validation import (
    validate_annotations,
    validate_finalizers,
    validate_label_selector,
    validate_labels,
    validate_owner_references,
)


class MetaSchema(ObjectSchema):
    """Root of the types in meta/v1."""

    openapi_prefix = "io.k8s.apimachinery.pkg.apis.meta.v1"


class TypeMeta(MetaSchema):
    """Says what an object is: its group, version and kind."""

    api_version = Str("Group and version that the object is written in, such as `apps/v1`.")
    kind = Str("Name of the object's kind, in CamelCase.")


class ListMeta(MetaSchema):
    """Metadata of a list: the revision it shows and how to read on."""

    continue_ = Str("Token that fetches the next chunk; empty when the list is complete.")
    remaining_item_count = Int("How many more objects follow this chunk, when that is known.", bits=64)
    resource_version = Str("Revision of the store that the list shows.")
    self_link = Str("Unused; kept so that old clients can read the type.")


class OwnerReference(MetaSchema):
    """Names the object that this one belongs to and is garbage collected with."""

    openapi_map_type = "atomic"

    api_version = Str("Group and version of the owner.", required=True)
    block_owner_deletion = Bool("Whether foreground deletion of the owner waits for this object.")
    controller = Bool("Whether the owner is the controller that manages this object; at most one may be.")
    kind = Str("Kind of the owner.", required=True)
    name = Str("Name of the owner.", required=True)
    uid = Str("Unique id of the owner, so that a namesake is not taken for it.", required=True)


class ManagedFieldsEntry(MetaSchema):
    """Records which fields one writer has set, for server-side apply."""

    api_version = Str("Version of the object that the field set was written in.")
    fields_type = Str("Format of the field set; always `FieldsV1`.")
    fields_v1 = AnyValue("The set of fields, as nested keys.", data_key="fieldsV1")
    manager = Str("Name of the writer.")
    operation = Str("How the writer wrote: `Apply` or `Update`.")
    subresource = Str("Subresource that the write went to; empty for the object itself.")
    time = Time("When the writer last changed its set of fields.")


class ObjectMeta(MetaSchema):
    """Metadata that every stored object carries."""

    annotations = MapOf("Free notes for tools and people; not usable in selectors.", Str("Text of the note."),
                        checks=(validate_annotations,))
    creation_timestamp = Time("When the server stored the object first; set by the server.")
    deletion_grace_period_seconds = Int("How long a graceful deletion may take; set by the server.", bits=64)
    deletion_timestamp = Time("When the object will be gone, once its deletion was asked for; set by the server.")
    finalizers = ListOf("Names that must each be removed before a deleted object disappears.",
                        Str("Name of a finalizer."), list_type="set", patch_strategy="merge",
                        checks=(validate_finalizers,))
    generate_name = Str("Prefix from which the server makes a unique name when none is given.")
    generation = Int("Counts changes of the desired state; set by the server.", bits=64)
    labels = MapOf("Keys and values by which selectors find the object.", Str("Value of the label."),
                   checks=(validate_labels,))
    managed_fields = ListOf("Which writer owns which fields; kept by the server.", ManagedFieldsEntry)
    name = Str("Name, unique among objects of its kind in the namespace.")
    namespace = Str("Namespace that the object lives in; empty for kinds of the whole cluster.")
    owner_references = ListOf("Objects that this one depends on; when all are gone, it is collected.",
                              OwnerReference, list_type="map", list_map_keys=("uid",),
                              patch_strategy="merge", patch_merge_key="uid", checks=(validate_owner_references,))
    resource_version = Str("Revision of the last change; sent back on update, it guards against lost writes.")
    self_link = Str("Unused; kept so that old clients can read the type.")
    uid = Str("Identity over time: differs between an object and a later namesake; set by the server.")


class ApiObject(TypeMeta):
    """Base of every stored kind: type and metadata."""

    metadata = Nested("Standard metadata of the object.", ObjectMeta)


class LabelSelectorRequirement(MetaSchema):
    """One condition on a label's key and values."""

    key = Str("Label key that the condition looks at.", required=True)
    operator = Str("How key and values relate: In, NotIn, Exists or DoesNotExist.", required=True)
    values = ListOf("Values for In and NotIn; must be empty for the other operators.", Str("A label value."))


class LabelSelector(MetaSchema):
    """Selects objects by label; all conditions must hold, none at all selects everything."""

    openapi_map_type = "atomic"
    object_checks = (validate_label_selector,)

    match_expressions = ListOf("Conditions on labels.", LabelSelectorRequirement)
    match_labels = MapOf("Labels that must be present with exactly these values.", Str("Value wanted."))


class Condition(MetaSchema):
    """One aspect of an object's state, with when and why it last changed."""

    last_transition_time = Time("When the status last changed from one value to another.", required=True)
    message = Str("What happened, for people.", required=True, max_length=32768)
    observed_generation = Int("Generation of the object that the condition was set for.", bits=64, minimum=0)
    reason = Str("Why the condition last changed, as one CamelCase word.", required=True, min_length=1, max_length=1024,
                 pattern="[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?")
    status = Str("Whether the condition holds: True, False or Unknown.", required=True,
                 enum=("True", "False", "Unknown"))
    type = Str("Name of the aspect, in CamelCase.", required=True, max_length=316)


class Preconditions(MetaSchema):
    """What must still be true of an object for a deletion to go ahead."""

    resource_version = Str("Revision that the object must be at.")
    uid = Str("Unique id that the object must have.")


class DeleteOptions(TypeMeta):
    """How an object is to be deleted."""

    dry_run = ListOf("`All`: run every check and store nothing.", Str("Stage to leave out."))
    grace_period_seconds = Int("Seconds of grace before the object goes; 0 deletes at once, absent takes the kind's "
                               "own.", bits=64)
    ignore_store_read_error_with_cluster_breaking_potential = Bool(
        "Whether to delete an object that cannot be read back; this may break what depends on its finalizers.")
    orphan_dependents = Bool("Older form of propagationPolicy: true leaves dependents in place.")
    preconditions = Nested("Conditions that must hold for the deletion to happen.", Preconditions)
    propagation_policy = Str("What becomes of dependents: Orphan, Background or Foreground.")


class StatusCause(MetaSchema):
    """One single thing that was wrong with a request."""

    field = Str("Path of the field in the object that was sent.")
    message = Str("What is wrong, for people.")
    reason = Str("What is wrong, as one word for programs.")


class StatusDetails(MetaSchema):
    """What a refused request was about."""

    causes = ListOf("Everything that was wrong.", StatusCause)
    group = Str("API group of the object concerned.")
    kind = Str("Kind or resource of the object concerned.")
    name = Str("Name of the object concerned.")
    retry_after_seconds = Int("Seconds after which a retry may succeed.")
    uid = Str("Unique id of the object concerned.")


class Status(TypeMeta):
    """Outcome of a request that returns no object, in particular of a refused one."""

    code = Int("HTTP code of the answer.")
    details = Nested("What the outcome was about.", StatusDetails)
    message = Str("What happened, for people.")
    metadata = Nested("Metadata of the list that the outcome belongs to.", ListMeta)
    reason = Str("Why the request was refused, as one word for programs.")
    status = Str("`Success` or `Failure`.")


class PartialObjectMetadata(TypeMeta):
    """An object of any kind cut down to its metadata."""

    metadata = Nested("Standard metadata of the object.", ObjectMeta)


class PartialObjectMetadataList(TypeMeta):
    """A list of objects cut down to their metadata."""

    items = ListOf("The objects.", PartialObjectMetadata, required=True)
    metadata = Nested("Metadata of the list.", ListMeta)
