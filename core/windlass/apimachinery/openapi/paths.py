"""Kinds to paths and operations, with the extensions by which kubectl finds them."""

from typing import Any

from windlass.apimachinery.openapi.connects import CONNECTS, connect_operation
from windlass.apimachinery.openapi.definitions import Definitions, Flavor, definition_name, gvk
from windlass.apimachinery.openapi.meta_types import DELETE_OPTIONS, PATCH, STATUS
from windlass.apimachinery.scheme import KindDefinition

Json = dict[str, Any]

JSON = "application/json"
READABLE = (JSON, "application/yaml")
PATCH_TYPES = ("application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json",
               "application/apply-patch+yaml")
HTTP_OF = {
    "get": "get",
    "list": "get",
    "post": "post",
    "put": "put",
    "patch": "patch",
    "delete": "delete",
    "deletecollection": "delete",
}

_WRITE = (
    ("dryRun", "string", "`All`: run every check and store nothing."),
    ("fieldManager", "string", "Name of the writer."),
    ("fieldValidation", "string", "What to do with unknown and repeated fields: Ignore, Warn or Strict."),
)
_SELECT = (
    ("labelSelector", "string", "Restricts the objects by their labels."),
    ("fieldSelector", "string", "Restricts the objects by their fields."),
    ("limit", "integer", "Largest number of objects in the answer."),
    ("continue", "string", "Token of the previous chunk."),
    ("resourceVersion", "string", "Revision that the answer must reflect."),
    ("resourceVersionMatch", "string", "How resourceVersion is meant: Exact or NotOlderThan."),
    ("timeoutSeconds", "integer", "How long a list or watch may last."),
)
_WATCH = (
    ("watch", "boolean", "Stream changes instead of returning a list."),
    ("allowWatchBookmarks", "boolean", "Send bookmarks in a watch."),
    ("sendInitialEvents", "boolean", "Begin a watch with the present objects."),
)
_DELETE = (
    ("dryRun", "string", "`All`: run every check and store nothing."),
    ("gracePeriodSeconds", "integer", "Seconds of grace before the object goes."),
    ("propagationPolicy", "string", "What becomes of dependents."),
)
_PARAMETERS = {
    "get": (),
    "list": _SELECT + _WATCH,
    "post": _WRITE,
    "put": _WRITE,
    "patch": (*_WRITE, ("force", "boolean", "Take over conflicting fields (server-side apply).")),
    "delete": _DELETE,
    "deletecollection": _SELECT + _DELETE,
}
VERB_OF = {"post": "create", "put": "update"}
"""Where an operation's name is not Kubernetes' verb."""
_SAYS = {
    "get": "Read the {}.",
    "list": "List or watch objects of kind {}.",
    "post": "Create a {}.",
    "put": "Replace the {}.",
    "patch": "Change parts of the {}.",
    "delete": "Delete the {}.",
    "deletecollection": "Delete all selected {} objects.",
}
_POST_ONLY = frozenset({"binding", "eviction", "token"})
_STATE_SUBRESOURCES = frozenset({"status", "scale", "ephemeralcontainers", "resize", "approval"})


class PathBuilder:
    """Builds the paths of one document."""

    def __init__(self, definitions: Definitions, flavor: Flavor) -> None:
        self._definitions = definitions
        self._v3 = flavor is Flavor.V3

    def paths_of(self, kind: KindDefinition) -> dict[str, Json]:
        """Return all paths of a kind: collection, item, subresources, and the collection over all namespaces."""
        root = f"/apis/{kind.api_version}" if kind.group else f"/api/{kind.version}"
        scope = "/namespaces/{namespace}" if kind.namespaced else ""
        collection = f"{root}{scope}/{kind.plural}"
        paths = {}
        if verbs := _served(kind, "list", "post", "deletecollection"):
            paths[collection] = self._item(kind, verbs, "")
        if verbs := _served(kind, "get", "put", "patch", "delete"):
            paths[f"{collection}/{{name}}"] = self._item(kind, verbs, "", named=True)
        if kind.namespaced and _served(kind, "list"):
            paths[f"{root}/{kind.plural}"] = self._item(kind, ("list",), "", everywhere=True)
        for subresource in kind.subresources:
            if subresource in CONNECTS:
                paths |= self._connections(kind, f"{collection}/{{name}}/{subresource}", subresource)
                continue
            verbs = _subresource_verbs(subresource)
            paths[f"{collection}/{{name}}/{subresource}"] = self._item(kind, verbs, subresource, named=True)
        return paths

    def _item(
        self,
        kind: KindDefinition,
        verbs: tuple[str, ...],
        subresource: str,
        *,
        named: bool = False,
        everywhere: bool = False,
    ) -> Json:
        item: Json = {HTTP_OF[verb]: self._operation(kind, verb, subresource, everywhere=everywhere) for verb in verbs}
        parameters = [self._parameter("name", "string", f"Name of the {kind.kind}.", "path")] if named else []
        if kind.namespaced and not everywhere:
            parameters.append(self._parameter("namespace", "string", "Namespace of the object.", "path"))
        if parameters:
            item["parameters"] = parameters
        return item

    def _connections(self, kind: KindDefinition, path: str, subresource: str) -> dict[str, Json]:
        """Return the paths of a subresource that connects to a container or node instead of reading or writing an object."""
        group_version = f"{_group_word(kind.group)}{kind.version.capitalize()}"
        tag = f"{_group_word(kind.group).lower()}_{kind.version}"
        found = {}
        for tail in ("", "/{path}") if subresource == "proxy" else ("",):
            item: Json = {}
            for method in CONNECTS[subresource].methods:
                operation = connect_operation(kind, method, subresource, v3=self._v3)
                scope = "Namespaced" if kind.namespaced else ""
                name = f"connect{group_version}{method.capitalize()}{scope}{kind.kind}{subresource.capitalize()}"
                operation |= {"operationId": name + ("WithPath" if tail else ""), "tags": [tag]}
                operation["parameters"] = [self._parameter(*each, "query") for each in CONNECTS[subresource].parameters]
                item[method] = operation
            item["parameters"] = [self._parameter("name", "string", f"Name of the {kind.kind}.", "path")]
            if kind.namespaced:
                item["parameters"].append(self._parameter("namespace", "string", "Namespace of the object.", "path"))
            if tail:
                item["parameters"].append(self._parameter("path", "string", "Path for the backend.", "path"))
            found[path + tail] = item
        return found

    def _operation(self, kind: KindDefinition, verb: str, subresource: str, *, everywhere: bool) -> Json:
        name = definition_name(kind.schema, kind)
        result = {"list": f"{name}List", "delete": STATUS, "deletecollection": STATUS}.get(verb, name)
        operation: Json = {
            "description": _SAYS[verb].format(f"{subresource} of the {kind.kind}" if subresource else kind.kind),
            "operationId": _operation_id(kind, verb, subresource, everywhere=everywhere),
            "tags": [f"{_group_word(kind.group).lower()}_{kind.version}"],
            "parameters": [self._parameter(*parameter, "query") for parameter in _PARAMETERS[verb]],
            "responses": self._responses(result, verb, opaque=_is_opaque(subresource)),
            "x-kubernetes-action": verb,
            "x-kubernetes-group-version-kind": gvk(kind),
        }
        self._add_body(operation, verb, name, opaque=_is_opaque(subresource))
        return operation

    def _parameter(self, name: str, kind: str, description: str, place: str) -> Json:
        made: Json = {"name": name, "in": place, "description": description}
        if place == "path":
            made["required"] = True
        if self._v3:
            return made | {"schema": {"type": kind, "uniqueItems": True}}
        return made | {"type": kind, "uniqueItems": True}

    def _responses(self, result: str, verb: str, *, opaque: bool) -> Json:
        schema = {"type": "object"} if opaque else self._definitions.reference(result)
        codes = {"200": "OK"}
        if verb in ("post", "put", "patch"):
            codes["201"] = "Created"
        if verb in ("post", "delete"):
            codes["202"] = "Accepted"
        responses: Json = {}
        for code, text in codes.items():
            responses[code] = {"description": text}
            if self._v3:
                responses[code]["content"] = {media: {"schema": schema} for media in READABLE}
            else:
                responses[code]["schema"] = schema
        return responses | {"401": {"description": "Unauthorized"}}

    def _add_body(self, operation: Json, verb: str, name: str, *, opaque: bool) -> None:
        body = {"post": name, "put": name, "patch": PATCH, "delete": DELETE_OPTIONS, "deletecollection": DELETE_OPTIONS}
        accepted = PATCH_TYPES if verb == "patch" else READABLE
        if not self._v3:
            operation |= {
                "consumes": list(accepted) if verb == "patch" else ["*/*"],
                "produces": list(READABLE),
                "schemes": ["https"],
            }
        if verb not in body:
            return
        schema = {"type": "object"} if opaque else self._definitions.reference(body[verb])
        required = verb in ("post", "put", "patch")
        if self._v3:
            operation["requestBody"] = {
                "content": {media: {"schema": schema} for media in accepted},
                "required": required,
            }
        else:
            operation["parameters"].append({"name": "body", "in": "body", "schema": schema, "required": required})


def _served(kind: KindDefinition, *operations: str) -> tuple[str, ...]:
    if kind.verbs is None:
        return operations
    return tuple(each for each in operations if VERB_OF.get(each, each) in kind.verbs)


def _subresource_verbs(subresource: str) -> tuple[str, ...]:
    if subresource in _POST_ONLY:
        return ("post",)
    return ("get", "put", "patch") if subresource in _STATE_SUBRESOURCES else ("get",)


def _is_opaque(subresource: str) -> bool:
    """Whether requests and answers of a subresource are not the kind itself."""
    return bool(subresource) and subresource not in ("status", "ephemeralcontainers", "resize", "approval")


def _group_word(group: str) -> str:
    words = (group or "core").removesuffix(".k8s.io").replace("-", ".").split(".")
    return "".join(word.capitalize() for word in words)


def _operation_id(kind: KindDefinition, verb: str, subresource: str, *, everywhere: bool) -> str:
    words = {"get": "read", "post": "create", "put": "replace", "deletecollection": "deleteCollection"}
    scope = "Namespaced" if kind.namespaced and not everywhere else ""
    tail = subresource.capitalize() + ("ForAllNamespaces" if everywhere else "")
    group_version = f"{_group_word(kind.group)}{kind.version.capitalize()}"
    return f"{words.get(verb, verb)}{group_version}{scope}{kind.kind}{tail}"
