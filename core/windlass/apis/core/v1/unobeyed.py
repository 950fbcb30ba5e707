"""Fields of a pod that the API accepts and that nothing acts upon yet: one table.

A path is relative to the pod spec; `[*]` walks a list. A field is named in a warning when it is set to something other
than `harmless`, the values that change nothing. Take a line away when the part named in it learns to obey the field.
"""

from typing import Any, NamedTuple

from windlass.apis.core.v1.volume import Volume

AGENT = "host agent"
SERVED_VOLUMES = frozenset(
    {"name", "configMap", "csi", "downwardAPI", "emptyDir", "hostPath", "projected", "secret"}
)
"""Sources that a built-in driver serves; `csi` is served by whoever brings the driver that it names."""


class Unobeyed(NamedTuple):
    """A field that `part` does not act upon yet, unless its value is among `harmless`."""

    path: str
    part: str = AGENT
    harmless: tuple[Any, ...] = ()


POD = (
    Unobeyed("resourceClaims"),
    Unobeyed("resources"),
    *(Unobeyed(f"volumes[*].{source}") for source in Volume.wire_fields() if source not in SERVED_VOLUMES),
)

POD_SECURITY = tuple(Unobeyed(f"securityContext.{field}") for field in (
    "seLinuxChangePolicy", "seLinuxOptions", "windowsOptions",
))

CONTAINER = (
    Unobeyed("resizePolicy"),
    Unobeyed("resources.claims"),
    Unobeyed("volumeDevices"),
    *(Unobeyed(f"securityContext.{field}") for field in (
        "seLinuxOptions", "windowsOptions",
    )),
)

IN_CONTAINERS = tuple(
    Unobeyed(f"{group}[*].{field.path}", field.part, field.harmless)
    for group in ("initContainers", "containers")
    for field in CONTAINER
)

UNOBEYED: tuple[Unobeyed, ...] = (*POD, *POD_SECURITY, *IN_CONTAINERS)
