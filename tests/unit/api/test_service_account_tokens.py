"""TokenRequest, TokenReview and the issuer's documents over HTTP (C154, S47, S50)."""

import asyncio

import jwt
import pytest

from windlass.admission.plugin import register_admission_plugins
from windlass.api.app import build_app
from windlass.api.config import ApiConfig
from windlass.apis.scheme import builtin_scheme
from windlass.auth.plugin import register_authenticators, register_authorizers
from windlass.auth.service_accounts.tokens import ServiceAccountTokens
from windlass.registry.backend import CacheReader
from windlass.store.watchcache import WatchCache

ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts"
PODS = "/api/v1/namespaces/default/pods"
SECONDS = 30
REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"
NODE = {"user": "system:node:n1", "groups": ("system:nodes",)}


@pytest.fixture
async def api(api, store, tmp_path):
    """The API with a directory for keys."""
    scheme = builtin_scheme()
    cache = WatchCache(store, scheme, api.clock)
    identities = {"pki_dir": str(tmp_path), "reader": CacheReader(cache, scheme), "clock": api.clock}

    def built(registrations):
        return [driver for driver in (item.build(identities) for item in registrations) if driver is not None]

    api.app = build_app(
        scheme=scheme,
        store=store,
        cache=cache,
        authenticators=built(register_authenticators()),
        authorizers=built(register_authorizers()),
        admission=built(register_admission_plugins()),
        clock=api.clock,
        config=ApiConfig(host="api.test", port=6443),
        tokens=ServiceAccountTokens(tmp_path, api.clock),
    )
    follower = asyncio.create_task(cache.run())
    await cache.wait_synced()
    api.settled = cache.read_barrier
    await api.ok("POST", ACCOUNTS, {"metadata": {"name": "app"}})
    yield api
    follower.cancel()
    await asyncio.wait((follower,))


async def make_pod(api, name="web", node="n1", account="app"):
    spec = {"containers": [{"name": "main", "image": "i"}], "serviceAccountName": account}
    pod = await api.ok("POST", PODS, {"metadata": {"name": name}, "spec": spec})
    binding = {"metadata": {"name": name}, "target": {"kind": "Node", "name": node}}
    await api.ok("POST", f"{PODS}/{name}/binding", binding)
    await api.settled(SECONDS)
    return pod


def request(pod=None, **spec):
    if pod is not None:
        meta = pod["metadata"]
        spec["boundObjectRef"] = {"apiVersion": "v1", "kind": "Pod", "name": meta["name"], "uid": meta["uid"]}
    return {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}


async def get_token(api, *args, **options):
    return (await api.ok("POST", f"{ACCOUNTS}/app/token", request(*args, **options)))["status"]["token"]


def bearer(token):
    return {"headers": {"authorization": f"Bearer {token}"}, "user": ""}


async def test_a_token_proves_its_account_until_its_pod_is_gone(api):
    pod = await make_pod(api)
    token = await get_token(api, pod)
    who = await api.ok("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {}, **bearer(token))
    info = who["status"]["userInfo"]
    assert info["username"] == "system:serviceaccount:default:app"
    assert info["extra"]["authentication.kubernetes.io/pod-name"] == ["web"]
    assert (await api.call("GET", "/apis", **bearer(token))).status == 200
    refused = await api.call("GET", "/api/v1/secrets", **bearer(token))
    assert refused.status == 403
    await api.ok("DELETE", f"{PODS}/web?gracePeriodSeconds=0")
    await api.settled(SECONDS)
    assert (await api.call("GET", "/apis", **bearer(token))).status == 401


async def test_what_a_token_may_live_and_be_bound_to(api):
    pod = await make_pod(api)
    other = await make_pod(api, "other", account="default")
    answer = await api.ok("POST", f"{ACCOUNTS}/app/token", request(pod, expirationSeconds=7200))
    assert (answer["kind"], answer["spec"]["expirationSeconds"]) == ("TokenRequest", 7200)
    claims = jwt.decode(answer["status"]["token"], options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 7200
    wrong = {
        422: [request(expirationSeconds=60), request(expirationSeconds=1 << 33)],
        400: [request(other)],
        409: [request({"metadata": {"name": "web", "uid": "another"}})],
        404: [request({"metadata": {"name": "nobody", "uid": ""}})],
    }
    for code, bodies in wrong.items():
        for body in bodies:
            assert (await api.call("POST", f"{ACCOUNTS}/app/token", body)).status == code, body
    strange = request()
    strange["spec"]["boundObjectRef"] = {"kind": "Deployment", "apiVersion": "apps/v1", "name": "web"}
    assert (await api.call("POST", f"{ACCOUNTS}/app/token", strange)).status == 422
    assert (await api.call("POST", f"{ACCOUNTS}/nobody/token", request())).status == 404
    assert (await api.call("GET", f"{ACCOUNTS}/app/token")).status == 405


async def test_s50_a_node_gets_tokens_for_its_own_pods_only(api):
    """S50: not unbound, not of a pod elsewhere, not of an account that none of its pods uses."""
    mine, far = await make_pod(api), await make_pod(api, "far", "n2")
    await api.ok("POST", ACCOUNTS, {"metadata": {"name": "unused"}})
    path = f"{ACCOUNTS}/app/token"
    assert (await api.call("POST", path, request(mine), **NODE)).status == 201
    assert (await api.call("POST", path, request(far), **NODE)).status == 403
    assert (await api.call("POST", path, request(), **NODE)).status == 403
    assert (await api.call("POST", f"{ACCOUNTS}/unused/token", request(mine), **NODE)).status == 403


async def test_a_token_review_tells_whose_token_it_is_and_for_whom(api):
    plain, vault = await get_token(api), await get_token(api, audiences=["vault", "db"])

    async def review(token, **spec):
        return (await api.ok("POST", REVIEWS, {"spec": {"token": token, **spec}}))["status"]

    found = await review(plain)
    assert (found["authenticated"], found["user"]["username"]) == (True, "system:serviceaccount:default:app")
    assert (await review(vault))["authenticated"] is False
    found = await review(vault, audiences=["db", "x"])
    assert (found["authenticated"], found["audiences"]) == (True, ["db"])
    assert (await review(plain, audiences=["db"]))["authenticated"] is False
    assert (await review("nonsense"))["authenticated"] is False
    assert (await api.call("POST", REVIEWS, {"spec": {}})).status == 400
    assert (await api.call("GET", REVIEWS)).status == 405


async def test_the_issuers_documents_let_others_check(api):
    token = await get_token(api)
    configuration = await api.get("/.well-known/openid-configuration", **bearer(token))
    assert configuration["jwks_uri"] == "https://api.test:6443/openid/v1/jwks"
    keys = jwt.PyJWKSet.from_dict(await api.get("/openid/v1/jwks", **bearer(token)))
    key = keys[jwt.get_unverified_header(token)["kid"]]
    times = {"verify_exp": False, "verify_iat": False, "verify_nbf": False}
    claims = jwt.decode(token, key, algorithms=["ES256"], audience=configuration["issuer"], options=times)
    assert claims["sub"] == "system:serviceaccount:default:app"


async def test_discovery_names_the_subresource(api):
    resources = (await api.get("/api/v1"))["resources"]
    token = next(r for r in resources if r["name"] == "serviceaccounts/token")
    assert (token["group"], token["kind"], token["verbs"]) == ("authentication.k8s.io", "TokenRequest", ["create"])
