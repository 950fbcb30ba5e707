"""Discovery, version, OpenAPI, health, metrics, plugins."""

import pytest

from windlass.errors import StoreUnavailableError
from windlass.store.memory import MemoryStore


async def test_plain_discovery(api):
    """C047."""
    core = await api.get("/api")
    assert (core["kind"], core["versions"]) == ("APIVersions", ["v1"])
    groups = (await api.get("/apis"))["groups"]
    assert {"apps", "coordination.k8s.io", "discovery.k8s.io", "events.k8s.io", "windlass.dev"} <= {group["name"] for group in groups}
    for group in groups:
        assert group["preferredVersion"] == group["versions"][0]
        assert (await api.get(f"/apis/{group['name']}"))["kind"] == "APIGroup"
        for version in group["versions"]:
            resources = await api.get(f"/apis/{version['groupVersion']}")
            assert resources["kind"] == "APIResourceList"
            assert resources["groupVersion"] == version["groupVersion"]
            assert all(item["name"] and item["kind"] and item["verbs"] for item in resources["resources"])


async def test_resources_of_the_core(api):
    listed = {item["name"]: item for item in (await api.get("/api/v1"))["resources"]}
    assert listed["pods"]["shortNames"] == ["po"]
    assert "all" in listed["pods"]["categories"]
    assert listed["pods"]["singularName"] == "pod"
    assert {"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"} == set(listed["pods"]["verbs"])
    assert listed["pods/binding"]["kind"] == "Binding"
    assert (listed["pods/eviction"]["group"], listed["pods/eviction"]["version"]) == ("policy", "v1")
    assert listed["pods/log"]["verbs"] == ["get"]
    assert listed["nodes"]["namespaced"] is False
    assert "deletecollection" not in listed["namespaces"]["verbs"]
    assert "namespaces/finalize" in listed


@pytest.mark.parametrize("form", ["v2", "v2beta1"])
async def test_aggregated_discovery(api, form):
    """C025."""
    accept = {"accept": f"application/json;g=apidiscovery.k8s.io;v={form};as=APIGroupDiscoveryList,application/json"}
    for path, group in (("/api", ""), ("/apis", "apps")):
        answer = await api.call("GET", path, headers=accept)
        assert f"v={form}" in answer.header("content-type")
        assert answer.json["apiVersion"] == f"apidiscovery.k8s.io/{form}"
        found = next(item for item in answer.json["items"] if item["metadata"]["name"] == group)
        assert all(resource["responseKind"]["kind"] and resource["scope"] for resource in found["versions"][0]["resources"])
    plain = await api.call("GET", "/apis", headers={"accept": "application/json"})
    assert plain.json["kind"] == "APIGroupList"


async def test_version(api):
    version = await api.get("/version")
    assert (version["major"], version["minor"]) == ("1", "32")
    assert version["gitVersion"].startswith("v1.32.")
    assert "+windlass" in version["gitVersion"]


async def test_openapi(api):
    probe = await api.call("GET", "/openapi/v2", headers={"accept": "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"})
    assert (probe.status, probe.body) == (200, b"\n\x032.0")
    v2 = await api.get("/openapi/v2")
    assert v2["swagger"] == "2.0"
    assert "io.k8s.api.core.v1.Pod" in v2["definitions"]
    paths = (await api.get("/openapi/v3"))["paths"]
    assert {"api/v1", "apis/apps/v1"} <= set(paths)
    document = await api.call("GET", paths["apis/apps/v1"]["serverRelativeURL"])
    assert document.json["openapi"].startswith("3.0")
    assert "io.k8s.api.apps.v1.Deployment" in document.json["components"]["schemas"]
    assert "immutable" in document.header("cache-control")
    assert (await api.call("GET", "/openapi/v3/apis/none/v1")).status == 404


async def test_health(api):
    for path in ("/livez", "/readyz", "/healthz", "/readyz/store"):
        answer = await api.call("GET", path, user="")
        assert (answer.status, answer.body) == (200, b"ok")
    verbose = await api.call("GET", "/readyz?verbose")
    assert b"[+]store ok" in verbose.body
    assert verbose.body.endswith(b"readyz check passed\n")
    assert (await api.call("GET", "/readyz/nope")).status == 404


class AwayStore(MemoryStore):
    async def ping(self):
        raise StoreUnavailableError("gone")


class TestStoreAway:
    @pytest.fixture
    def store(self):
        return AwayStore()

    async def test_readiness_needs_the_store_and_liveness_does_not(self, api):
        """R03: readyz fails, livez is fine."""
        answer = await api.call("GET", "/readyz")
        assert answer.status == 500
        assert b"[-]store failed" in answer.body
        assert b"gone" not in answer.body
        assert (await api.call("GET", "/livez")).status == 200
        assert (await api.call("GET", "/readyz?exclude=store")).status == 200


async def test_metric_series_do_not_grow_with_what_clients_send(api):
    """A37."""
    async def series():
        await api.get("/api/v1/pods")
        return len((await api.call("GET", "/metrics")).body.splitlines())

    for method in ("GET", "POST", "PUT", "DELETE"):
        await api.call(method, "/api/v1/warm-up")
        await api.call(method, "/warm-up")
    await api.call("BREW", "/x")
    await api.call("GET", "/../..")
    before = await series()
    for number in range(200):
        headers = {"user-agent": f"agent-{number}"}
        await api.call("GET", f"/apis/group{number}/v1/things{number}", headers=headers)
        await api.call("GET", f"/path{number}", headers=headers)
        await api.call("BREW", f"/api/v1/namespaces/ns{number}/pods/p{number}", headers=headers)
        await api.call("GET", f"/api/v1/namespaces/ns{number}/pods/p{number}")
        if number == 0:
            before = await series()
    assert await series() == before


async def test_plugins(api):
    listed = await api.get("/apis/windlass.dev/v1/plugins")
    assert (listed["kind"], listed["items"][0]["metadata"]["name"]) == ("PluginList", "one")
    assert (await api.get("/apis/windlass.dev/v1/plugins/one"))["status"]["state"] == "loaded"
    assert (await api.call("GET", "/apis/windlass.dev/v1/plugins/two")).status == 404
    assert (await api.call("DELETE", "/apis/windlass.dev/v1/plugins/one")).status == 405
    table = await api.get("/apis/windlass.dev/v1/plugins", headers={"accept": "application/json;as=Table;v=v1;g=meta.k8s.io"})
    assert table["rows"][0]["cells"][:2] == ["one", "loaded"]
