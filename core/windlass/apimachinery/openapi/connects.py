"""Subresources that connect to something running: exec, attach, portforward, proxy. Their answers are no objects."""

from typing import Any, NamedTuple

from windlass.apimachinery.scheme import KindDefinition

Json = dict[str, Any]
_STREAMS = (
    ("stdin", "boolean", "Send standard input."),
    ("stdout", "boolean", "Receive standard output."),
    ("stderr", "boolean", "Receive standard error."),
    ("tty", "boolean", "Use a terminal."),
)
_CONTAINER = ("container", "string", "Name of the container; the only one by default.")
STREAM_METHODS = ("get", "post")
PROXY_METHODS = ("get", "put", "post", "delete", "options", "head", "patch")


class Connect(NamedTuple):
    """A connecting subresource. `options` is the kind of its query, in which `{kind}` stands for the parent's."""

    options: str
    methods: tuple[str, ...]
    parameters: tuple[tuple[str, str, str], ...]


CONNECTS: dict[str, Connect] = {
    "exec": Connect(
        "PodExecOptions",
        STREAM_METHODS,
        (("command", "string", "One word of the command; given once for each."), _CONTAINER, *_STREAMS),
    ),
    "attach": Connect("PodAttachOptions", STREAM_METHODS, (_CONTAINER, *_STREAMS)),
    "portforward": Connect(
        "PodPortForwardOptions",
        STREAM_METHODS,
        (("ports", "integer", "Ports to forward, for clients that use channels."),),
    ),
    "proxy": Connect("{kind}ProxyOptions", PROXY_METHODS, ()),
}


def connect_operation(kind: KindDefinition, method: str, subresource: str, *, v3: bool) -> Json:
    """Return an operation without its id, tags and parameters."""
    text: Json = {"type": "string"}
    answer: Json = {"content": {"*/*": {"schema": text}}} if v3 else {"schema": text}
    operation: Json = {
        "description": f"Connect {method.upper()} requests to {subresource} of the {kind.kind}.",
        "responses": {"200": {"description": "OK", **answer}, "401": {"description": "Unauthorized"}},
        "x-kubernetes-action": "connect",
        "x-kubernetes-group-version-kind": {
            "group": kind.group,
            "version": kind.version,
            "kind": CONNECTS[subresource].options.format(kind=kind.kind),
        },
    }
    if not v3:
        operation |= {"consumes": ["*/*"], "produces": ["*/*"], "schemes": ["https"]}
    return operation
