"""Discovery: which groups, versions and resources there are, in the plain and in the aggregated form."""

from collections.abc import Sequence
from typing import Any

import orjson

from windlass.api.negotiation import negotiate, wants_aggregated_discovery
from windlass.api.request import PAGE_NOT_FOUND, ApiRequest
from windlass.api.response import ApiResponse
from windlass.apimachinery.scheme import KindDefinition
from windlass.errors import NotFoundError

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
READ_ONLY_VERBS = ("get", "list")
READ_ONLY = frozenset({("windlass.dev", "plugins"), ("metrics.k8s.io", "nodes"), ("metrics.k8s.io", "pods")})
SUBRESOURCES: dict[str, tuple[str, str, str, tuple[str, ...]]] = {
    # name: (group, version, kind, verbs); '' means the parent's own
    "status": ("", "", "", ("get", "patch", "update")),
    "scale": ("autoscaling", "v1", "Scale", ("get", "patch", "update")),
    "binding": ("", "v1", "Binding", ("create",)),
    "eviction": ("policy", "v1", "Eviction", ("create",)),
    "token": ("authentication.k8s.io", "v1", "TokenRequest", ("create",)),
    "log": ("", "", "", ("get",)),
    "finalize": ("", "", "", ("update",)),
    "ephemeralcontainers": ("", "", "", ("get", "patch", "update")),
    "exec": ("", "v1", "PodExecOptions", ("create", "get")),
    "attach": ("", "v1", "PodAttachOptions", ("create", "get")),
    "portforward": ("", "v1", "PodPortForwardOptions", ("create", "get")),
    "proxy": ("", "v1", "{kind}ProxyOptions", ("create", "delete", "get", "patch", "update")),
}


def _verbs(kind: KindDefinition) -> list[str]:
    if kind.verbs is not None:
        return list(kind.verbs)
    if (kind.group, kind.plural) in READ_ONLY:
        return list(READ_ONLY_VERBS)
    return [verb for verb in VERBS if not (kind.kind == "Namespace" and verb == "deletecollection")]


def _subresources(kind: KindDefinition) -> list[tuple[str, str, str, str, list[str]]]:
    names = [
        *kind.subresources,
        *(("finalize",) if kind.kind == "Namespace" and "finalize" not in kind.subresources else ()),
    ]
    found = []
    for name in sorted(set(names) & set(SUBRESOURCES)):
        group, version, said, verbs = SUBRESOURCES[name]
        said = said.format(kind=kind.kind)
        found.append(
            (name, group or ("" if said else kind.group), version or kind.version, said or kind.kind, list(verbs))
        )
    return found


def _api_resources(kind: KindDefinition) -> list[dict[str, Any]]:
    main: dict[str, Any] = {
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": _verbs(kind),
    }
    if kind.short_names:
        main["shortNames"] = list(kind.short_names)
    if kind.categories:
        main["categories"] = list(kind.categories)
    entries = [main]
    for name, group, version, said, verbs in _subresources(kind):
        entry = {
            "name": f"{kind.plural}/{name}",
            "singularName": "",
            "namespaced": kind.namespaced,
            "kind": said,
            "verbs": verbs,
        }
        if (group, version) != (kind.group, kind.version):
            entry |= {"group": group, "version": version}
        entries.append(entry)
    return entries


def _aggregated_resource(kind: KindDefinition) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "resource": kind.plural,
        "responseKind": {"group": kind.group, "version": kind.version, "kind": kind.kind},
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.singular,
        "verbs": _verbs(kind),
    }
    if kind.short_names:
        entry["shortNames"] = list(kind.short_names)
    if kind.categories:
        entry["categories"] = list(kind.categories)
    subresources = [
        {"subresource": name, "responseKind": {"group": group, "version": version, "kind": said}, "verbs": verbs}
        for name, group, version, said, verbs in _subresources(kind)
    ]
    return entry | ({"subresources": subresources} if subresources else {})


class Discovery:
    """The discovery documents, encoded once at start-up."""

    def __init__(self, kinds: Sequence[KindDefinition], address: str) -> None:
        self._documents: dict[str, bytes] = {}
        self._aggregated: dict[tuple[str, str], bytes] = {}
        versions: dict[str, dict[str, list[KindDefinition]]] = {}
        for kind in kinds:
            versions.setdefault(kind.group, {}).setdefault(kind.version, []).append(kind)
        core = versions.pop("", {})
        self._add(
            "/api",
            {
                "kind": "APIVersions",
                "versions": list(core),
                "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
            },
        )
        self._add(
            "/apis", {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(g, v) for g, v in versions.items()]}
        )
        for version, members in core.items():
            self._add_resources(f"/api/{version}", version, members)
        for group, by_version in versions.items():
            self._add(f"/apis/{group}", {"kind": "APIGroup", "apiVersion": "v1", **_group(group, by_version)})
            for version, members in by_version.items():
                self._add_resources(f"/apis/{group}/{version}", f"{group}/{version}", members)
        for form in ("v2", "v2beta1"):
            self._aggregated["/api", form] = _aggregated({"": core} if core else {}, form)
            self._aggregated["/apis", form] = _aggregated(versions, form)
        self._add(
            "/",
            {
                "paths": [
                    *sorted(self._documents),
                    "/healthz",
                    "/livez",
                    "/metrics",
                    "/openapi/v2",
                    "/openapi/v3",
                    "/readyz",
                    "/version",
                ]
            },
        )

    def _add(self, path: str, document: dict[str, Any]) -> None:
        self._documents[path] = orjson.dumps(document)

    def _add_resources(self, path: str, group_version: str, kinds: Sequence[KindDefinition]) -> None:
        resources = [entry for kind in kinds for entry in _api_resources(kind)]
        self._add(
            path, {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources}
        )

    async def handle(self, request: ApiRequest) -> ApiResponse:
        """Serve a discovery path. Raises 404 for every other, 406."""
        path = request.path.text
        form = wants_aggregated_discovery(request.header(b"accept"))
        if form and (path, form) in self._aggregated:
            content_type = f"application/json;g=apidiscovery.k8s.io;v={form};as=APIGroupDiscoveryList"
            return ApiResponse(self._aggregated[path, form], content_type=content_type, headers=[("vary", "Accept")])
        document = self._documents.get(path)
        if document is None:
            raise NotFoundError(PAGE_NOT_FOUND)
        negotiate(request.header(b"accept"), forms=False)
        return ApiResponse(document, headers=[("vary", "Accept")])


def _group(group: str, versions: dict[str, list[KindDefinition]]) -> dict[str, Any]:
    listed = [{"groupVersion": f"{group}/{version}", "version": version} for version in versions]
    return {"name": group, "versions": listed, "preferredVersion": listed[0]}


def _aggregated(groups: dict[str, dict[str, list[KindDefinition]]], form: str) -> bytes:
    items = [
        {
            "metadata": {"name": group, "creationTimestamp": None},
            "versions": [
                {
                    "version": version,
                    "resources": [_aggregated_resource(kind) for kind in kinds],
                    "freshness": "Current",
                }
                for version, kinds in versions.items()
            ],
        }
        for group, versions in groups.items()
    ]
    return orjson.dumps(
        {
            "kind": "APIGroupDiscoveryList",
            "apiVersion": f"apidiscovery.k8s.io/{form}",
            "metadata": {},
            "items": items,
        }
    )
