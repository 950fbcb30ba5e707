"""A pod's cgroup: the parent of its containers' groups, with limits for all of them together."""

import contextlib
from dataclasses import asdict
from pathlib import Path

from windlass.plugin.interfaces.runtime import ContainerResources
from windlass_runtime.process import cgroups

BEST_EFFORT = "besteffort"
LEAST = {"cpu_request_millis": 2}


def slice_names(parent: str) -> list[str]:
    """Return the slices of a path, outermost first: /kubepods/burstable/podX is kubepods-burstable-podX.slice. Pure."""
    parts = [part.replace("-", "_") for part in parent.split("/") if part]
    return ["-".join(parts[: end + 1]) + ".slice" for end in range(len(parts))]


def docker_parent(parent: str, *, systemd: bool) -> str:
    """Return a path as Docker's `CgroupParent`, which depends on who manages its cgroups. Pure."""
    if not parent:
        return ""
    return slice_names(parent)[-1] if systemd else parent


def group_of(parent: str) -> str:
    """Return the directory, below each hierarchy, of a `CgroupParent`. Pure."""
    if not parent.endswith(".slice"):
        return parent.strip("/")
    parts = parent.removesuffix(".slice").split("-")
    return "/".join("-".join(parts[: end + 1]) + ".slice" for end in range(len(parts)))


def apply(parent: str, resources: ContainerResources, root: Path = cgroups.ROOT) -> None:
    """Set a pod's limits; a best-effort class keeps the least share of the cpu. Blocking; raises OSError."""
    group = group_of(parent)
    cgroups.create(group, asdict(resources), None, root)
    above, _, _ = group.rpartition("/")
    if above.endswith((BEST_EFFORT, f"{BEST_EFFORT}.slice")):
        cgroups.create(above, LEAST, None, root)


def remove(parent: str, root: Path = cgroups.ROOT) -> None:
    """Remove a pod's cgroup from every hierarchy; one that is in use stays. Blocking; safe to repeat."""
    group = group_of(parent)
    hierarchies = [root] if cgroups.is_unified(root) else [p for p in root.iterdir() if p.is_dir()]
    for hierarchy in hierarchies if group else ():
        with contextlib.suppress(OSError):
            (hierarchy / group).rmdir()
