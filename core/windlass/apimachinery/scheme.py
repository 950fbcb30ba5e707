"""What a kind is, and the table of all kinds that a process serves.

Pure data: a `KindDefinition` joins the marshmallow schema that declares, validates and documents a kind with the
strategy that holds its behaviour. The API server serves whatever stands in the `Scheme`; it knows no kind by name.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from windlass.errors import FieldError, PluginError

if TYPE_CHECKING:
    from windlass.apimachinery.schema import ObjectSchema


Obj = dict[str, Any]
"""An object as it travels: plain JSON, camelCase keys. Never mutate one that came from a cache."""


class Resource(NamedTuple):
    """Name of a collection in the API, enough for a client to build its path."""

    group: str
    version: str
    plural: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """`v1` for the core group, `group/version` for the others."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """`pods` or `deployments.apps`: how kubectl and error messages name a resource."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


@dataclass(frozen=True, slots=True)
class Column:
    """A printer column. `value` gives the cell of one object; `priority` 0 is shown, 1 only with `-o wide`."""

    name: str
    value: Callable[[Obj, datetime], Any]
    type: str = "string"
    format: str = ""
    priority: int = 0
    description: str = ""


@dataclass(frozen=True, slots=True)
class ScalePaths:
    """Where a kind keeps what its `scale` subresource shows; dotted paths into the object."""

    spec_replicas: str = "spec.replicas"
    status_replicas: str = "status.replicas"
    selector: str = "spec.selector"


class Strategy:
    """A kind's behaviour beyond its schema. Every method is pure, synchronous and cheap; override what differs.

    The registry calls, on create: `prepare_for_create`, `default`, `validate`; on update: `prepare_for_update`,
    `default`, `validate`, `validate_update`. Methods that take an object may change that object in place: the registry
    hands them a private copy.
    """

    columns: Sequence[Column] = ()
    """Printer columns after NAME (the generic handler prepends NAME and appends AGE when this is empty)."""

    has_generation: bool = False
    """True when `metadata.generation` counts changes of `spec`."""

    default_grace_period_seconds: int | None = None
    """None: deletion is immediate. A number: the graceful deletion default (Pods: 30, or the pod's own)."""

    scale: ScalePaths | None = None
    """Where the `scale` subresource reads and writes; None when the kind cannot be scaled."""

    allow_create_on_update: bool = False
    """True when PUT of a missing name creates it."""

    def of_subresource(self, name: str) -> "Strategy":  # noqa: ARG002 - the base strategy has none
        """Return the strategy of writes through a subresource that the generic handler serves; `status` has none of its own."""
        return self

    def default(self, obj: Obj) -> None:
        """Fill defaults that depend on other fields; constant ones stand in the schema."""

    def prepare_for_create(self, obj: Obj) -> None:
        """Drop what clients may not set on create; normally `status`."""
        obj.pop("status", None)

    def prepare_for_update(self, new: Obj, old: Obj) -> None:
        """Carry over what this endpoint may not change; normally `status` is kept from `old`."""
        if "status" in old:
            new["status"] = old["status"]
        else:
            new.pop("status", None)

    def validate(self, obj: Obj) -> list[FieldError]:  # noqa: ARG002 - the base strategy finds nothing
        """Check across fields; the schema has already checked each one."""
        return []

    def validate_status(self, obj: Obj) -> list[FieldError]:
        """Check an object of which only the status was written; what is not the status has been checked before."""
        return self.validate(obj)

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:  # noqa: ARG002
        """Check what may not change (immutable fields)."""
        return []

    def warnings(self, obj: Obj) -> list[str]:  # noqa: ARG002
        """Return texts for Warning headers: deprecated fields, fields that nothing obeys yet."""
        return []

    def selectable_fields(self, obj: Obj) -> Mapping[str, str]:  # noqa: ARG002
        """Return the fields, beside metadata.name and metadata.namespace, that a fieldSelector may name."""
        return {}

    def grace_period_seconds(self, obj: Obj, requested: int | None) -> int:  # noqa: ARG002
        """Decide how long a graceful deletion waits; 0 deletes at once. Called only with a default grace period."""
        return requested if requested is not None else self.default_grace_period_seconds or 0


@dataclass(frozen=True, slots=True)
class KindDefinition:
    """Everything about one served kind.

    `subresources` names those the generic handler serves: "status", "scale"; others ("binding", "eviction", "log")
    are served by their own handlers in `windlass.api` and `windlass.registry` but are listed here for discovery.
    `verbs` are those of the objects themselves; None means all.
    `storage_group` differs from `group` only when two groups serve the same stored objects (Event).
    """

    group: str
    version: str
    kind: str
    plural: str
    singular: str
    namespaced: bool
    schema: "type[ObjectSchema]"
    strategy: Strategy = field(default_factory=Strategy)
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    verbs: tuple[str, ...] | None = None
    storage_group: str | None = None
    to_storage: Callable[[Obj], Obj] | None = None
    from_storage: Callable[[Obj], Obj] | None = None

    @property
    def api_version(self) -> str:
        """`v1` or `group/version`."""
        return self.resource.api_version

    @property
    def resource(self) -> Resource:
        """The collection's name."""
        return Resource(self.group, self.version, self.plural, self.namespaced)

    @property
    def storage_prefix(self) -> str:
        """Prefix of this kind's keys in the store, with the closing slash: `core/pods/`, `apps/deployments/`."""
        group = self.group if self.storage_group is None else self.storage_group
        return f"{group or 'core'}/{self.plural}/"

    def key(self, namespace: str | None, name: str) -> str:
        """Return the store key of an object: `core/pods/default/web-1`; `_` stands for no namespace."""
        return f"{self.storage_prefix}{namespace or '_'}/{name}"


class Scheme:
    """The kinds that a process serves. Filled at start-up from `register_kinds`; read-only afterwards."""

    def __init__(self, kinds: Iterable[KindDefinition] = ()) -> None:
        self._by_resource: dict[tuple[str, str, str], KindDefinition] = {}
        self._by_kind: dict[tuple[str, str], KindDefinition] = {}
        for kind in kinds:
            self.add(kind)

    def add(self, kind: KindDefinition) -> None:
        """Add a kind. Raises PluginError when its resource or its kind name is already taken."""
        resource_key, kind_key = (kind.group, kind.version, kind.plural), (kind.api_version, kind.kind)
        taken = self._by_resource.get(resource_key) or self._by_kind.get(kind_key)
        if taken is not None:
            raise PluginError(
                f"kind {kind.api_version} {kind.kind} is already registered as {taken.resource.qualified}"
            )
        self._by_resource[resource_key] = self._by_kind[kind_key] = kind

    def by_resource(self, group: str, version: str, plural: str) -> KindDefinition | None:
        """Find a kind by its path parts."""
        return self._by_resource.get((group, version, plural))

    def by_kind(self, api_version: str, kind: str) -> KindDefinition | None:
        """Find a kind by what an object says of itself."""
        return self._by_kind.get((api_version, kind))

    def __iter__(self) -> Iterator[KindDefinition]:
        return iter(self._by_resource.values())
