"""Who may ask, how many at once, and what an unforeseen error looks like."""

import asyncio

import pytest

from windlass.api.config import ApiConfig
from windlass.errors import StoreUnavailableError, UnknownOutcomeError

CMS = "/api/v1/namespaces/default/configmaps"


@pytest.mark.parametrize("path", ["/", "/api", "/apis", "/version", "/metrics", "/openapi/v2", "/openapi/v3", CMS,
                                  f"{CMS}/x",
                                  "/api/v1/pods?watch=1", "/api/v1/namespaces/default/pods/x/log",
                                  "/apis/windlass.dev/v1/plugins", "/nope"])
async def test_anonymous_requests_are_401_save_health(api, path):
    """S46."""
    answer = await api.call("GET", path, user="")
    assert (answer.status, answer.json["reason"]) == (401, "Unauthorized")
    assert answer.header("www-authenticate")
    assert (await api.call("GET", path, user="", headers={"authorization": "Bearer wrong"})).status == 401


async def test_forbidden_in_kubernetes_words(api):
    answer = await api.call("GET", f"{CMS}/x", user="eve", groups=())
    assert (answer.status, answer.json["reason"]) == (403, "Forbidden")
    assert answer.json["message"].startswith(
        'configmaps "x" is forbidden: User "eve" cannot get resource "configmaps" in API group "" in the namespace "default"'
    )
    assert (await api.call("GET", "/version", user="eve", groups=())).status == 200
    assert (await api.call("GET", "/metrics", user="eve", groups=())).status == 403


async def test_every_answer_has_an_audit_id(api):
    ids = {(await api.call("GET", path)).header("audit-id") for path in ("/version", "/nope", CMS)}
    assert len(ids) == 3
    assert "" not in ids


async def test_unforeseen_errors_give_nothing_away(api, make):
    async def broken(*_args, **_kwargs):
        raise RuntimeError("secret detail")

    api.store.create = broken
    answer = await api.call("POST", CMS, make.config_map())
    assert (answer.status, answer.json["reason"]) == (500, "InternalError")
    assert b"secret" not in answer.body
    assert b"Traceback" not in answer.body


@pytest.mark.parametrize(("error", "code"), [(StoreUnavailableError("x"), 503), (UnknownOutcomeError("x"), 504)])
async def test_a_store_in_trouble(api, make, error, code):
    """R03, R08: 503 with Retry-After when nothing was written, a truthful 504 when nobody knows."""
    async def troubled(*_args, **_kwargs):
        raise error

    api.store.create = troubled
    answer = await api.call("POST", CMS, make.config_map())
    assert answer.status == code
    assert answer.header("retry-after") == "1"


class TestFewRequests:
    @pytest.fixture
    def config(self):
        return ApiConfig(max_read_requests=2, max_write_requests=1, request_timeout_seconds=0.2)

    async def test_too_many_requests_leave_room_for_health_and_leases(self, api, make, monkeypatch):
        """A38."""
        monkeypatch.setattr(type(api.store), "known_revision", None)
        release, barrier = asyncio.Event(), api.store.barrier

        async def held():
            await release.wait()
            return await barrier()

        api.store.barrier = held
        waiting = [asyncio.create_task(api.call("GET", CMS)) for _ in range(2)]
        for _ in range(20):
            await asyncio.sleep(0)
        refused = await api.call("GET", CMS)
        assert (refused.status, refused.json["reason"]) == (429, "TooManyRequests")
        assert refused.header("retry-after") == "1"
        assert (await api.call("GET", "/livez")).status == 200
        renewal = {"metadata": {"name": "n1"}, "spec": {"holderIdentity": "n1"}}
        assert (await api.call("POST", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases", renewal)).status == 201
        release.set()
        assert [answer.status for answer in await asyncio.gather(*waiting)] == [200, 200]
        assert (await api.call("GET", CMS)).status == 200

    async def test_requests_have_a_deadline(self, api, make):
        async def never(*_args, **_kwargs):
            await asyncio.Event().wait()

        api.store.create = never
        answer = await api.call("POST", CMS, make.config_map())
        assert (answer.status, answer.json["reason"]) == (504, "Timeout")
