"""Deletion: grace, finalizers, propagation, preconditions, collections, namespaces."""

CMS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"


async def test_delete_answers_with_a_status(api, make):
    made = await api.ok("POST", CMS, make.config_map())
    gone = await api.ok("DELETE", f"{CMS}/one")
    assert (gone["kind"], gone["status"]) == ("Status", "Success")
    assert gone["details"] == {"name": "one", "kind": "configmaps", "uid": made["metadata"]["uid"]}
    assert (await api.call("GET", f"{CMS}/one")).status == 404
    assert (await api.call("DELETE", f"{CMS}/one")).status == 404


async def test_preconditions(api, make):
    made = await api.ok("POST", CMS, make.config_map())
    for precondition in ({"uid": "other"}, {"resourceVersion": "1"}):
        answer = await api.call("DELETE", f"{CMS}/one", {"preconditions": precondition})
        assert answer.status == 409
        assert "Precondition failed" in answer.json["message"]
    right = {"uid": made["metadata"]["uid"], "resourceVersion": made["metadata"]["resourceVersion"]}
    await api.ok("DELETE", f"{CMS}/one", {"preconditions": right})


async def test_finalizers_hold_an_object_until_the_last_one_goes(api, make):
    await api.ok("POST", CMS, make.config_map(finalizers=["example.com/a"]))
    marked = await api.ok("DELETE", f"{CMS}/one")
    assert marked["metadata"]["deletionTimestamp"] == "2026-01-01T00:00:00Z"
    answer = await api.call("PATCH", f"{CMS}/one", {"metadata": {"finalizers": ["example.com/a", "example.com/b"]}},
                            headers={"content-type": "application/merge-patch+json"})
    assert answer.status == 422
    assert "no new finalizers can be added if the object is being deleted" in answer.json["message"]
    again = await api.ok("DELETE", f"{CMS}/one")
    assert again["metadata"]["resourceVersion"] == marked["metadata"]["resourceVersion"], "deleting again writes nothing"
    await api.patch(f"{CMS}/one", {"metadata": {"finalizers": None}})
    assert (await api.call("GET", f"{CMS}/one")).status == 404


async def test_propagation_policies_become_finalizers(api, make):
    """C056, C058, C061: what the garbage collector goes by."""
    for policy, finalizer in (("Foreground", "foregroundDeletion"), ("Orphan", "orphan")):
        await api.ok("POST", DEPLOYMENTS, make.deployment(policy.lower()))
        marked = await api.ok("DELETE", f"{DEPLOYMENTS}/{policy.lower()}", {"propagationPolicy": policy})
        assert marked["metadata"]["finalizers"] == [finalizer]
        assert marked["metadata"]["deletionTimestamp"]
    await api.ok("POST", DEPLOYMENTS, make.deployment("background"))
    assert (await api.ok("DELETE", f"{DEPLOYMENTS}/background?propagationPolicy=Background"))["status"] == "Success"
    assert (await api.call("DELETE", f"{DEPLOYMENTS}/orphan", {"propagationPolicy": "Sideways"})).status in (400, 422)


async def test_pods_get_their_grace_which_can_only_shrink(api, make):
    await api.ok("POST", PODS, make.pod(nodeName="n1"))
    marked = await api.ok("DELETE", f"{PODS}/web")
    assert marked["metadata"]["deletionGracePeriodSeconds"] == 30
    assert marked["metadata"]["deletionTimestamp"] == "2026-01-01T00:00:30Z"
    assert (await api.ok("DELETE", f"{PODS}/web?gracePeriodSeconds=60"))["metadata"]["deletionGracePeriodSeconds"] == 30
    shorter = await api.ok("DELETE", f"{PODS}/web", {"gracePeriodSeconds": 5})
    assert shorter["metadata"]["deletionTimestamp"] == "2026-01-01T00:00:05Z"
    gone = await api.ok("DELETE", f"{PODS}/web?gracePeriodSeconds=0")
    assert gone["kind"] == "Pod", "deleted pods are returned"
    assert (await api.call("GET", f"{PODS}/web")).status == 404


async def test_a_pod_without_a_node_goes_at_once(api, make):
    await api.ok("POST", PODS, make.pod())
    await api.ok("DELETE", f"{PODS}/web")
    assert (await api.call("GET", f"{PODS}/web")).status == 404


async def test_bad_delete_options(api, make):
    await api.ok("POST", CMS, make.config_map())
    for body in ({"gracePeriodSeconds": "x"}, {"preconditions": 1}, {"preconditions": {"uid": 1}}, [],
                 {"orphanDependents": True, "propagationPolicy": "Orphan"}, {"propagationPolicy": 7}):
        assert (await api.call("DELETE", f"{CMS}/one", body)).status == 400, body
    assert (await api.call("DELETE", f"{PODS}/one?gracePeriodSeconds=x")).status == 400


async def test_delete_collection_by_selector(api, make):
    for number in range(40):
        await api.ok("POST", CMS, make.config_map(f"c{number}", labels={"half": str(number % 2)}))
    deleted = await api.ok("DELETE", f"{CMS}?labelSelector=half%3D1")
    assert len(deleted["items"]) == 20
    assert len((await api.get(CMS))["items"]) == 20
    assert (await api.call("DELETE", f"{CMS}?labelSelector=%3D%3D")).status == 400


async def test_namespaces_stay_until_they_are_empty(api, make):
    """C067 (API part): Terminating, no new content, finalize, gone."""
    await api.ok("POST", "/api/v1/namespaces", {"metadata": {"name": "shop"}})
    marked = await api.ok("DELETE", "/api/v1/namespaces/shop")
    assert marked["status"]["phase"] == "Terminating"
    assert marked["spec"]["finalizers"] == ["kubernetes"]
    answer = await api.call("POST", "/api/v1/namespaces/shop/configmaps", make.config_map())
    assert answer.status == 403
    assert "because it is being terminated" in answer.json["message"]
    marked["spec"]["finalizers"] = []
    await api.ok("PUT", "/api/v1/namespaces/shop/finalize", marked)
    assert (await api.call("GET", "/api/v1/namespaces/shop")).status == 404
    await api.ok("POST", "/api/v1/namespaces", {"metadata": {"name": "shop"}})


async def test_system_namespaces_may_not_be_deleted(api):
    answer = await api.call("DELETE", "/api/v1/namespaces/kube-system")
    assert answer.status == 403


async def test_namespace_status(api):
    """C065, C068."""
    status = "/api/v1/namespaces/default/status"
    assert (await api.get(status))["status"]["phase"] == "Active"
    patched = await api.patch(status, {"metadata": {"annotations": {"a": "b"}}, "status": {"conditions": [
        {"type": "StatusPatch", "status": "True", "reason": "E2E", "message": "m"}]}})
    assert patched["status"]["conditions"][0]["reason"] == "E2E"
    assert patched["metadata"]["annotations"]["a"] == "b"
    labelled = await api.patch("/api/v1/namespaces/default", {"metadata": {"labels": {"x": "y"}}})
    assert labelled["metadata"]["labels"]["x"] == "y"
