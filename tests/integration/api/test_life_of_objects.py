"""Kinds from creation to deletion, as a client sees them over HTTP: written, changed, found by label, watched, gone."""

import pytest

POD = {"containers": [{"name": "main", "image": "busybox:local"}]}
TEMPLATE = {"metadata": {"labels": {"app": "x"}}, "spec": POD}
REPLICA_SET = {"replicas": 1, "selector": {"matchLabels": {"app": "x"}}, "template": TEMPLATE}
WEB_PORT = {"ports": [{"port": 80}]}


def create(api, path, name, labels=None, **fields):
    return api.request("POST", path, {"metadata": {"name": name, "labels": labels or {}}, **fields}).expect(201)


def found(api, path, selector):
    listing = api.request("GET", f"{path}?labelSelector={selector}").expect(200)
    return [item["metadata"]["name"] for item in listing["items"]]


@pytest.mark.parametrize(
    ("group", "plural", "fields"),
    [
        ("/api/v1", "pods", {"spec": POD}),
        ("/api/v1", "configmaps", {"data": {"a": "1"}}),
        ("/api/v1", "podtemplates", {"template": TEMPLATE}),
        ("/apis/apps/v1", "replicasets", {"spec": REPLICA_SET}),
    ],
)
def test_deletecollection_by_label_removes_them_all(api, namespace, group, plural, fields):
    """C131, C223, C260, C266: those with the label go, another stays."""
    path = f"{group}/namespaces/{namespace}/{plural}"
    for number in range(3):
        create(api, path, f"o{number}", {"set": "one"}, **fields)
    create(api, path, "other", {"set": "two"}, **fields)
    assert found(api, path, "set=one") == ["o0", "o1", "o2"]
    api.request("DELETE", f"{path}?labelSelector=set=one&gracePeriodSeconds=0").expect(200)
    assert found(api, path, "set=one") == []
    assert found(api, path, "set=two") == ["other"]


def test_services_deleted_by_label(api, namespace):
    """C211: of several Services only the matching ones go, exactly one is left."""
    path = f"/api/v1/namespaces/{namespace}/services"
    for name, label in (("a", "x"), ("b", "x"), ("c", "y")):
        create(api, path, name, {"l": label}, spec=WEB_PORT)
    api.request("DELETE", f"{path}?labelSelector=l%3Dx").expect(200)
    left = api.request("GET", path).expect(200)["items"]
    assert [item["metadata"]["name"] for item in left] == ["c"]


def test_configmap_patched_and_found_in_all_namespaces(api, namespace, configmaps):
    """C223: data and label patched, found by the label across namespaces with the new value."""
    create(api, configmaps, "c", {"test": "old"}, data={"key": "1"})
    change = {"metadata": {"labels": {"test": namespace}}, "data": {"key": "2"}}
    api.patch(f"{configmaps}/c", change, "application/strategic-merge-patch+json").expect(200)
    assert api.request("GET", f"{configmaps}/c").expect(200)["data"] == {"key": "2"}
    (one,) = api.request("GET", f"/api/v1/configmaps?labelSelector=test={namespace}").expect(200)["items"]
    assert (one["metadata"]["name"], one["data"]) == ("c", {"key": "2"})
    api.request("DELETE", f"{configmaps}?labelSelector=test={namespace}").expect(200)
    api.request("GET", f"{configmaps}/c").expect(404)


def test_podtemplate(api, namespace):
    """C259, C260: a label patched, an annotation put, found in all namespaces, gone."""
    path = f"/api/v1/namespaces/{namespace}/podtemplates"
    create(api, path, "t", {"t": "1"}, template=TEMPLATE)
    api.patch(f"{path}/t", {"metadata": {"labels": {"patched": namespace}}}).expect(200)
    shown = api.request("GET", f"{path}/t").expect(200)
    assert shown["metadata"]["labels"] == {"t": "1", "patched": namespace}
    (one,) = api.request("GET", f"/api/v1/podtemplates?labelSelector=patched={namespace}").expect(200)["items"]
    one["metadata"]["annotations"] = {"updated": "true"}
    put = api.request("PUT", f"{path}/t", {**one, "apiVersion": "v1", "kind": "PodTemplate"}).expect(200)
    assert put["metadata"]["annotations"] == {"updated": "true"}
    assert put["template"]["spec"]["containers"][0]["image"] == "busybox:local"
    api.request("DELETE", f"{path}/t").expect(200)
    assert found(api, path, f"patched={namespace}") == []


def test_serviceaccount_is_watched(api, namespace):
    """C155: ADDED, a patch that reads back, found by label, DELETED."""
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    stream = api.watch(path, f"labelSelector=robot%3Dyes&resourceVersion={api.revision()}")
    create(api, path, "robot", {"robot": "yes"})
    patched = api.patch(f"{path}/robot", {"automountServiceAccountToken": False}).expect(200)
    assert patched["automountServiceAccountToken"] is False
    assert found(api, "/api/v1/serviceaccounts", "robot=yes") == ["robot"]
    api.request("DELETE", f"{path}/robot").expect(200)
    events = stream.take(3)
    stream.close()
    assert [event["type"] for event in events] == ["ADDED", "MODIFIED", "DELETED"]
    assert events[1]["object"]["automountServiceAccountToken"] is False


def test_replicaset_status(api, namespace):
    """C133: GET, PUT and PATCH of /status; a condition written there is read and watched, the spec untouched."""
    path = f"/apis/apps/v1/namespaces/{namespace}/replicasets"
    create(api, path, "rs", {"rs": "1"}, spec=REPLICA_SET)
    stream = api.watch(path, f"resourceVersion={api.revision()}")
    shown = api.request("GET", f"{path}/rs/status").expect(200)
    condition = {"type": "StatusUpdate", "status": "True", "reason": "E2E", "message": "set from a test"}
    shown["status"] = {**shown.get("status", {}), "replicas": 1, "conditions": [condition]}
    shown["spec"]["replicas"] = 7
    put = api.request("PUT", f"{path}/rs/status", shown).expect(200)
    assert put["spec"]["replicas"] == 1
    assert stream.next()["object"]["status"]["conditions"][0]["type"] == "StatusUpdate"
    patch = {"status": {"conditions": [{"type": "StatusPatched", "status": "True"}]}}
    api.patch(f"{path}/rs/status", patch).expect(200)
    event = stream.next()
    stream.close()
    assert [one["type"] for one in event["object"]["status"]["conditions"]] == ["StatusPatched"]
    read = api.request("GET", f"{path}/rs").expect(200)
    assert [one["type"] for one in read["status"]["conditions"]] == ["StatusPatched"]


def test_replicaset_scaled_by_patch_and_put(api, namespace):
    """C128: labels, image and replicas patched read back; PUT scales too."""
    path = f"/apis/apps/v1/namespaces/{namespace}/replicasets"
    create(api, path, "rs", {"rs": "1"}, spec=REPLICA_SET)
    template = {"spec": {"containers": [{"name": "main", "image": "busybox:2"}]}}
    change = {"metadata": {"labels": {"patched": "yes"}}, "spec": {"replicas": 2, "template": template}}
    got = api.patch(f"{path}/rs", change, "application/strategic-merge-patch+json").expect(200)
    assert got["metadata"]["labels"] == {"rs": "1", "patched": "yes"}
    assert got["spec"]["replicas"] == 2
    assert got["spec"]["template"]["spec"]["containers"][0]["image"] == "busybox:2"
    got["spec"]["replicas"] = 3
    assert api.request("PUT", f"{path}/rs", got).expect(200)["spec"]["replicas"] == 3
    assert api.request("GET", f"{path}/rs/scale").expect(200)["spec"]["replicas"] == 3


def event_of(namespace, name, **fields):
    return {
        "metadata": {"name": name, "labels": {"testevent": name.rstrip("0123456789")}},
        "involvedObject": {"kind": "Pod", "name": "p", "namespace": namespace},
        "reason": "Test", "message": "first", "type": "Normal", **fields,
    }  # fmt: skip


def test_core_events(api, namespace):
    """C178: found in all namespaces by label, message patched, series put, gone from lists."""
    path = f"/api/v1/namespaces/{namespace}/events"
    label = f"ev-{namespace}"
    api.request("POST", path, event_of(namespace, label)).expect(201)
    everywhere = f"/api/v1/events?labelSelector=testevent={label.rstrip('0123456789')}"
    (one,) = api.request("GET", everywhere).expect(200)["items"]
    assert one["message"] == "first"
    assert api.patch(f"{path}/{label}", {"message": "patched"}).expect(200)["message"] == "patched"
    changed = api.request("GET", f"{path}/{label}").expect(200)
    changed["series"] = {"count": 100, "lastObservedTime": "2026-01-01T00:00:00.000000Z"}
    api.request("PUT", f"{path}/{label}", changed).expect(200)
    assert api.request("GET", f"{path}/{label}").expect(200)["series"]["count"] == 100
    api.request("DELETE", f"{path}/{label}").expect(200)
    assert api.request("GET", everywhere).expect(200)["items"] == []


def test_new_events_deleted_by_label(api, namespace):
    """C175: several Events of events.k8s.io/v1 found by label, then removed by it."""
    path = f"/apis/events.k8s.io/v1/namespaces/{namespace}/events"
    for number in range(3):
        body = {
            "metadata": {"name": f"e{number}", "labels": {"set": "one"}},
            "regarding": {"kind": "Pod", "name": "p", "namespace": namespace},
            "eventTime": "2026-01-01T00:00:00.000000Z", "reportingController": "test", "reportingInstance": "t-1",
            "action": "Do", "reason": "Test", "type": "Normal", "note": "n",
        }  # fmt: skip
        api.request("POST", path, body).expect(201)
    assert found(api, path, "set%3Done") == ["e0", "e1", "e2"]
    api.request("DELETE", f"{path}?labelSelector=set%3Done").expect(200)
    assert found(api, path, "set%3Done") == []


def test_a_fake_node(api):
    """C257: created, patched, found by label, put, deleted."""
    create(api, "/api/v1/nodes", "fake", {"fake": "yes"})
    api.patch("/api/v1/nodes/fake", {"metadata": {"labels": {"patched": "yes"}}}).expect(200)
    assert found(api, "/api/v1/nodes", "patched=yes") == ["fake"]
    node = api.request("GET", "/api/v1/nodes/fake").expect(200)
    node["metadata"]["labels"]["updated"] = "yes"
    assert api.request("PUT", "/api/v1/nodes/fake", node).expect(200)["metadata"]["labels"]["updated"] == "yes"
    api.request("DELETE", "/api/v1/nodes/fake").expect(200)
    api.request("GET", "/api/v1/nodes/fake").expect(404)
    assert found(api, "/api/v1/nodes", "patched=yes") == []


def test_a_pod_seen_at_each_step(api, namespace):
    """C268, C269: label and image patched, status put and patched, deleted; each step on a watch and in lists."""
    path = f"/api/v1/namespaces/{namespace}/pods"
    stream = api.watch(path, f"labelSelector=test%3Dpod&resourceVersion={api.revision()}")
    create(api, path, "p", {"test": "pod"}, spec=POD)
    change = {"metadata": {"labels": {"patched": "yes"}}, "spec": {"containers": [{"name": "main", "image": "b:2"}]}}
    api.patch(f"{path}/p", change, "application/strategic-merge-patch+json").expect(200)
    pod = api.request("GET", f"{path}/p/status").expect(200)
    pod["status"]["conditions"] = [{"type": "Ready", "status": "True", "reason": "Test"}]
    api.request("PUT", f"{path}/p/status", pod).expect(200)
    api.patch(f"{path}/p/status", {"status": {"message": "patched", "reason": "E2E"}}).expect(200)
    status = api.request("GET", f"{path}/p").expect(200)["status"]
    assert (status["message"], status["reason"], status["conditions"][0]["type"]) == ("patched", "E2E", "Ready")
    assert found(api, path, "patched=yes") == ["p"]
    api.request("DELETE", f"{path}/p?gracePeriodSeconds=0").expect(200)
    events = stream.take(5)
    stream.close()
    assert [event["type"] for event in events] == ["ADDED", "MODIFIED", "MODIFIED", "MODIFIED", "DELETED"]
    assert events[1]["object"]["spec"]["containers"][0]["image"] == "b:2"
    assert found(api, path, "test=pod") == []


def test_runtimeclasses(api):
    """C287: in discovery; every verb."""
    root = "/apis/node.k8s.io/v1"
    groups = api.request("GET", "/apis").expect(200)["groups"]
    assert "node.k8s.io" in [group["name"] for group in groups]
    (entry,) = [one for one in api.request("GET", root).expect(200)["resources"] if one["name"] == "runtimeclasses"]
    assert {"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"} <= set(entry["verbs"])
    path = f"{root}/runtimeclasses"
    stream = api.watch(path, f"resourceVersion={api.revision()}")
    for number in range(3):
        create(api, path, f"rc{number}", {"rc": "test"}, handler="h")
    assert found(api, path, "rc=test") == ["rc0", "rc1", "rc2"]
    api.patch(f"{path}/rc0", {"metadata": {"annotations": {"patched": "true"}}}).expect(200)
    shown = api.request("GET", f"{path}/rc0").expect(200)
    assert shown["metadata"]["annotations"] == {"patched": "true"}
    shown["metadata"]["annotations"]["updated"] = "true"
    api.request("PUT", f"{path}/rc0", shown).expect(200)
    api.request("DELETE", f"{path}/rc0").expect(200)
    api.request("GET", f"{path}/rc0").expect(404)
    api.request("DELETE", f"{path}?labelSelector=rc%3Dtest").expect(200)
    events = stream.take(8)
    stream.close()
    assert [event["type"] for event in events] == ["ADDED"] * 3 + ["MODIFIED"] * 2 + ["DELETED"] * 3
    assert found(api, path, "rc=test") == []


def test_a_csi_volume_in_a_pod_is_kept(api, namespace):
    """C320: created, read, listed, patched and deleted with the source kept."""
    path = f"/api/v1/namespaces/{namespace}/pods"
    csi = {"driver": "csi.example.com", "volumeAttributes": {"size": "1Gi"}}
    create(api, path, "p", {"csi": "yes"}, spec={**POD, "volumes": [{"name": "v", "csi": csi}]})
    api.patch(f"{path}/p", {"metadata": {"labels": {"patched": "yes"}}}).expect(200)
    (pod,) = api.request("GET", f"{path}?labelSelector=patched%3Dyes").expect(200)["items"]
    assert pod["spec"]["volumes"] == [{"name": "v", "csi": csi}]
    api.request("DELETE", f"{path}/p?gracePeriodSeconds=0").expect(200)
    api.request("GET", f"{path}/p").expect(404)


def test_bad_sysctls_are_refused_by_name(api, namespace):
    """C298: 422 that names the bad entries only; nothing is stored."""
    path = f"/api/v1/namespaces/{namespace}/pods"
    names = ["foo-", "kernel.shmmax", "safe-and-unsafe", "bar.."]
    context = {"sysctls": [{"name": name, "value": "bar"} for name in names]}
    refused = api.request("POST", path, {"metadata": {"name": "p"}, "spec": {**POD, "securityContext": context}})
    causes = refused.expect(422)["details"]["causes"]
    fields = [cause["field"] for cause in causes]
    assert fields == [f"spec.securityContext.sysctls[{index}].name" for index in (0, 3)]
    api.request("GET", f"{path}/p").expect(404)
