"""Values of a pod's fields and resources, as the downward API shows them. Pure."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from windlass.apimachinery.quantity import parse_quantity

Obj = Mapping[str, Any]


def format_map(values: Mapping[str, str]) -> str:
    """Return labels or annotations as a file shows them: a line `key="value"` each, sorted, quoted as in Go."""
    return "\n".join(f"{key}={quote(str(values[key]))}" for key in sorted(values))


def quote(text: str) -> str:
    """Quote a string as Go's `%q` does: printable characters as they are, the others escaped."""
    short = {'"': '\\"', "\\": "\\\\", "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t",
             "\v": "\\v"}  # fmt: skip
    return '"' + "".join(short.get(char) or (char if char.isprintable() else _escaped(char)) for char in text) + '"'


def _escaped(char: str) -> str:
    code = ord(char)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def subscript(path: str) -> tuple[str, str] | None:
    """Split `metadata.labels['key']` into (metadata.labels, key); None for other paths."""
    where, bracket, rest = path.partition("['")
    return (where, rest[:-2]) if bracket and rest.endswith("']") else None


def field_value(path: str, pod: Obj, ips: Sequence[str] = (), host_ips: Sequence[str] = ()) -> str:
    """Return the value of a field of a pod. Raises KeyError for a path that the downward API has not."""
    meta, spec = pod["metadata"], pod["spec"]
    keyed = subscript(path)
    if keyed is not None and keyed[0] in ("metadata.labels", "metadata.annotations"):
        return str((meta.get(keyed[0].removeprefix("metadata.")) or {}).get(keyed[1], ""))
    plain = {
        "metadata.name": meta["name"],
        "metadata.namespace": meta["namespace"],
        "metadata.uid": meta["uid"],
        "metadata.labels": format_map(meta.get("labels") or {}),
        "metadata.annotations": format_map(meta.get("annotations") or {}),
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", ""),
        "status.hostIP": next(iter(host_ips), ""),
        "status.hostIPs": ",".join(host_ips),
        "status.podIP": next(iter(ips), ""),
        "status.podIPs": ",".join(ips),
    }
    return str(plain[path])


def resource_value(ref: Obj, pod: Obj, container: Obj | None, allocatable: Mapping[str, str]) -> str:
    """Return a limit or request in units of the divisor, rounded up; a limit that is not set is the node's allocatable.

    `container` is who asks when the reference names nobody. Raises KeyError for a container that is not there.
    """
    if ref.get("containerName"):
        everyone = [*(pod["spec"].get("containers") or ()), *(pod["spec"].get("initContainers") or ())]
        container = next((c for c in everyone if c["name"] == ref["containerName"]), None)
    if container is None:
        raise KeyError(ref.get("containerName") or "containerName")
    bound, _, resource = str(ref["resource"]).partition(".")
    resources = container.get("resources") or {}
    quantity = (resources.get(bound) or {}).get(resource)
    if quantity is None and bound == "requests":
        quantity = (resources.get("limits") or {}).get(resource)
    if quantity is None:
        quantity = allocatable.get(resource, "0") if bound == "limits" else "0"
    divisor = parse_quantity(str(ref.get("divisor") or "1")) or parse_quantity("1")
    return str(math.ceil(parse_quantity(str(quantity)) / divisor))
