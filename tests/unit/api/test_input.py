"""What clients send that they should not: every answer is a Status, nothing is stored, nothing else is disturbed."""

import gzip
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from windlass.api.request import parse_path
from windlass.errors import BadRequestError, NotFoundError

CMS = "/api/v1/namespaces/default/configmaps"
LIMIT = 3 * 1024 * 1024


async def stored(api):
    return (await api.store.list("core/configmaps/")).items


@pytest.mark.parametrize("body", [
    b"[" * 200_000, b'{"metadata":{"name":"a"},"data":' + b"[" * 200_000, b'{"metadata":{"name":"a"},"x":' + b"9" * 5000 + b"}",
    b'{"metadata":{"name":"a"},"x":NaN}', b'{"metadata":{"name":"a"},"x":Infinity}', b'{"metadata":{"name":"a"},"x":1e999}',
    b'{"metadata":{"name":"a"},"data":{"k":"\\ud800"}}', b'{"metadata":{"name":"a\\u0000"}}',
    b"\xef\xbb\xbf{}", b"", b"   ", b"null", b"[]", b"7", b'"x"', b"{", b"\xff\xfe", b'{"metadata":[]}', b'{"metadata":7}',
    b'{"metadata":{"name":7}}', b'{"metadata":{"labels":[]}}', b'{"metadata":{"annotations":{"a":1}}}', b'{"kind":7}', b'{"apiVersion":{}}',
])
async def test_bodies_that_are_no_object(api, body):
    """A32."""
    answer = await api.call("POST", CMS, body, headers={"content-type": "application/json"})
    assert answer.status in (400, 413, 422), answer
    assert answer.json["kind"] == "Status"
    assert answer.json["message"]
    assert not await stored(api)


@pytest.mark.parametrize("body", [
    (b"a: &a [1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n"
    b"e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: [*f,*f,*f,*f,*f,*f,*f,*f,*f]\n"),
    b"!!python/object/apply:os.system ['true']", b"---\na: 1\n" * 1000, b"a: [", b"{" * 10_000,
])
async def test_yaml_bombs(api, body):
    """A33."""
    answer = await api.call("POST", CMS, body, headers={"content-type": "application/yaml"})
    assert answer.status in (400, 413, 422)
    assert not await stored(api)


async def test_body_bound_by_content_length_reads_nothing(api):
    """A34."""
    answer = await api.call("POST", CMS, headers={"content-length": str(10**9), "content-type": "application/json"},
                            chunks=[b"x" * 1000] * 10)
    assert (answer.status, answer.json["reason"]) == (413, "RequestEntityTooLarge")
    assert len(api.unread) >= 9


async def test_body_bound_while_streaming(api):
    """A34: chunked, without a length."""
    answer = await api.call("POST", CMS, headers={"transfer-encoding": "chunked", "content-type": "application/json"},
                            chunks=[b"x" * 65536] * 200)
    assert answer.status == 413
    assert len(api.unread) > 140


async def test_gzip_bodies(api, make):
    """A34: honest ones are read, bombs are cut, broken ones refused."""
    headers = {"content-encoding": "gzip", "content-type": "application/json"}
    assert (await api.call("POST", CMS, gzip.compress(json.dumps(make.config_map()).encode()), headers=headers)).status == 201
    bomb = gzip.compress(b" " * 300 * 1024 * 1024)
    assert (await api.call("POST", CMS, bomb, headers=headers)).status == 413
    assert (await api.call("POST", CMS, b"no gzip", headers=headers)).status == 400
    assert (await api.call("POST", CMS, gzip.compress(b"{}")[:-4], headers=headers)).status == 400
    assert (await api.call("POST", CMS, b"{}", headers={**headers, "content-encoding": "br"})).status == 415


async def test_wrong_length_and_type(api, make):
    """A34."""
    body = json.dumps(make.config_map()).encode()
    short = await api.call("POST", CMS, headers={"content-length": str(len(body) + 5), "content-type": "application/json"}, chunks=[body])
    assert short.status == 400
    assert (await api.call("POST", CMS, body, headers={"content-length": "x"})).status == 400
    for content_type in ("text/html", "application/cbor", "multipart/form-data"):
        answer = await api.call("POST", CMS, body, headers={"content-type": content_type})
        assert (answer.status, answer.json["reason"]) == (415, "UnsupportedMediaType")
    assert not await stored(api)
    assert (await api.call("PATCH", f"{CMS}/x", body)).status == 415


@pytest.mark.parametrize("name", [
    "a%2Fb", "%2e%2e", "..", ".", "a%00b", "%252e", "%2F", "a%0Ab", "%ff", "..%2f..%2fzookeeper", "a%1bb",
])
async def test_names_that_are_paths(api, make, name):
    """A39."""
    for method, body in (("GET", None), ("PUT", make.config_map()), ("DELETE", None)):
        answer = await api.call(method, f"{CMS}/{name}", body)
        assert answer.status in (400, 404), answer
        assert answer.json["kind"] == "Status"
    assert not await stored(api)


@pytest.mark.parametrize("name", ["a/b", "..", "A", "ü", "a" * 300, "\u202eevil", "a b", "-a", "a_b", "x\u0000", "%2e", "", "a.-b"])
async def test_names_in_bodies(api, make, name):
    """A39: nothing of the kind reaches the store."""
    assert (await api.call("POST", CMS, make.config_map(name))).status in (400, 422)
    assert not await stored(api)


@pytest.mark.parametrize("path", ["//api/v1", "/api//v1/pods", "/api/v1/pods//", "/nope", "/apis/nope", "/apis/apps/v9/deployments",
                                  "/api/v1/nope", "/api/v1/namespaces/default/nodes", "/api/v1/pods/name", "/apis/apps/v1/namespaces",
                                  "/api/v1/namespaces/default/pods/x/nope", "/zookeeper", "/" + "a" * 5000])
async def test_paths_that_lead_nowhere(api, path):
    """A39, S56."""
    answer = await api.call("GET", path)
    assert answer.status in (400, 404), answer
    assert answer.json["kind"] == "Status"


@given(st.binary(max_size=200))
def test_any_path_parses_or_is_refused(raw):
    """A31, A39."""
    try:
        parsed = parse_path(b"/" + raw)
    except (BadRequestError, NotFoundError):
        return
    assert ".." not in parsed.text.split("/")
    assert "\x00" not in parsed.text


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(["metadata", "spec", "status", "name", "labels", "containers", "template", "selector", "data", "replicas",
                         "kind", "apiVersion", "finalizers", "ownerReferences", "matchLabels"]) | st.text(max_size=8), inner, max_size=5),
    max_leaves=25,
)
PATHS = st.sampled_from([
    CMS, "/api/v1/namespaces/default/pods", "/api/v1/namespaces", "/api/v1/nodes", "/api/v1/namespaces/default/services",
    "/apis/apps/v1/namespaces/default/deployments", "/apis/apps/v1/namespaces/default/replicasets", "/api/v1/namespaces/default/secrets",
    "/api/v1/namespaces/default/events", "/apis/events.k8s.io/v1/namespaces/default/events", "/api/v1/namespaces/default/endpoints",
    "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", "/apis/coordination.k8s.io/v1/namespaces/default/leases",
    "/apis/scheduling.k8s.io/v1/priorityclasses", "/apis/node.k8s.io/v1/runtimeclasses", "/api/v1/namespaces/default/podtemplates",
    "/apis/apps/v1/namespaces/default/controllerrevisions", "/api/v1/namespaces/default/serviceaccounts",
])
QUIET = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


def check(answer):
    assert answer.status < 500, answer
    if answer.status >= 400:
        assert answer.json["kind"] == "Status"
        assert answer.json["reason"]
        assert "Traceback" not in answer.json["message"]


@QUIET
@given(data=st.data())
async def test_no_body_makes_a_500(data, api):
    """A31."""
    path, body = data.draw(PATHS), data.draw(JSON)
    if isinstance(body, dict) and data.draw(st.booleans()):
        body["metadata"] = {"name": "fuzz"}
    check(await api.call("POST", path, json.dumps(body).encode()))


@QUIET
@given(data=st.data())
async def test_no_patch_makes_a_500(data, api, make):
    """A31, A35."""
    path, body = "/apis/apps/v1/namespaces/default/deployments", make.deployment()
    await api.call("POST", path, body)
    kind = data.draw(st.sampled_from(["merge-patch", "strategic-merge-patch", "json-patch"]))
    where = data.draw(st.sampled_from(["", "/status", "/scale"]))
    patch = data.draw(JSON)
    if kind == "json-patch":
        patch = [{"op": data.draw(st.sampled_from(["add", "remove", "replace", "copy", "move", "test"])),
                  "path": data.draw(st.sampled_from(["", "/", "/spec", "/metadata/name", "/spec/template/spec/containers/-", "/spec/x/y"])),
                  "from": "/spec", "value": patch}]
    check(await api.call("PATCH", f"{path}/web{where}", patch, headers={"content-type": f"application/{kind}+json"}))


@QUIET
@given(data=st.data())
async def test_no_query_makes_a_500(data, api):
    """A31, A43."""
    from urllib.parse import urlencode

    keys = st.sampled_from(["labelSelector", "fieldSelector", "limit", "continue", "resourceVersion", "resourceVersionMatch",
                            "fieldValidation", "dryRun", "propagationPolicy", "gracePeriodSeconds", "includeObject", "pretty"])
    values = st.text(max_size=20) | st.sampled_from(["0", "1", "a in (b", "a=b,c!=d", "metadata.name=x", "All", "true"])
    query = urlencode(data.draw(st.dictionaries(keys, values, max_size=4)))
    method = data.draw(st.sampled_from(["GET", "DELETE"]))
    answer = await api.call(method, f"{CMS}?{query}")
    if answer.status != 504:
        check(answer)
