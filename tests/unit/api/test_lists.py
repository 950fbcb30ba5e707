"""Lists: selectors, chunks, resourceVersion, representations."""

import gzip

import pytest

from windlass.registry.continuation import SNAPSHOT_SECONDS

CMS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
TABLE = {"accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}


async def fill(api, make, count=10):
    for number in range(count):
        await api.ok("POST", CMS, make.config_map(f"c{number:03}", labels={"n": str(number % 2), "all": "yes"}))


def names(listing):
    return [item["metadata"]["name"] for item in listing["items"]]


async def test_list_of_one_and_of_all_namespaces(api, make):
    await fill(api, make, 2)
    await api.ok("POST", "/api/v1/namespaces/kube-system/configmaps", make.config_map("other"))
    here = await api.get(CMS)
    assert (here["kind"], here["apiVersion"], names(here)) == ("ConfigMapList", "v1", ["c000", "c001"])
    assert names(await api.get("/api/v1/configmaps")) == ["c000", "c001", "other"]
    assert here["metadata"]["resourceVersion"].isdecimal()


@pytest.mark.parametrize(("selector", "count"), [
    ("n%3D1", 5), ("n!%3D1", 5), ("n%20in%20(0,1),all", 10), ("n%20notin%20(0,1)", 0), ("!all", 0),
])
async def test_label_selectors(api, make, selector, count):
    await fill(api, make)
    assert len((await api.get(f"{CMS}?labelSelector={selector}"))["items"]) == count


async def test_field_selectors(api, make):
    await fill(api, make, 3)
    assert names(await api.get(f"{CMS}?fieldSelector=metadata.name%3Dc001")) == ["c001"]
    await api.ok("POST", PODS, make.pod("a", nodeName="n1"))
    await api.ok("POST", PODS, make.pod("b"))
    assert names(await api.get("/api/v1/pods?fieldSelector=spec.nodeName%3Dn1")) == ["a"]
    assert names(await api.get("/api/v1/pods?fieldSelector=spec.nodeName%3D")) == ["b"]
    bad = await api.call("GET", f"{CMS}?fieldSelector=spec.x%3D1")
    assert bad.status == 400
    assert "is not a known field selector" in bad.json["message"]
    assert (await api.call("GET", f"{CMS}?labelSelector=(((")).status == 400
    assert (await api.call("GET", f"{CMS}?labelSelector={'a' * 70_000}")).status in (400, 413, 414)


async def test_chunks_are_one_consistent_list(api, make):
    """Pages show the moment of the first, whatever happens meanwhile."""
    await fill(api, make)
    first = await api.get(f"{CMS}?limit=4")
    assert names(first) == ["c000", "c001", "c002", "c003"]
    assert first["metadata"]["remainingItemCount"] == 6
    await api.ok("DELETE", f"{CMS}/c007")
    await api.ok("POST", CMS, make.config_map("c0045"))
    second = await api.get(f"{CMS}?limit=4&continue={first['metadata']['continue']}")
    assert names(second) == ["c004", "c005", "c006", "c007"]
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    third = await api.get(f"{CMS}?limit=4&continue={second['metadata']['continue']}")
    assert names(third) == ["c008", "c009"]
    assert "continue" not in third["metadata"]
    assert "remainingItemCount" not in third["metadata"]


async def test_compacted_continue_token_gives_410_with_a_fresh_one(api, make):
    """C082: the fresh token lists on from the same key, at one newer version that is kept for the rest."""
    await fill(api, make, 12)
    first = await api.get(f"{CMS}?limit=4")
    api.clock.move(SNAPSHOT_SECONDS + 1)
    await api.ok("POST", CMS, make.config_map("zzz"))
    await api.get(f"{CMS}/zzz")
    gone = await api.call("GET", f"{CMS}?limit=4&continue={first['metadata']['continue']}")
    assert (gone.status, gone.json["reason"]) == (410, "Expired")
    second = await api.get(f"{CMS}?limit=4&continue={gone.json['metadata']['continue']}")
    assert names(second) == ["c004", "c005", "c006", "c007"]
    assert second["metadata"]["remainingItemCount"] == 5
    assert int(second["metadata"]["resourceVersion"]) > int(first["metadata"]["resourceVersion"])
    await api.ok("POST", CMS, make.config_map("zzzz"))
    third = await api.get(f"{CMS}?limit=9&continue={second['metadata']['continue']}")
    assert names(third) == ["c008", "c009", "c010", "c011", "zzz"]
    assert third["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"]


async def test_remaining_count_is_left_out_under_a_selector(api, make):
    await fill(api, make)
    page = await api.get(f"{CMS}?limit=2&labelSelector=all")
    assert page["metadata"]["continue"]
    assert "remainingItemCount" not in page["metadata"]


@pytest.mark.parametrize("query", [
    "continue=nonsense", "continue=e30", "limit=x", "limit=-1", "limit=99999999999999999999", "continue=eyJ2IjoxfQ",
    "resourceVersion=abc", "resourceVersion=-1", "watch=perhaps",
])
async def test_bad_list_options(api, query):
    answer = await api.call("GET", f"{CMS}?{query}")
    assert answer.status == 400, answer
    assert answer.json["kind"] == "Status"


@pytest.mark.parametrize("query", [
    "resourceVersionMatch=Exact", "resourceVersion=0&resourceVersionMatch=Exact", "resourceVersion=1&resourceVersionMatch=Best",
])
async def test_bad_resource_version_match(api, query):
    assert (await api.call("GET", f"{CMS}?{query}")).status in (400, 422)


async def test_resource_versions(api, make):
    """R18: 0 is whatever is here, N is not older, the future is 504, an exact past is 410."""
    await fill(api, make, 2)
    current = int((await api.get(CMS))["metadata"]["resourceVersion"])
    assert len((await api.get(f"{CMS}?resourceVersion=0"))["items"]) == 2
    assert len((await api.get(f"{CMS}?resourceVersion={current}&resourceVersionMatch=NotOlderThan"))["items"]) == 2
    assert len((await api.get(f"{CMS}?resourceVersion={current}&resourceVersionMatch=Exact"))["items"]) == 2
    past = await api.call("GET", f"{CMS}?resourceVersion={current - 1}&resourceVersionMatch=Exact")
    assert (past.status, past.json["reason"]) == (410, "Expired")
    future = await api.call("GET", f"{CMS}?resourceVersion={current + 1000}")
    assert future.status == 504
    assert future.json["message"] == f"Too large resource version: {current + 1000}, current: {current}"
    assert future.json["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


async def test_table(api, make):
    await api.ok("POST", PODS, make.pod())
    answer = await api.call("GET", PODS, headers=TABLE)
    table = answer.json
    assert (table["kind"], table["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    assert [column["name"] for column in table["columnDefinitions"]][:4] == ["Name", "Ready", "Status", "Restarts"]
    row = table["rows"][0]
    assert row["cells"][0] == "web"
    assert row["object"]["kind"] == "PartialObjectMetadata"
    assert table["metadata"]["resourceVersion"]
    single = (await api.call("GET", f"{PODS}/web", headers=TABLE)).json
    assert len(single["rows"]) == 1
    full = (await api.call("GET", f"{PODS}?includeObject=Object", headers=TABLE)).json
    assert full["rows"][0]["object"]["spec"]
    none = (await api.call("GET", f"{PODS}?includeObject=None", headers=TABLE)).json
    assert none["rows"][0].get("object") is None
    assert (await api.call("GET", f"{PODS}?includeObject=Half", headers=TABLE)).status == 400


async def test_partial_object_metadata(api, make):
    await fill(api, make, 1)
    accept = {"accept": "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"}
    listing = (await api.call("GET", CMS, headers=accept)).json
    assert listing["kind"] == "PartialObjectMetadataList"
    assert set(listing["items"][0]) == {"kind", "apiVersion", "metadata"}
    accept = {"accept": "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"}
    assert (await api.call("GET", f"{CMS}/c000", headers=accept)).json["kind"] == "PartialObjectMetadata"


@pytest.mark.parametrize(("accept", "status"), [
    ("", 200), ("*/*", 200), ("application/json", 200), ("application/vnd.kubernetes.protobuf,application/json", 200),
    ("application/yaml", 200), ("text/html", 406), ("application/vnd.kubernetes.protobuf", 406), ("application/json;q=0", 406),
    ("application/json;as=Table;v=v9;g=meta.k8s.io", 406), ("application/json;as=Chair;v=v1;g=meta.k8s.io", 406),
    ("text/html,*/*;q=0.8", 200),
])
async def test_accept(api, make, accept, status):
    """C083 (what has no Table is 406)."""
    answer = await api.call("GET", CMS, headers={"accept": accept} if accept else {})
    assert answer.status == status
    if status == 406:
        assert answer.json["reason"] == "NotAcceptable"


async def test_scale_has_no_table(api, make):
    """C083."""
    await api.ok("POST", "/apis/apps/v1/namespaces/default/deployments", make.deployment())
    answer = await api.call("GET", "/apis/apps/v1/namespaces/default/deployments/web/scale",
                            headers={"accept": "application/json;as=Table;v=v1;g=meta.k8s.io"})
    assert answer.status == 406


async def test_large_answers_are_packed_when_accepted(api, make):
    for number in range(5):
        big = make.config_map(f"b{number}")
        big["data"] = {"k": "x" * 100_000}
        await api.ok("POST", CMS, big)
    packed = await api.call("GET", CMS, headers={"accept-encoding": "gzip"})
    assert packed.header("content-encoding") == "gzip"
    plain = await api.call("GET", CMS)
    assert not plain.header("content-encoding")
    assert gzip.decompress(packed.body) == plain.body
    small = await api.call("GET", f"{CMS}/b0", headers={"accept-encoding": "gzip"})
    assert not small.header("content-encoding")


async def test_events_are_one_storage_under_two_groups(api):
    body = {"metadata": {"name": "e1", "namespace": "default"}, "involvedObject": {"kind": "Pod", "name": "web", "namespace": "default"},
            "reason": "Started", "message": "it runs", "type": "Normal"}
    await api.ok("POST", "/api/v1/namespaces/default/events", body)
    other = await api.get("/apis/events.k8s.io/v1/namespaces/default/events/e1")
    assert other["apiVersion"] == "events.k8s.io/v1"
    assert (other["regarding"]["name"], other["note"], other["reason"]) == ("web", "it runs", "Started")
    listing = await api.get("/apis/events.k8s.io/v1/events")
    assert listing["items"][0]["note"] == "it runs"
    patched = await api.patch("/apis/events.k8s.io/v1/namespaces/default/events/e1", {"metadata": {"labels": {"a": "b"}}})
    assert patched["note"] == "it runs"
    assert (await api.get("/api/v1/namespaces/default/events/e1"))["metadata"]["labels"] == {"a": "b"}
