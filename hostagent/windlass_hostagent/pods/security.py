"""Who a container runs as and what it may: the pod's and its own security context, merged as kubelet does. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Obj = Mapping[str, Any]
UNCONFINED = "unconfined"
RUNTIME_DEFAULT = "runtime/default"
SHARED = ("runAsUser", "runAsGroup", "runAsNonRoot", "seccompProfile", "appArmorProfile", "seLinuxOptions")
"""What a container takes from its pod when it does not say it itself."""


class SecurityError(Exception):
    """A container may not run as it asks: users see CreateContainerConfigError with this message."""


@dataclass(frozen=True, slots=True)
class ContainerSecurity:
    """What the runtime has to be told, in the words of ContainerConfig."""

    user: str = ""
    supplemental_groups: Sequence[int] = ()
    privileged: bool = False
    readonly_rootfs: bool = False
    add_capabilities: Sequence[str] = ()
    drop_capabilities: Sequence[str] = ()
    no_new_privileges: bool = False
    seccomp_profile: str = UNCONFINED
    apparmor_profile: str = ""
    unmasked_proc: bool = False


@dataclass(frozen=True, slots=True)
class SecurityDefaults:
    """What a node decides where nobody says anything. `profiles` holds the node's own seccomp profiles."""

    profiles: Path = Path("/var/lib/windlass/seccomp")
    seccomp: str = UNCONFINED


def effective(pod: Obj, container: Obj) -> dict[str, Any]:
    """Return a container's security context with what it takes from its pod's."""
    outer = pod["spec"].get("securityContext") or {}
    inner = container.get("securityContext") or {}
    taken = {field: outer[field] for field in SHARED if outer.get(field) is not None}
    return {**taken, **{key: value for key, value in inner.items() if value is not None}}


def _named(pod: Obj, container: Obj) -> str:
    meta = pod["metadata"]
    return f'(pod: "{meta["name"]}_{meta["namespace"]}({meta["uid"]})", container: {container["name"]})'


def check_non_root(pod: Obj, container: Obj, image_user: str) -> None:
    """Refuse root where `runAsNonRoot` is set. Raises SecurityError; an image's user name cannot be judged."""
    context = effective(pod, container)
    if not context.get("runAsNonRoot"):
        return
    uid = context.get("runAsUser")
    if uid is not None:
        if int(uid) == 0:
            raise SecurityError(f"container's runAsUser breaks non-root policy {_named(pod, container)}")
        return
    name = image_user.partition(":")[0]
    if name and not name.isdigit():
        raise SecurityError(
            f"container has runAsNonRoot and image has non-numeric user ({name}), "
            f"cannot verify user is non-root {_named(pod, container)}"
        )
    if not name or int(name) == 0:
        raise SecurityError(f"container has runAsNonRoot and image will run as root {_named(pod, container)}")


def user_of(pod: Obj, container: Obj, image_user: str = "") -> str:
    """Return `uid[:gid]`, empty for the image's own. A group without a user goes with the image's user."""
    context = effective(pod, container)
    uid, gid = context.get("runAsUser"), context.get("runAsGroup")
    strict = (pod["spec"].get("securityContext") or {}).get("supplementalGroupsPolicy") == "Strict"
    if uid is None and gid is None and not strict:
        return ""
    user = str(uid) if uid is not None else image_user.partition(":")[0] or "0"
    if gid is None and strict:  # a group that is named keeps the image's own list of groups out
        gid = image_user.partition(":")[2] or "0"
    return user if gid is None else f"{user}:{gid}"


def groups_of(pod: Obj) -> tuple[int, ...]:
    """Return the groups that every container's first process is in besides its own."""
    context = pod["spec"].get("securityContext") or {}
    groups = [int(group) for group in context.get("supplementalGroups") or ()]
    if context.get("fsGroup") is not None:
        groups.append(int(context["fsGroup"]))
    return tuple(dict.fromkeys(groups))


def seccomp_of(context: Obj, defaults: SecurityDefaults) -> str:
    """Return the seccomp profile in the words of ContainerConfig."""
    profile = context.get("seccompProfile") or {}
    kind = profile.get("type")
    if context.get("privileged"):
        return UNCONFINED
    if kind == "Localhost":
        return f"localhost/{defaults.profiles / str(profile.get('localhostProfile') or '')}"
    return {"RuntimeDefault": RUNTIME_DEFAULT, "Unconfined": UNCONFINED}.get(str(kind), defaults.seccomp)


def apparmor_of(context: Obj) -> str:
    """Return the AppArmor profile in the words of ContainerConfig, empty for the runtime's choice."""
    profile = context.get("appArmorProfile") or {}
    if profile.get("type") == "Localhost":
        return f"localhost/{profile.get('localhostProfile') or ''}"
    return {"RuntimeDefault": RUNTIME_DEFAULT, "Unconfined": UNCONFINED}.get(str(profile.get("type")), "")


def container_security(
    pod: Obj, container: Obj, image_user: str = "", defaults: SecurityDefaults | None = None
) -> ContainerSecurity:
    """Merge both contexts. Raises SecurityError."""
    check_non_root(pod, container, image_user)
    context = effective(pod, container)
    capabilities = context.get("capabilities") or {}
    return ContainerSecurity(
        user=user_of(pod, container, image_user),
        supplemental_groups=groups_of(pod),
        privileged=bool(context.get("privileged")),
        readonly_rootfs=bool(context.get("readOnlyRootFilesystem")),
        add_capabilities=tuple(capability(name) for name in capabilities.get("add") or ()),
        drop_capabilities=tuple(capability(name) for name in capabilities.get("drop") or ()),
        no_new_privileges=context.get("allowPrivilegeEscalation") is False,
        seccomp_profile=seccomp_of(context, defaults or SecurityDefaults()),
        apparmor_profile=apparmor_of(context),
        unmasked_proc=context.get("procMount") == "Unmasked",
    )


def capability(name: str) -> str:
    """Return a capability as runtimes name it: without CAP_, in capitals."""
    return name.upper().removeprefix("CAP_")
