"""The two OpenAPI documents."""

from collections.abc import Iterable
from typing import Any

from windlass.apimachinery.openapi.definitions import Definitions, Flavor
from windlass.apimachinery.openapi.meta_types import meta_definitions
from windlass.apimachinery.openapi.paths import PathBuilder
from windlass.apimachinery.scheme import KindDefinition

Json = dict[str, Any]

_BEARER = {"type": "apiKey", "in": "header", "name": "authorization", "description": "Bearer token."}


def _info(version: str) -> Json:
    return {"title": "Windlass", "version": version}


def _parts(kinds: Iterable[KindDefinition], flavor: Flavor) -> tuple[dict[str, Json], dict[str, Json]]:
    listed = list(kinds)
    definitions = Definitions(flavor)
    definitions.add_kinds(listed)
    builder = PathBuilder(definitions, flavor)
    paths: dict[str, Json] = {}
    for kind in listed:
        paths.update(builder.paths_of(kind))
    found = {**meta_definitions(flavor.value, v3=flavor is Flavor.V3), **definitions.found}
    return dict(sorted(paths.items())), dict(sorted(found.items()))


def build_v2(kinds: Iterable[KindDefinition], *, version: str = "v1.32.0") -> Json:
    """Return the Swagger 2.0 document of all kinds (`GET /openapi/v2`)."""
    paths, definitions = _parts(kinds, Flavor.V2)
    return {
        "swagger": "2.0",
        "info": _info(version),
        "paths": paths,
        "definitions": definitions,
        "securityDefinitions": {"BearerToken": _BEARER},
        "security": [{"BearerToken": []}],
    }


def build_v3(kinds: Iterable[KindDefinition], group_version: str, *, version: str = "v1.32.0") -> Json:
    """Return the OpenAPI 3.0 document of one group version, `v1` or `apps/v1` (`GET /openapi/v3/apis/apps/v1`)."""
    paths, schemas = _parts((kind for kind in kinds if kind.api_version == group_version), Flavor.V3)
    return {
        "openapi": "3.0.0",
        "info": _info(version),
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": {"BearerToken": _BEARER}},
    }


def group_versions(kinds: Iterable[KindDefinition]) -> dict[str, str]:
    """Return the paths of the `/openapi/v3` index and the group version of each: `apis/apps/v1` and `apps/v1`."""
    return {(f"apis/{kind.api_version}" if kind.group else f"api/{kind.version}"): kind.api_version for kind in kinds}
