"""OpenAPI v2 and v3 documents from schema declarations, shaped as Kubernetes publishes them.

`definitions.py` turns schemas to definitions, `paths.py` kinds to operations, `meta_types.py` holds the types that no
kind refers to but every operation does, `documents.py` puts them together. kubectl reads them for `explain`, for merge
keys and to learn whether `--dry-run=server` and field validation are supported.
"""

from windlass.apimachinery.openapi.definitions import definition_name
from windlass.apimachinery.openapi.documents import build_v2, build_v3, group_versions

__all__ = ["build_v2", "build_v3", "definition_name", "group_versions"]
