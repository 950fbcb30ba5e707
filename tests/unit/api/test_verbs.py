"""Create, get, update, patch, delete on the generic handler."""

import asyncio

import pytest

CMS = "/api/v1/namespaces/default/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"


async def test_create_fills_what_is_the_servers(api, make):
    made = await api.call("POST", CMS, make.config_map())
    assert made.status == 201
    metadata = made.json["metadata"]
    assert metadata["namespace"] == "default"
    assert metadata["uid"]
    assert metadata["creationTimestamp"] == "2026-01-01T00:00:00Z"
    assert metadata["resourceVersion"].isdecimal()
    assert await api.get(f"{CMS}/one") == made.json


async def test_create_twice_is_a_conflict_in_kubernetes_words(api, make):
    await api.ok("POST", CMS, make.config_map())
    again = await api.call("POST", CMS, make.config_map())
    assert again.status == 409
    assert again.json["reason"] == "AlreadyExists"
    assert again.json["message"] == 'configmaps "one" already exists'
    assert again.json["details"] == {"name": "one", "kind": "configmaps"}


async def test_generate_name(api, make):
    body = make.config_map()
    body["metadata"] = {"generateName": "web-"}
    names = {(await api.ok("POST", CMS, body))["metadata"]["name"] for _ in range(5)}
    assert len(names) == 5
    assert all(name.startswith("web-") and len(name) == 9 for name in names)


async def test_missing_namespace(api, make):
    answer = await api.call("POST", "/api/v1/namespaces/nowhere/configmaps", make.config_map())
    assert answer.status == 404
    assert answer.json["message"] == 'namespaces "nowhere" not found'


async def test_object_in_a_namespace_made_this_moment(api, make):
    await api.ok("POST", "/api/v1/namespaces", {"metadata": {"name": "fresh"}})
    await api.ok("POST", "/api/v1/namespaces/fresh/configmaps", make.config_map())


async def test_not_found(api):
    answer = await api.call("GET", f"{DEPLOYMENTS}/nope")
    assert answer.status == 404
    assert answer.json["message"] == 'deployments.apps "nope" not found'
    assert answer.json["details"] == {"name": "nope", "group": "apps", "kind": "deployments"}


async def test_update_with_an_old_version_is_refused_in_kubernetes_words(api, make):
    """A40: optimistic concurrency."""
    first = await api.ok("POST", DEPLOYMENTS, make.deployment())
    await api.patch(f"{DEPLOYMENTS}/web", {"metadata": {"labels": {"a": "b"}}})
    answer = await api.call("PUT", f"{DEPLOYMENTS}/web", first)
    assert answer.status == 409
    assert answer.json["reason"] == "Conflict"
    assert answer.json["message"] == (
        'Operation cannot be fulfilled on deployments.apps "web": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )


async def test_sixty_four_writers_of_one_object(api, make):
    """A40: successes equal increments, the rest is told 409."""
    made = await api.ok("POST", CMS, make.config_map())
    made["data"] = {"count": "0"}
    version = (await api.ok("PUT", f"{CMS}/one", made))["metadata"]["resourceVersion"]
    bodies = [{**made, "metadata": {**made["metadata"], "resourceVersion": version}, "data": {"n": str(n)}} for n in range(64)]
    answers = await asyncio.gather(*(api.call("PUT", f"{CMS}/one", body) for body in bodies))
    assert sorted(answer.status for answer in answers) == [200] + [409] * 63
    patches = await asyncio.gather(*(
        api.call("PATCH", f"{CMS}/one", {"data": {f"k{n}": "x"}}, headers={"content-type": "application/merge-patch+json"})
        for n in range(32)
    ))
    assert all(answer.status == 200 for answer in patches)
    assert sum(key.startswith("k") for key in (await api.get(f"{CMS}/one"))["data"]) == 32


async def test_generation_counts_changes_of_the_spec_only(api, make):
    made = await api.ok("POST", DEPLOYMENTS, make.deployment())
    assert made["metadata"]["generation"] == 1
    labelled = await api.patch(f"{DEPLOYMENTS}/web", {"metadata": {"labels": {"a": "b"}}})
    assert labelled["metadata"]["generation"] == 1
    scaled = await api.patch(f"{DEPLOYMENTS}/web", {"spec": {"replicas": 5}})
    assert scaled["metadata"]["generation"] == 2


async def test_an_update_that_changes_nothing_writes_nothing(api, make):
    made = await api.ok("POST", DEPLOYMENTS, make.deployment())
    revision = await api.store.barrier()
    assert await api.ok("PUT", f"{DEPLOYMENTS}/web", made) == made
    assert await api.patch(f"{DEPLOYMENTS}/web", {"spec": {"replicas": 3}}) == made
    assert await api.store.barrier() == revision


async def test_server_owned_metadata_cannot_be_written(api, make):
    made = await api.ok("POST", CMS, make.config_map())
    body = {**made, "metadata": {"name": "one", "creationTimestamp": "2001-01-01T00:00:00Z", "generation": 7,
                                 "deletionTimestamp": "2001-01-01T00:00:00Z"}}
    updated = await api.ok("PUT", f"{CMS}/one", body)
    assert updated["metadata"]["creationTimestamp"] == made["metadata"]["creationTimestamp"]
    assert "deletionTimestamp" not in updated["metadata"]
    other = {**made, "metadata": {**made["metadata"], "uid": "another"}}
    assert (await api.call("PUT", f"{CMS}/one", other)).status == 409


async def test_status_and_main_endpoints_do_not_clobber_each_other(api, make):
    """A40, C065."""
    await api.ok("POST", DEPLOYMENTS, make.deployment())
    status = await api.patch(f"{DEPLOYMENTS}/web/status", {"status": {"replicas": 2}, "spec": {"replicas": 9}})
    assert (status["status"]["replicas"], status["spec"]["replicas"]) == (2, 3)
    main = await api.patch(f"{DEPLOYMENTS}/web", {"status": {"replicas": 7}, "spec": {"replicas": 4}})
    assert (main["status"]["replicas"], main["spec"]["replicas"]) == (2, 4)


@pytest.mark.parametrize(("kind", "body"), [
    ("merge-patch", {"data": {"key": None, "new": "1"}}),
    ("strategic-merge-patch", {"data": {"key": None, "new": "1"}}),
    ("json-patch", [{"op": "remove", "path": "/data/key"}, {"op": "add", "path": "/data/new", "value": "1"}]),
])
async def test_the_three_patch_types(api, make, kind, body):
    await api.ok("POST", CMS, make.config_map())
    assert (await api.patch(f"{CMS}/one", body, kind))["data"] == {"new": "1"}


async def test_strategic_merge_by_key(api, make):
    await api.ok("POST", DEPLOYMENTS, make.deployment())
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "x:1"}]}}}}
    patched = await api.patch(f"{DEPLOYMENTS}/web", patch, "strategic-merge-patch")
    assert {item["name"] for item in patched["spec"]["template"]["spec"]["containers"]} == {"main", "side"}


async def test_patch_with_a_version_is_conditional(api, make):
    await api.ok("POST", CMS, make.config_map())
    answer = await api.call("PATCH", f"{CMS}/one", {"metadata": {"resourceVersion": "1"}},
                            headers={"content-type": "application/merge-patch+json"})
    assert answer.status == 409


async def test_json_patch_test_that_fails_changes_nothing(api, make):
    """A35: atomic."""
    await api.ok("POST", CMS, make.config_map())
    body = [{"op": "add", "path": "/data/x", "value": "1"}, {"op": "test", "path": "/data/key", "value": "other"}]
    answer = await api.call("PATCH", f"{CMS}/one", body, headers={"content-type": "application/json-patch+json"})
    assert answer.status == 422
    assert (await api.get(f"{CMS}/one"))["data"] == {"key": "value"}


@pytest.mark.parametrize("count", [10_001, 100_000])
async def test_json_patch_bombs(api, make, count):
    """A35: too many operations, and a copy that doubles."""
    await api.ok("POST", CMS, make.config_map())
    headers = {"content-type": "application/json-patch+json"}
    many = [{"op": "test", "path": "/data/key", "value": "value"}] * count
    assert (await api.call("PATCH", f"{CMS}/one", many[:50_000], headers=headers)).status in (413, 422)
    doubling = [{"op": "copy", "from": "/data", "path": f"/data/k{n}"} for n in range(40)]
    assert (await api.call("PATCH", f"{CMS}/one", doubling, headers=headers)).status in (400, 413, 422)
    assert (await api.get(f"{CMS}/one"))["data"] == {"key": "value"}


async def test_merge_patch_depth_bomb(api, make):
    """A35."""
    await api.ok("POST", CMS, make.config_map())
    bomb = b'{"data":' * 100_000 + b"1" + b"}" * 100_000
    answer = await api.call("PATCH", f"{CMS}/one", bomb, headers={"content-type": "application/merge-patch+json"})
    assert answer.status in (400, 413)


async def test_put_of_a_missing_name(api, make):
    assert (await api.call("PUT", f"{CMS}/one", make.config_map())).status == 404
    lease = {"metadata": {"name": "n1"}, "spec": {"holderIdentity": "n1"}}
    path = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n1"
    answer = await api.call("PUT", path, lease)
    assert answer.status in (201, 404)


async def test_names_in_body_and_path_must_agree(api, make):
    await api.ok("POST", CMS, make.config_map())
    assert (await api.call("PUT", f"{CMS}/one", make.config_map("two"))).status == 400
    assert (await api.call("POST", CMS, make.config_map(namespace="kube-system"))).status == 400
    assert (await api.call("POST", CMS, {**make.config_map(), "kind": "Secret"})).status == 400
    assert (await api.call("POST", CMS, {**make.config_map(), "apiVersion": "v2"})).status == 400


async def test_invalid_object_lists_every_cause(api, make):
    bad = make.deployment("Not_A_Name", replicas=-1)
    answer = await api.call("POST", DEPLOYMENTS, bad)
    assert answer.status == 422
    assert answer.json["reason"] == "Invalid"
    fields = {cause["field"] for cause in answer.json["details"]["causes"]}
    assert {"metadata.name", "spec.replicas"} <= fields
    assert answer.json["message"].startswith('Deployment.apps "Not_A_Name" is invalid: ')


async def test_wrong_type_is_400_with_its_field(api, make):
    answer = await api.call("POST", DEPLOYMENTS, make.deployment(replicas="three"))
    assert answer.status == 400
    assert answer.json["details"]["causes"][0]["field"] == "spec.replicas"


async def test_methods_that_do_not_exist(api, make):
    for method, path in (("POST", "/api/v1/configmaps"), ("POST", f"{CMS}/one"), ("DELETE", "/api/v1/namespaces"),
                         ("OPTIONS", CMS), ("POST", "/version"), ("DELETE", "/api/v1/configmaps")):
        answer = await api.call(method, path, make.config_map() if method == "POST" else None)
        assert answer.status == 405, (method, path, answer)
        assert answer.json["kind"] == "Status"


async def test_head(api, make):
    await api.ok("POST", CMS, make.config_map())
    answer = await api.call("HEAD", f"{CMS}/one")
    assert (answer.status, answer.body) == (200, b"")


async def test_yaml_body_and_yaml_answer(api):
    body = b"metadata:\n  name: yes-1\ndata:\n  a: 'no'\n"
    made = await api.call("POST", CMS, body, headers={"content-type": "application/yaml", "accept": "application/yaml"})
    assert made.status == 201
    assert made.header("content-type") == "application/yaml"
    assert b"a: 'no'" in made.body
