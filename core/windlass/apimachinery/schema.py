r"""How a kind declares its fields: marshmallow schemas whose fields carry what Kubernetes' API needs beside the type.

    class ContainerPort(ObjectSchema):
        "A port that a container listens on."

        container_port = Int("Number of the port in the pod's network.", required=True, minimum=1, maximum=65535)
        host_ip = Str("Address of the host to bind to.", data_key="hostIP")
        protocol = Str("Transport protocol.", default="TCP", enum=("TCP", "UDP", "SCTP"))

Attribute names are snake_case and become camelCase on the wire by `camel_case`; give `data_key` where that is not the
wire name. The class docstring's first line is the type's description in OpenAPI. `openapi_name` names the published
definition (`io.k8s.api.core.v1.ContainerPort`); `openapi_prefix` on a module's own base class saves repeating it.

`windlass.apimachinery.decode` compiles a schema to a decoder that checks, defaults and reports unknown fields in one
pass; `windlass.apimachinery.openapi` turns it into OpenAPI. Both read nothing but these declarations.
"""

import copy
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import marshmallow
from marshmallow import fields

from windlass.errors import FieldError

FieldCheck = Callable[[Any, str], Sequence[FieldError]]
"""A check of one value: takes the value and its path, returns what is wrong."""


def camel_case(name: str) -> str:
    """Turn `host_network` into `hostNetwork`; a trailing underscore (`from_`) is dropped."""
    head, *tail = name.rstrip("_").split("_")
    return head + "".join(part.capitalize() for part in tail)


def messages_by_path(errors: Sequence[FieldError]) -> dict[str, list[str]]:
    """Return errors as marshmallow's messages, by path."""
    found: dict[str, list[str]] = {}
    for error in errors:
        found.setdefault(error.field, []).append(error.message)
    return found


class ApiField(fields.Field[Any]):
    """Common part of every field.

    `description`: one sentence of our own for `kubectl explain`. `default`: constant filled in when absent (copied).
    `checks`: further checks. `patch_strategy`/`patch_merge_key`: strategic merge (`merge`, `replace`,
    `retainKeys`, combined by comma). `list_type`/`list_map_keys`: server-side apply. `immutable`: may not change once
    set.
    `nullable_empty`: an explicit null counts as absent (true everywhere, as in Kubernetes).
    """

    openapi_type: ClassVar[str] = "object"
    openapi_format: ClassVar[str] = ""

    def __init__(
        self,
        description: str,
        *,
        data_key: str | None = None,
        required: bool = False,
        default: Any = None,
        checks: Sequence[FieldCheck] = (),
        immutable: bool = False,
    ) -> None:
        super().__init__(
            data_key=data_key, required=required and default is None, allow_none=True,
            load_default=marshmallow.missing if default is None else lambda: copy.deepcopy(default),
            error_messages={"required": "Required value"},
        )
        self.description = description
        self.default_value = default
        # A required field with a default is never missing here, but OpenAPI still publishes it as required.
        self.published_required = required
        self.checks = tuple(checks)
        self.immutable = immutable

    def deserialize(self, value: Any, attr: str | None = None, data: Mapping[str, Any] | None = None,
                    **kwargs: Any) -> Any:
        """Load one value as marshmallow does; null counts as absent."""
        return super().deserialize(marshmallow.missing if value is None else value, attr, data, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None,  # noqa: ARG002
                     **kwargs: Any) -> Any:  # noqa: ARG002 - marshmallow's signature
        """Decode as `windlass.apimachinery.decode` does, so that `Schema().load` and `decode` agree."""
        from windlass.apimachinery.decode import decode_field  # noqa: PLC0415 - decode compiles what stands here

        decoded, errors = decode_field(self, value, attr or "")
        if errors:
            raise marshmallow.ValidationError(messages_by_path(errors))
        return decoded


class Str(ApiField):
    """A string. `enum` closes the set of values; `pattern` must match fully; lengths count characters."""

    openapi_type = "string"

    def __init__(self, description: str, *, enum: Sequence[str] = (), pattern: str | None = None,
                 min_length: int = 0, max_length: int | None = None, **kwargs: Any) -> None:
        super().__init__(description, **kwargs)
        self.enum = tuple(enum)
        self.pattern = re.compile(pattern) if pattern else None
        self.min_length = min_length
        self.max_length = max_length


class Bytes(Str):
    """Base64 text (OpenAPI format `byte`)."""

    openapi_format = "byte"


class Time(Str):
    """An RFC 3339 time in whole seconds (`metav1.Time`)."""

    openapi_format = "date-time"


class MicroTime(Str):
    """An RFC 3339 time with microseconds (`metav1.MicroTime`)."""

    openapi_format = "date-time"


class Int(ApiField):
    """An integer (not a boolean, not a float). `bits` is 32 or 64 and bounds it."""

    openapi_type = "integer"

    def __init__(self, description: str, *, bits: int = 32, minimum: int | None = None, maximum: int | None = None,
                 **kwargs: Any) -> None:
        super().__init__(description, **kwargs)
        self.bits = bits
        self.minimum = minimum
        self.maximum = maximum


class Float(ApiField):
    """A JSON number."""

    openapi_type = "number"


class Bool(ApiField):
    """A boolean; `"true"` is refused."""

    openapi_type = "boolean"


class Quantity(ApiField):
    """A resource quantity: string or number on the wire, kept as a canonical string."""

    openapi_type = "string"


class IntOrString(ApiField):
    """An integer, or a string such as a port name or `25%`."""

    openapi_type = "string"
    openapi_format = "int-or-string"


class Nested(ApiField):
    """An object of another schema; a callable allows self-reference."""

    def __init__(self, description: str, schema: "type[ObjectSchema] | Callable[[], type[ObjectSchema]]", *,
                 patch_strategy: str = "", **kwargs: Any) -> None:
        super().__init__(description, **kwargs)
        self._schema = schema
        self.patch_strategy = patch_strategy

    @property
    def nested_schema(self) -> "type[ObjectSchema]":
        """The schema, resolved."""
        return self._schema if isinstance(self._schema, type) else self._schema()


class ListOf(ApiField):
    """An array. `item` is a schema (array of objects) or a field (array of scalars)."""

    openapi_type = "array"

    def __init__(self, description: str, item: "type[ObjectSchema] | ApiField", *, min_items: int = 0,  # noqa: PLR0913
                 max_items: int | None = None, patch_strategy: str = "", patch_merge_key: str = "",
                 list_type: str = "atomic", list_map_keys: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(description, **kwargs)
        self.item = item
        self.min_items = min_items
        self.max_items = max_items
        self.patch_strategy = patch_strategy
        self.patch_merge_key = patch_merge_key
        self.list_type = list_type
        self.list_map_keys = tuple(list_map_keys)


class MapOf(ApiField):
    """An object with free string keys. `value` is a field or a schema; `key_checks` check each key.

    `map_type` "atomic" makes server-side apply own the map as a whole (empty: each key on its own).
    """

    def __init__(self, description: str, value: "ApiField | type[ObjectSchema]", *,
                 key_checks: Sequence[FieldCheck] = (), patch_strategy: str = "", map_type: str = "",
                 **kwargs: Any) -> None:
        super().__init__(description, **kwargs)
        self.map_type = map_type
        self.value = value
        self.key_checks = tuple(key_checks)
        self.patch_strategy = patch_strategy


class AnyValue(ApiField):
    """Any JSON value, kept as it is (`runtime.RawExtension`, managed fields)."""


class ObjectSchema(marshmallow.Schema):
    """Base of every declared object type. Loaded and dumped keys are the wire's."""

    class Meta:
        """Unknown fields are the decoder's business."""

        unknown = marshmallow.EXCLUDE

    openapi_prefix: ClassVar[str] = ""
    openapi_name: ClassVar[str] = ""
    openapi_map_type: ClassVar[str] = ""
    """"atomic": server-side apply owns the object as a whole (`x-kubernetes-map-type`)."""
    object_checks: ClassVar[Sequence[Callable[[Mapping[str, Any], str], Sequence[FieldError]]]] = ()
    """Checks across the fields of this one object; they get the decoded object and its path."""

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        """Give each field its wire name, for loading and dumping alike."""
        field_obj.data_key = field_obj.data_key or camel_case(field_name)
        field_obj.attribute = field_obj.data_key

    @marshmallow.validates_schema(skip_on_field_errors=True)
    def run_object_checks(self, data: Mapping[str, Any], **_kwargs: Any) -> None:
        """Run the checks across fields in marshmallow's own load; nested objects ran theirs already."""
        errors = [error for check in self.object_checks for error in check(data, "")]
        if errors:
            raise marshmallow.ValidationError(messages_by_path(errors))

    @classmethod
    def wire_fields(cls) -> dict[str, ApiField]:
        """Return the declared fields by wire name, in declared order."""
        return {
            declared.data_key or camel_case(name): declared
            for name, declared in cls._declared_fields.items()
            if isinstance(declared, ApiField)
        }
