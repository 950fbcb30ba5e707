"""Registration of the nftables proxy."""

from collections.abc import Mapping, Sequence
from typing import Any

from windlass.plugin.hookspecs import hookimpl
from windlass.plugin.registration import DriverRegistration

windlass_hookspec_versions = (1,)


def _build(config: Mapping[str, Any]) -> Any:
    from windlass_network.nftables.driver import build  # noqa: PLC0415 - pyroute2 is large: only where it runs

    return build(config)


@hookimpl
def register_service_proxies() -> Sequence[DriverRegistration]:
    """Hand out the nftables proxy."""
    return [DriverRegistration("nftables", _build, "Services as elements of nftables maps, in a table of its own")]
