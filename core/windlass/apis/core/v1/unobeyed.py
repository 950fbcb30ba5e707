"""Fields of a pod that the API accepts and that nothing acts upon yet: one table.

A path is relative to the pod spec; `[*]` walks a list. A field is named in a warning when it is set to something other
than `harmless`, the values that change nothing. Take a line away when the part named in it learns to obey the field.
"""

from typing import Any, NamedTuple

AGENT = "host agent"
SCHEDULER = "scheduler"


class Unobeyed(NamedTuple):
    """A field that `part` does not act upon yet, unless its value is among `harmless`."""

    path: str
    part: str = AGENT
    harmless: tuple[Any, ...] = ()


POD = (
    Unobeyed("activeDeadlineSeconds"),
    Unobeyed("affinity.podAffinity", SCHEDULER),
    Unobeyed("affinity.podAntiAffinity", SCHEDULER),
    Unobeyed("dnsConfig"),
    Unobeyed("dnsPolicy", harmless=("ClusterFirst",)),
    Unobeyed("ephemeralContainers"),
    Unobeyed("hostAliases"),
    Unobeyed("hostIPC", harmless=(False,)),
    Unobeyed("hostPID", harmless=(False,)),
    Unobeyed("hostUsers", harmless=(True,)),
    Unobeyed("imagePullSecrets"),
    Unobeyed("initContainers"),
    Unobeyed("os.name", harmless=("linux",)),
    Unobeyed("overhead"),
    Unobeyed("readinessGates"),
    Unobeyed("resourceClaims"),
    Unobeyed("resources"),
    Unobeyed("runtimeClassName"),
    Unobeyed("setHostnameAsFQDN", harmless=(False,)),
    Unobeyed("shareProcessNamespace", harmless=(False,)),
    Unobeyed("subdomain"),
    Unobeyed("topologySpreadConstraints", SCHEDULER),
    Unobeyed("volumes[*]"),
)

POD_SECURITY = tuple(Unobeyed(f"securityContext.{field}") for field in (
    "appArmorProfile", "fsGroup", "fsGroupChangePolicy", "runAsGroup", "runAsNonRoot", "seLinuxChangePolicy",
    "seLinuxOptions", "seccompProfile", "supplementalGroups", "supplementalGroupsPolicy", "sysctls", "windowsOptions",
))

CONTAINER = (
    Unobeyed("containers[*].env[*].valueFrom.fieldRef"),
    Unobeyed("containers[*].env[*].valueFrom.resourceFieldRef"),
    Unobeyed("containers[*].lifecycle"),
    Unobeyed("containers[*].livenessProbe"),
    Unobeyed("containers[*].readinessProbe"),
    Unobeyed("containers[*].resizePolicy"),
    Unobeyed("containers[*].resources.claims"),
    Unobeyed("containers[*].startupProbe"),
    Unobeyed("containers[*].stdinOnce", harmless=(False,)),
    Unobeyed("containers[*].terminationMessagePath", harmless=("/dev/termination-log",)),
    Unobeyed("containers[*].terminationMessagePolicy", harmless=("File",)),
    Unobeyed("containers[*].volumeDevices"),
    Unobeyed("containers[*].volumeMounts"),
)

CONTAINER_SECURITY = (
    *(Unobeyed(f"containers[*].securityContext.{field}") for field in (
        "appArmorProfile", "runAsGroup", "runAsNonRoot", "seLinuxOptions", "seccompProfile", "windowsOptions",
    )),
    Unobeyed("containers[*].securityContext.allowPrivilegeEscalation", harmless=(True,)),
    Unobeyed("containers[*].securityContext.procMount", harmless=("Default",)),
)

UNOBEYED: tuple[Unobeyed, ...] = (*POD, *POD_SECURITY, *CONTAINER, *CONTAINER_SECURITY)
