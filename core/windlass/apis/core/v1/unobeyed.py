"""Fields of a pod that the API accepts and that nothing acts upon yet: one table.

A path is relative to the pod spec; `[*]` walks a list. A field is named in a warning when it is set to something other
than `harmless`, the values that change nothing. Take a line away when the part named in it learns to obey the field.
"""

from typing import Any, NamedTuple

AGENT = "host agent"


class Unobeyed(NamedTuple):
    """A field that `part` does not act upon yet, unless its value is among `harmless`."""

    path: str
    part: str = AGENT
    harmless: tuple[Any, ...] = ()


POD = (
    Unobeyed("dnsConfig"),
    Unobeyed("dnsPolicy", harmless=("ClusterFirst",)),
    Unobeyed("hostAliases"),
    Unobeyed("hostIPC", harmless=(False,)),
    Unobeyed("hostPID", harmless=(False,)),
    Unobeyed("hostUsers", harmless=(True,)),
    Unobeyed("os.name", harmless=("linux",)),
    Unobeyed("overhead"),
    Unobeyed("resourceClaims"),
    Unobeyed("resources"),
    Unobeyed("runtimeClassName"),
    Unobeyed("setHostnameAsFQDN", harmless=(False,)),
    Unobeyed("shareProcessNamespace", harmless=(False,)),
    Unobeyed("subdomain"),
    Unobeyed("volumes[*]"),
)

POD_SECURITY = tuple(Unobeyed(f"securityContext.{field}") for field in (
    "appArmorProfile", "fsGroup", "fsGroupChangePolicy", "runAsGroup", "runAsNonRoot", "seLinuxChangePolicy",
    "seLinuxOptions", "seccompProfile", "supplementalGroups", "supplementalGroupsPolicy", "sysctls", "windowsOptions",
))

CONTAINER = (
    Unobeyed("resizePolicy"),
    Unobeyed("resources.claims"),
    Unobeyed("stdinOnce", harmless=(False,)),
    Unobeyed("volumeDevices"),
    Unobeyed("volumeMounts"),
    *(Unobeyed(f"securityContext.{field}") for field in (
        "appArmorProfile", "runAsGroup", "runAsNonRoot", "seLinuxOptions", "seccompProfile", "windowsOptions",
    )),
    Unobeyed("securityContext.allowPrivilegeEscalation", harmless=(True,)),
    Unobeyed("securityContext.procMount", harmless=("Default",)),
)

IN_CONTAINERS = tuple(
    Unobeyed(f"{group}[*].{field.path}", field.part, field.harmless)
    for group in ("initContainers", "containers")
    for field in CONTAINER
)

UNOBEYED: tuple[Unobeyed, ...] = (*POD, *POD_SECURITY, *IN_CONTAINERS)
