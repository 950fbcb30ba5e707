"""Server-side apply over the API: who owns what, who is refused, what goes."""

import pytest

NS = "/api/v1/namespaces/default"
CMS = f"{NS}/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
APPLY = {"content-type": "application/apply-patch+yaml"}
KUBECTL = {"user-agent": "kubectl-client/v1.32.0 (linux/amd64) kubernetes/abc"}


@pytest.fixture
def ssa(api):
    """Apply as a manager; the second value is whether to insist."""

    async def apply(path, body, manager="alice", *, force=None, query="", status=(200, 201)):
        forced = "" if force is None else f"&force={str(force).lower()}"
        answer = await api.call("PATCH", f"{path}?fieldManager={manager}{forced}{query}", body, headers=APPLY)
        assert answer.status in (status if isinstance(status, tuple) else (status,)), answer
        return answer.json

    return apply


def managers(obj):
    return {
        (entry["manager"], entry["operation"], entry.get("subresource", "")): entry["fieldsV1"]
        for entry in obj["metadata"].get("managedFields", [])
    }


def config(name="one", **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


async def test_apply_creates_and_owns_exactly_what_it_names(ssa, api):
    answer = await api.call("PATCH", f"{CMS}/one?fieldManager=alice", config(a="1"), headers=APPLY)
    assert answer.status == 201
    (entry,) = answer.json["metadata"]["managedFields"]
    assert entry == {
        "manager": "alice", "operation": "Apply", "apiVersion": "v1", "time": answer.json["metadata"]["creationTimestamp"],
        "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {"f:a": {}}},
    }  # fmt: skip
    assert (await api.get(f"{CMS}/one"))["metadata"]["managedFields"] == [entry]


async def test_yaml_is_what_an_apply_sends(api):
    text = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: one\ndata:\n  a: 'yes'\n"
    answer = await api.call("PATCH", f"{CMS}/one?fieldManager=alice", text, headers=APPLY)
    assert answer.json["data"] == {"a": "yes"}


async def test_applying_the_same_again_changes_nothing(ssa, api):
    first = await ssa(f"{CMS}/one", config(a="1"))
    await api.clock.advance(3600)
    assert await ssa(f"{CMS}/one", config(a="1")) == first


async def test_what_is_no_longer_named_goes(ssa):
    await ssa(f"{CMS}/one", config(a="1", b="2"))
    assert (await ssa(f"{CMS}/one", config(a="1")))["data"] == {"a": "1"}
    assert "data" not in await ssa(f"{CMS}/one", {"apiVersion": "v1", "kind": "ConfigMap"})


async def test_what_another_owns_too_stays(ssa):
    await ssa(f"{CMS}/one", config(a="1", b="2"))
    shared = await ssa(f"{CMS}/one", config(b="2"), "bob")
    assert managers(shared)["bob", "Apply", ""] == {"f:data": {"f:b": {}}}
    assert managers(shared)["alice", "Apply", ""] == {"f:data": {"f:a": {}, "f:b": {}}}
    left = await ssa(f"{CMS}/one", config(a="1"))
    assert left["data"] == {"a": "1", "b": "2"}
    assert managers(left)["alice", "Apply", ""] == {"f:data": {"f:a": {}}}


async def test_a_conflict_names_the_owner_and_the_field(ssa):
    await ssa(f"{CMS}/one", config(a="1"))
    refused = await ssa(f"{CMS}/one", config(a="2"), "bob", status=409)
    assert refused["message"] == 'Apply failed with 1 conflict: conflict with "alice": .data.a'
    assert refused["reason"] == "Conflict"
    assert refused["details"]["causes"] == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "alice"', "field": ".data.a"}
    ]


async def test_several_conflicts_are_listed_by_owner(ssa):
    await ssa(f"{CMS}/one", config(a="1", b="1"))
    await ssa(f"{CMS}/one", config(c="1"), "carol")
    refused = await ssa(f"{CMS}/one", config(a="2", b="2", c="2"), "bob", status=409)
    assert refused["message"] == (
        'Apply failed with 3 conflicts: conflicts with "alice":\n- .data.a\n- .data.b\nconflicts with "carol":\n- .data.c'
    )


async def test_force_takes_the_field(ssa):
    await ssa(f"{CMS}/one", config(a="1", b="1"))
    forced = await ssa(f"{CMS}/one", config(a="2"), "bob", force=True)
    assert forced["data"] == {"a": "2", "b": "1"}
    assert managers(forced) == {
        ("alice", "Apply", ""): {"f:data": {"f:b": {}}}, ("bob", "Apply", ""): {"f:data": {"f:a": {}}}
    }  # fmt: skip


async def test_an_update_takes_what_it_changes_without_asking(ssa, api):
    applied = await ssa(f"{CMS}/one", config(a="1", b="1"))
    applied["data"]["a"] = "2"
    updated = await api.ok("PUT", f"{CMS}/one", applied, headers=KUBECTL)
    assert managers(updated) == {
        ("alice", "Apply", ""): {"f:data": {"f:b": {}}}, ("kubectl-client", "Update", ""): {"f:data": {"f:a": {}}}
    }  # fmt: skip
    refused = await ssa(f"{CMS}/one", config(a="3", b="1"), status=409)
    assert refused["message"] == 'Apply failed with 1 conflict: conflict with "kubectl-client" using v1: .data.a'


async def test_a_create_owns_its_defaults_and_a_scale_its_replicas(ssa, api, make):
    created = await api.ok("POST", DEPLOYMENTS, make.deployment(), headers=KUBECTL)
    spec = managers(created)["kubectl-client", "Update", ""]["f:spec"]
    assert spec["f:replicas"] == spec["f:progressDeadlineSeconds"] == {}
    assert 'k:{"name":"main"}' in spec["f:template"]["f:spec"]["f:containers"]
    assert "f:status" not in managers(created)["kubectl-client", "Update", ""]
    scaled = await api.patch(f"{DEPLOYMENTS}/web/scale?fieldManager=hpa", {"spec": {"replicas": 7}})
    assert scaled["spec"]["replicas"] == 7
    now = managers(await api.get(f"{DEPLOYMENTS}/web"))
    assert now["hpa", "Update", "scale"] == {"f:spec": {"f:replicas": {}}}
    assert "f:replicas" not in now["kubectl-client", "Update", ""]["f:spec"]
    refused = await ssa(f"{DEPLOYMENTS}/web", make.deployment(replicas=1), status=409)
    assert refused["details"]["causes"][-1] == {
        "reason": "FieldManagerConflict", "field": ".spec.replicas",
        "message": 'conflict with "hpa" with subresource "scale" using apps/v1',
    }  # fmt: skip


async def test_lists_that_are_maps_are_merged_item_by_item(ssa, make):
    await ssa(f"{DEPLOYMENTS}/web", make.deployment())
    containers = [{"name": "side", "image": "busybox:side", "env": [{"name": "A", "value": "1"}]}]
    part = {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"template": {"spec": {"containers": containers}}}}
    merged = await ssa(f"{DEPLOYMENTS}/web", part, "bob")
    assert [each["name"] for each in merged["spec"]["template"]["spec"]["containers"]] == ["main", "side"]
    containers[0]["env"] = [{"name": "B", "value": "2"}]
    again = await ssa(f"{DEPLOYMENTS}/web", part, "bob")
    assert again["spec"]["template"]["spec"]["containers"][1]["env"] == [{"name": "B", "value": "2"}]
    refused = await ssa(f"{DEPLOYMENTS}/web", _image(make, "busybox:other"), "carol", status=409)
    assert '.spec.template.spec.containers[name="main"].image' in refused["message"]


def _image(make, image):
    changed = make.deployment()
    changed["spec"]["template"]["spec"]["containers"][0]["image"] = image
    return changed


async def test_the_status_is_applied_through_its_subresource_only(ssa, api, make):
    status = {"conditions": [{"type": "Available", "status": "True"}], "replicas": 2}
    both = {**make.deployment(), "status": status}
    applied = await ssa(f"{DEPLOYMENTS}/web", both)
    assert "f:status" not in managers(applied)["alice", "Apply", ""]
    assert applied.get("status", {}).get("replicas") is None
    shown = await ssa(f"{DEPLOYMENTS}/web/status", {**make.deployment(replicas=9), "status": status}, "bob")
    assert shown["status"]["replicas"] == 2
    assert shown["spec"]["replicas"] == 3
    assert managers(shown)["bob", "Apply", "status"] == {
        "f:status": {"f:conditions": {'k:{"type":"Available"}': {".": {}, "f:type": {}, "f:status": {}}}, "f:replicas": {}}
    }  # fmt: skip
    missing = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "no"}, "status": status}
    assert (await api.call("PATCH", f"{DEPLOYMENTS}/no/status?fieldManager=b", missing, headers=APPLY)).status == 404


async def test_the_scale_can_be_applied(ssa, api, make):
    await api.ok("POST", DEPLOYMENTS, make.deployment())
    scale = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "web"}, "spec": {"replicas": 5}}
    refused = await ssa(f"{DEPLOYMENTS}/web/scale", scale, status=409)
    assert ".spec.replicas" in refused["message"]
    assert (await ssa(f"{DEPLOYMENTS}/web/scale", scale, force=True))["spec"]["replicas"] == 5
    assert managers(await api.get(f"{DEPLOYMENTS}/web"))["alice", "Apply", "scale"] == {"f:spec": {"f:replicas": {}}}


@pytest.mark.parametrize(
    ("query", "field"), [("", "fieldManager: Required value"), (f"fieldManager={'m' * 129}", "fieldManager: Too long"),
                         ("fieldManager=a%01b", "fieldManager: Invalid value")],
)  # fmt: skip
async def test_an_apply_says_who_applies(api, query, field):
    answer = await api.call("PATCH", f"{CMS}/one?{query}", config(a="1"), headers=APPLY)
    assert answer.status == 422
    assert f'PatchOptions.meta.k8s.io "" is invalid: {field}' in answer.json["message"]


async def test_force_is_for_applies(api, make):
    await api.ok("POST", CMS, make.config_map())
    answer = await api.call(
        "PATCH", f"{CMS}/one?force=true", {}, headers={"content-type": "application/merge-patch+json"}
    )
    assert answer.status == 422
    assert "force: Forbidden: may not be specified for non-apply patch" in answer.json["message"]


async def test_what_cannot_be_applied(ssa):
    unknown = await ssa(f"{CMS}/one", {**config(), "spec": {"x": 1}}, status=400)
    assert unknown["message"] == (
        "failed to create typed patch object (default/one; v1, Kind=ConfigMap): .spec: field not declared in schema"
    )
    managed = {"kind": "ConfigMap", "metadata": {"managedFields": []}}
    assert (await ssa(f"{CMS}/one", managed, status=400))["message"] == "metadata.managedFields must be nil"
    other = {"apiVersion": "v2", "kind": "ConfigMap"}
    assert "does not match" in (await ssa(f"{CMS}/one", other, status=400))["message"]
    await ssa(f"{CMS}/one", [], status=400)


async def test_an_item_may_be_there_once(ssa, make):
    pod = make.pod(containers=[{"name": "a", "image": "i"}, {"name": "a", "image": "j"}])
    refused = await ssa(f"{NS}/pods/web", pod, status=400)
    assert '.spec.containers: duplicate entries for key [name="a"]' in refused["message"]


async def test_strict_refuses_repeated_keys(ssa):
    twice = b'{"apiVersion":"v1","kind":"ConfigMap","data":{"a":"1","a":"2"}}'
    refused = await ssa(f"{CMS}/one", twice, query="&fieldValidation=Strict", status=400)
    assert 'duplicate field "data.a"' in refused["message"]


async def test_a_dry_run_shows_and_stores_nothing(ssa, api):
    shown = await ssa(f"{CMS}/one", config(a="1"), query="&dryRun=All")
    assert managers(shown)["alice", "Apply", ""] == {"f:data": {"f:a": {}}}
    assert (await api.call("GET", f"{CMS}/one")).status == 404


async def test_a_resource_version_and_a_uid_guard_an_apply(ssa):
    first = await ssa(f"{CMS}/one", config(a="1"))
    await ssa(f"{CMS}/one", config(a="2"))
    stale = config(a="3")
    stale["metadata"]["resourceVersion"] = first["metadata"]["resourceVersion"]
    assert "the object has been modified" in (await ssa(f"{CMS}/one", stale, status=409))["message"]
    other = config("two")
    other["metadata"]["uid"] = first["metadata"]["uid"]
    assert "uid mismatch" in (await ssa(f"{CMS}/two", other, status=409))["message"]


async def test_managers_are_forgotten_on_demand_and_found_again_at_the_next_apply(ssa, api):
    applied = await ssa(f"{CMS}/one", config(a="1"))
    reset = [{"op": "replace", "path": "/metadata/managedFields", "value": [{}]}]
    cleared = await api.patch(f"{CMS}/one", reset, "json-patch")
    assert "managedFields" not in cleared["metadata"]
    assert int(cleared["metadata"]["resourceVersion"]) > int(applied["metadata"]["resourceVersion"])
    updated = await api.patch(f"{CMS}/one", {"data": {"b": "1"}})
    assert "managedFields" not in updated["metadata"]
    refused = await ssa(f"{CMS}/one", config(a="2"), status=409)
    assert refused["message"] == 'Apply failed with 1 conflict: conflict with "before-first-apply" using v1: .data.a'


async def test_managers_are_not_lost_by_clients_that_leave_them_out(ssa, api):
    applied = await ssa(f"{CMS}/one", config(a="1"))
    del applied["metadata"]["managedFields"]
    applied["metadata"]["labels"] = {"x": "y"}
    updated = await api.ok("PUT", f"{CMS}/one?fieldManager=bob", applied)
    assert managers(updated)["alice", "Apply", ""] == {"f:data": {"f:a": {}}}
    assert managers(updated)["bob", "Update", ""] == {"f:metadata": {"f:labels": {".": {}, "f:x": {}}}}
    garbage = {**updated, "metadata": {**updated["metadata"], "managedFields": [{"manager": "x", "operation": "Own"}]}}
    assert (await api.ok("PUT", f"{CMS}/one", garbage))["metadata"] == updated["metadata"]


async def test_an_update_that_changes_nothing_leaves_no_trace(ssa, api):
    applied = await ssa(f"{CMS}/one", config(a="1"))
    await api.clock.advance(60)
    assert await api.ok("PUT", f"{CMS}/one?fieldManager=bob", applied) == applied
    assert await api.patch(f"{CMS}/one?fieldManager=bob", {"data": {"a": "1"}}) == applied


async def test_kubectl_moves_from_client_side_apply(api, ssa):
    """The record of `kubectl apply` becomes one of server-side apply by a JSON patch of kubectl's own."""
    last = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"one"},"data":{"a":"1"}}'
    body = config(a="1")
    body["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": last}
    await api.ok("POST", f"{CMS}?fieldManager=kubectl-client-side-apply", body)
    applied = await ssa(f"{CMS}/one", config(a="2"), "kubectl")
    assert applied["data"] == {"a": "2"}
    assert '"a":"2"' in applied["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"]
    entries = applied["metadata"]["managedFields"]
    moved = [{**entry, "manager": "kubectl", "operation": "Apply"} for entry in entries if entry["operation"] == "Apply"]
    patch = [{"op": "replace", "path": "/metadata/managedFields", "value": moved}]
    assert (await api.patch(f"{CMS}/one", patch, "json-patch"))["metadata"]["managedFields"] == moved


async def test_the_oldest_updaters_are_merged(api, make):
    await api.ok("POST", f"{CMS}?fieldManager=creator", make.config_map())
    for number in range(14):
        await api.clock.advance(1)
        last = await api.patch(f"{CMS}/one?fieldManager=m{number:02}", {"data": {f"k{number:02}": "v"}})
    found = managers(last)
    assert len(found) == 10
    assert set(found["ancient-changes", "Update", ""]["f:data"]) == {".", "f:key", *(f"f:k{n:02}" for n in range(5))}
    assert ("m13", "Update", "") in found


async def test_quantities_are_compared_by_what_they_mean(ssa, make):
    def pod(cpu):
        return make.pod(containers=[{"name": "m", "image": "i", "resources": {"requests": {"cpu": cpu}}}])

    await ssa(f"{NS}/pods/web", pod("1000m"))
    shared = await ssa(f"{NS}/pods/web", pod("1"), "bob")
    assert ("bob", "Apply", "") in managers(shared)


async def test_metadata_of_its_own_is_merged_and_let_go(ssa):
    labelled = config(a="1")
    labelled["metadata"] |= {"labels": {"x": "1"}, "finalizers": ["example.com/a"]}
    await ssa(f"{CMS}/one", labelled)
    more = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"labels": {"y": "1"}, "finalizers": ["example.com/b"]}}
    merged = await ssa(f"{CMS}/one", more, "bob")
    assert merged["metadata"]["labels"] == {"x": "1", "y": "1"}
    assert merged["metadata"]["finalizers"] == ["example.com/a", "example.com/b"]
    left = await ssa(f"{CMS}/one", config(a="1"))
    assert left["metadata"]["labels"] == {"y": "1"}
    assert left["metadata"]["finalizers"] == ["example.com/b"]


async def test_managed_fields_survive_deletion_marks_and_bindings(api, make):
    held = make.pod()
    held["metadata"]["finalizers"] = ["example.com/hold"]
    created = await api.ok("POST", f"{NS}/pods?fieldManager=alice", held)
    binding = {"target": {"kind": "Node", "name": "node1"}}
    await api.ok("POST", f"{NS}/pods/web/binding", binding)
    assert managers(await api.get(f"{NS}/pods/web")) == managers(created)
    await api.ok("DELETE", f"{NS}/pods/web")
    assert managers(await api.get(f"{NS}/pods/web")) == managers(created)


async def test_managed_fields_are_in_lists_watches_tables_and_yaml(api, ssa):
    async with api.watch(f"{CMS}?watch=true&fieldSelector=metadata.name=one") as stream:
        applied = await ssa(f"{CMS}/one", config(a="1"))
        assert (await stream.next())["object"] == applied
    listed = (await api.get(f"{CMS}?fieldSelector=metadata.name=one"))["items"]
    assert listed == [applied]
    table = {"accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    (row,) = (await api.get(f"{CMS}?fieldSelector=metadata.name=one", headers=table))["rows"]
    assert row["object"]["metadata"] == applied["metadata"]
    yaml = await api.call(
        "PATCH", f"{CMS}/one?fieldManager=alice", config(a="2"), headers={**APPLY, "accept": "application/yaml"}
    )
    assert b"manager: alice" in yaml.body


async def test_who_may_patch_but_not_create_does_not_create_by_applying(api):
    answer = await api.call(
        "PATCH", f"{CMS}/one?fieldManager=a", config(a="1"), headers=APPLY, user="somebody", groups=()
    )
    assert answer.status == 403


async def test_kubectl_may_take_what_its_client_side_apply_set_and_nobody_changed(api, ssa):
    last = '{"data":{"a":"1","b":"1"}}'
    body = config(a="1", b="1")
    body["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": last}
    await api.ok("POST", f"{CMS}?fieldManager=kubectl-client-side-apply", body)
    await api.patch(f"{CMS}/one?fieldManager=other", {"data": {"b": "2"}})
    refused = await ssa(f"{CMS}/one", config(a="2", b="3"), "kubectl", status=409)
    assert refused["message"] == 'Apply failed with 1 conflict: conflict with "other" using v1: .data.b'
    assert (await ssa(f"{CMS}/one", config(a="2"), "kubectl"))["data"]["a"] == "2"
    await ssa(f"{CMS}/one", config(a="3"), "somebody", status=409)


async def test_a_status_written_again_moves_the_time_of_its_writer_alone(api, make):
    await api.ok("POST", f"{NS}/pods?fieldManager=creator", make.pod())
    seen = []
    for phase in ("Pending", "Running", "Succeeded"):
        await api.clock.advance(60)
        written = await api.patch(f"{NS}/pods/web/status?fieldManager=agent", {"status": {"phase": phase, "podIP": "10.0.0.1"}})
        seen.append([(each["manager"], each["time"], each["fieldsV1"]) for each in written["metadata"]["managedFields"]])
    assert [[time[-6:-4] for _, time, _ in record] for record in seen] == [["00", "01"], ["00", "02"], ["00", "03"]]
    assert seen[1][1][2] == seen[2][1][2]
    assert {"f:phase", "f:podIP"} <= set(seen[2][1][2]["f:status"])
    assert seen[0][0] == seen[2][0]


async def test_pods_of_one_template_share_their_record_but_not_their_times(api, make):
    first = await api.ok("POST", f"{NS}/pods?fieldManager=rs", make.pod("one"))
    await api.clock.advance(60)
    second = await api.ok("POST", f"{NS}/pods?fieldManager=rs", make.pod("two"))
    (one,), (two,) = first["metadata"]["managedFields"], second["metadata"]["managedFields"]
    assert one["fieldsV1"] == two["fieldsV1"]
    assert one["time"] < two["time"]
