"""Who am I, and may I: reviews are answered by the authorisers that let requests in, and never stored."""

import pytest

ACCESS = "/apis/authorization.k8s.io/v1"
SELF = f"{ACCESS}/selfsubjectaccessreviews"
PODS = {"verb": "get", "resource": "pods", "namespace": "default"}
TABLE = "application/json;as=Table;g=meta.k8s.io;v=v1"


def asking(resource=None, **spec):
    return {"spec": {**({"resourceAttributes": resource} if resource else {}), **spec}}


async def test_a_table_of_what_is_no_object_is_406(api):
    """C083."""
    refused = await api.call("POST", SELF, asking(PODS), headers={"accept": TABLE})
    assert (refused.status, refused.json["reason"]) == (406, "NotAcceptable")
    with_fallback = await api.call("POST", SELF, asking(PODS), headers={"accept": f"{TABLE},application/json"})
    assert (with_fallback.status, with_fallback.json["kind"]) == (201, "SelfSubjectAccessReview")


async def test_an_administrator_may_everything(api):
    for asked in (PODS, {"verb": "*", "resource": "*", "group": "*"}):
        assert (await api.ok("POST", SELF, asking(asked)))["status"] == {"allowed": True}


async def test_others_may_ask_and_are_told_no(api):
    answer = await api.call("POST", SELF, asking(PODS), user="eve", groups=())
    assert (answer.status, answer.json["status"]) == (201, {"allowed": False})
    path = {"nonResourceAttributes": {"verb": "get", "path": "/version"}}
    assert (await api.ok("POST", SELF, {"spec": path}, user="eve", groups=()))["status"]["allowed"] is True
    assert (await api.call("POST", SELF, asking(PODS), user="")).status == 401


async def test_a_node_is_told_why_not(api):
    node = {"user": "system:node:one", "groups": ("system:nodes",)}
    status = (await api.ok("POST", SELF, asking({"verb": "delete", "resource": "nodes", "name": "two"}), **node))[
        "status"
    ]
    assert (status["allowed"], status["denied"]) == (False, True)
    assert "its own Node" in status["reason"]
    selected = {**PODS, "verb": "list", "namespace": ""}
    mine = {"requirements": [{"key": "spec.nodeName", "operator": "In", "values": ["one"]}]}
    for selector, allowed in (({"rawSelector": "spec.nodeName=one"}, True), (mine, True), ({}, False)):
        asked = asking({**selected, "fieldSelector": selector})
        assert (await api.ok("POST", SELF, asked, **node))["status"]["allowed"] is allowed


async def test_what_another_may_is_for_administrators_to_ask(api):
    path = f"{ACCESS}/subjectaccessreviews"
    about = asking(PODS, user="ann", groups=["system:masters"])
    assert (await api.ok("POST", path, about))["status"]["allowed"] is True
    assert (await api.ok("POST", path, asking(PODS, user="eve")))["status"]["allowed"] is False
    assert (await api.call("POST", path, about, user="eve", groups=())).status == 403
    local = f"{ACCESS}/namespaces/default/localsubjectaccessreviews"
    assert (await api.ok("POST", local, about))["status"]["allowed"] is True


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        (SELF, {"spec": {}}, "spec.resourceAttributes"),
        (SELF, {}, "spec"),
        (SELF, asking(PODS, nonResourceAttributes={"path": "/"}), "spec.resourceAttributes"),
        (f"{ACCESS}/subjectaccessreviews", asking(PODS), "spec.user"),
        (
            f"{ACCESS}/namespaces/default/localsubjectaccessreviews",
            asking({**PODS, "namespace": "other"}, user="a"),
            "spec.resourceAttributes.namespace",
        ),
        (
            f"{ACCESS}/namespaces/default/localsubjectaccessreviews",
            {"spec": {"user": "a", "nonResourceAttributes": {"path": "/"}}},
            "spec.nonResourceAttributes",
        ),
    ],
)
async def test_what_cannot_be_answered_is_422_by_field(api, path, body, field):
    refused = await api.call("POST", path, body)
    assert refused.status == 422
    assert [cause["field"] for cause in refused.json["details"]["causes"]] == [field]


async def test_unknown_fields_and_other_verbs_are_refused(api):
    refused = await api.call("POST", f"{SELF}?fieldValidation=Strict", asking({**PODS, "verbs": "x"}))
    assert (refused.status, 'unknown field "spec.resourceAttributes.verbs"' in refused.json["message"]) == (400, True)
    assert (await api.call("GET", SELF)).status == 405
    assert (await api.call("GET", f"{SELF}/x")).status == 404
    assert (await api.call("POST", f"{ACCESS}/namespaces/default/selfsubjectaccessreviews", asking(PODS))).status == 404


async def test_who_am_i(api):
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    found = await api.ok("POST", path, {}, user="ann", groups=("team",))
    assert found["status"]["userInfo"] == {"username": "ann", "groups": ["team", "system:authenticated"]}


async def test_reviews_are_discovered_as_what_can_only_be_created(api):
    resources = (await api.get(ACCESS))["resources"]
    assert {one["name"]: one["verbs"] for one in resources} == {
        "localsubjectaccessreviews": ["create"],
        "selfsubjectaccessreviews": ["create"],
        "subjectaccessreviews": ["create"],
    }
    paths = (await api.get(f"/openapi/v3{ACCESS}"))["paths"]
    assert {path.rsplit("/", 1)[1]: list(item) for path, item in paths.items() if "namespaces" not in path} == {
        "selfsubjectaccessreviews": ["post"],
        "subjectaccessreviews": ["post"],
    }
