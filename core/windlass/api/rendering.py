"""Turn objects into the representation that a client asked for."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
import yaml

from windlass.api.negotiation import Representation
from windlass.api.response import ApiResponse
from windlass.apimachinery import table
from windlass.apimachinery.scheme import KindDefinition
from windlass.clock import Clock
from windlass.errors import BadRequestError
from windlass.registry.reading import Listing
from windlass.store.watchcache import CachedObject

INCLUDE_OBJECT = ("", "None", "Metadata", "Object")


def encoded(kind: KindDefinition, cached: CachedObject) -> bytes:
    """Return a cached object's bytes as this kind shows it."""
    if kind.from_storage is None:
        return cached.encoded
    return orjson.dumps(shown(kind, cached))


def shown(kind: KindDefinition, cached: CachedObject) -> Mapping[str, Any]:
    """Return a cached object, parsed, as this kind shows it. Never mutate it."""
    if kind.from_storage is None:
        return cached.obj
    return kind.from_storage(orjson.loads(cached.encoded))


def metadata_only(obj: Mapping[str, Any], version: str = "v1") -> dict[str, Any]:
    """Return an object's PartialObjectMetadata."""
    return {"kind": "PartialObjectMetadata", "apiVersion": f"meta.k8s.io/{version}", "metadata": obj["metadata"]}


class Renderer:
    """Renders objects, lists and watch events of one kind in one representation."""

    def __init__(
        self, kind: KindDefinition, representation: Representation, clock: Clock, *, include: str = ""
    ) -> None:
        if include not in INCLUDE_OBJECT:
            raise BadRequestError(
                f'includeObject: Unsupported value: "{include}": supported values: "None", "Metadata", "Object"'
            )
        self.kind = kind
        self.representation = representation
        self._clock = clock
        self._include = include

    @property
    def plain(self) -> bool:
        """Whether cached bytes can be sent as they are."""
        return not self.representation.form and not self.representation.yaml and self.kind.from_storage is None

    def cached(self, cached: CachedObject) -> ApiResponse:
        """Render one cached object."""
        if self.plain:
            return ApiResponse(cached.encoded)
        return self.single(shown(self.kind, cached))

    def single(self, obj: Mapping[str, Any], status: int = 200) -> ApiResponse:
        """Render one object."""
        return self._answer(self.view(obj), status)

    def view(self, obj: Mapping[str, Any], *, with_columns: bool = True) -> Mapping[str, Any]:
        """Return one object in the wanted form. `with_columns` False: a later event of a watched Table."""
        if self.representation.form == "Table":
            return self._table(
                [obj], {"resourceVersion": obj["metadata"].get("resourceVersion", "")}, with_columns=with_columns
            )
        if self.representation.form:
            return metadata_only(obj, self.representation.version)
        return obj

    def listing(self, listing: Listing) -> ApiResponse:
        """Render a list."""
        metadata: dict[str, Any] = {"resourceVersion": str(listing.revision)}
        if listing.continue_:
            metadata["continue"] = listing.continue_
        if listing.remaining is not None:
            metadata["remainingItemCount"] = listing.remaining
        if not self.representation.form and not self.representation.yaml:
            return ApiResponse(self._join((encoded(self.kind, item) for item in listing.items), metadata))
        return self.objects([shown(self.kind, item) for item in listing.items], metadata)

    def objects(self, objects: Sequence[Mapping[str, Any]], metadata: dict[str, Any]) -> ApiResponse:
        """Render a list of parsed objects."""
        if self.representation.form == "Table":
            return self._answer(self._table(objects, metadata, with_columns=True), 200)
        kind, version, items = f"{self.kind.kind}List", self.kind.api_version, list(objects)
        if self.representation.form:
            kind, version = "PartialObjectMetadataList", f"meta.k8s.io/{self.representation.version}"
            items = [metadata_only(obj, self.representation.version) for obj in objects]
        return self._answer({"kind": kind, "apiVersion": version, "metadata": metadata, "items": items}, 200)

    def _join(self, items: Iterable[bytes], metadata: dict[str, Any]) -> bytes:
        head = orjson.dumps(
            {"kind": f"{self.kind.kind}List", "apiVersion": self.kind.api_version, "metadata": metadata}
        )
        return b'%b,"items":[%b]}' % (head[:-1], b",".join(items))

    def _table(
        self, objects: Sequence[Mapping[str, Any]], metadata: dict[str, Any], *, with_columns: bool
    ) -> dict[str, Any]:
        rendered = table.render(self.kind, [dict(obj) for obj in objects], self._clock.now())
        rendered = {**rendered, "apiVersion": f"meta.k8s.io/{self.representation.version}", "metadata": metadata}
        if not with_columns:
            rendered["columnDefinitions"] = None
        rendered["rows"] = [
            {**row, "object": self._row_object(obj)} for row, obj in zip(rendered["rows"], objects, strict=True)
        ]
        return rendered

    def _row_object(self, obj: Mapping[str, Any]) -> Mapping[str, Any] | None:
        if self._include == "None":
            return None
        return obj if self._include == "Object" else metadata_only(obj, self.representation.version)

    def _answer(self, value: Mapping[str, Any], status: int) -> ApiResponse:
        if self.representation.yaml:
            body = yaml.safe_dump(orjson.loads(orjson.dumps(value)), sort_keys=False, allow_unicode=True).encode()
        else:
            body = orjson.dumps(value)
        return ApiResponse(body, status, self.representation.content_type)
