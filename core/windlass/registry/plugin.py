"""Registers the built-in kinds, by the same road as a third party's."""

from collections.abc import Sequence

from windlass.apimachinery.scheme import KindDefinition
from windlass.plugin.hookspecs import hookimpl


@hookimpl
def register_kinds() -> Sequence[KindDefinition]:
    """Hand out the core, apps, coordination, discovery, events, node and scheduling kinds."""
    from windlass.apis.scheme import builtin_kinds  # noqa: PLC0415 - only the API server pays for the schemas

    return builtin_kinds()
