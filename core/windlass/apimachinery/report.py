"""What a decoding found on its way, and where: paths are built only when something is wrong."""

from typing import Any

from windlass.apimachinery.field_errors import TYPE_INVALID
from windlass.errors import FieldError

MAX_FINDINGS = 100

Node = tuple[Any, Any] | None
"""A place in the object: (parent's place, step). A step is a field name, a list index, or `(key,)` in a free map."""

DROP: Any = object()
"""What a decoder returns for a value that cannot be kept; its field is then left out."""

_JSON_TYPES = {dict: "object", list: "array", str: "string", bool: "bool", int: "number", float: "number"}


def path_of(node: Node) -> str:
    """Return a place as `spec.containers[0].image`; the object itself is the empty string."""
    steps: list[str] = []
    while node is not None:
        node, step = node
        if isinstance(step, str):
            steps.append(f".{step}")
        else:
            steps.append(f"[{step[0] if isinstance(step, tuple) else step}]")
    return "".join(reversed(steps)).removeprefix(".")


class Report:
    """Collects unknown fields and errors, at most MAX_FINDINGS of each. `root` is the name of the decoded type."""

    __slots__ = ("errors", "root", "unknown")

    def __init__(self, root: str) -> None:
        self.root = root
        self.errors: list[FieldError] = []
        self.unknown: list[str] = []

    def add_unknown(self, node: Node) -> None:
        """Note a field that no schema declares."""
        if len(self.unknown) < MAX_FINDINGS:
            self.unknown.append(path_of(node))

    def add(self, error: FieldError) -> None:
        """Note an error."""
        if len(self.errors) < MAX_FINDINGS:
            self.errors.append(error)

    def mistyped(self, value: Any, node: Node, wanted: str) -> Any:
        """Note a value of the wrong JSON type, in the words of Kubernetes' decoder; return DROP."""
        found = _JSON_TYPES.get(type(value), "null")
        if found == "number" and (wanted.startswith("int") or wanted == "intstr"):
            found = f"number {str(value)[:40]}"
        path = path_of(node)
        where = f"Go struct field {self.root}.{path}" if path else "Go value"
        self.add(FieldError(path, f"json: cannot unmarshal {found} into {where} of type {wanted}", TYPE_INVALID))
        return DROP

    def unreadable(self, node: Node, message: str) -> Any:
        """Note a text that cannot be read as its field's type; return DROP."""
        self.add(FieldError(path_of(node), message, TYPE_INVALID))
        return DROP
