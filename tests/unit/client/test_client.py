import pytest

from windlass.apimachinery.scheme import Resource
from windlass.client.client import Fence, path_of
from windlass.errors import AlreadyExistsError, BadRequestError, ConflictError, NotFoundError, UnavailableError

PODS = Resource("", "v1", "pods")
NODES = Resource("", "v1", "nodes", namespaced=False)
DEPLOYMENTS = Resource("apps", "v1", "deployments")
WHERE = "/api/v1/namespaces/default/pods"


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        ((PODS,), "/api/v1/pods"),
        ((PODS, "default", "web", "log"), "/api/v1/namespaces/default/pods/web/log"),
        ((NODES, "ignored", "n1"), "/api/v1/nodes/n1"),
        ((DEPLOYMENTS, "a", "b"), "/apis/apps/v1/namespaces/a/deployments/b"),
        ((PODS, "default", "a/b"), "/api/v1/namespaces/default/pods/a%2Fb"),
    ],
)
def test_paths(arguments, path):
    assert path_of(*arguments) == path


def test_a_name_never_climbs_out_of_its_path():
    with pytest.raises(BadRequestError):
        path_of(PODS, "default", "..")


async def test_errors_are_what_their_status_says(api, client):
    with pytest.raises(NotFoundError):
        await client.get(PODS, "web", "default")
    made = await client.create(PODS, {"metadata": {"name": "web", "namespace": "default"}})
    with pytest.raises(AlreadyExistsError):
        await client.create(PODS, {"metadata": {"name": "web", "namespace": "default"}})
    await client.update(PODS, made)
    with pytest.raises(ConflictError):
        await client.update(PODS, made)
    api.down = True
    with pytest.raises(UnavailableError):
        await client.get(PODS, "web", "default")


async def test_writes_carry_the_fence_and_reads_do_not(api, client):
    """R09: the API server refuses a former leader's writes by this header."""
    leader = client.fenced(Fence("kube-system", "manager", "me", 7))
    await leader.create(PODS, {"metadata": {"name": "web", "namespace": "default"}})
    await leader.get(PODS, "web", "default")
    headers = [request.headers.get("Windlass-Fence") for request in api.requests]
    assert headers == ["kube-system/manager/me/7", None]


async def test_a_watch_yields_events_in_order_whatever_the_chunks(api, client):
    """C089."""
    first = api.put(WHERE, {"metadata": {"name": "a", "namespace": "default"}})
    api.put(WHERE, {"metadata": {"name": "b", "namespace": "default"}})
    api.remove(WHERE, "a")
    seen = []
    watch = client.watch(PODS, "default", resource_version=first["metadata"]["resourceVersion"])
    async for event in watch:
        seen.append((event.type, event.object["metadata"]["name"]))
        if len(seen) == 2:
            break
    await watch.aclose()
    assert seen == [("ADDED", "b"), ("DELETED", "a")]


OWNED = {"metadata": {"name": "a", "namespace": "default", "managedFields": [{"manager": "m", "fieldsV1": {"f:x": {}}}]}}


@pytest.mark.parametrize("spec", [None, {"managedFields": [{"manager": "x"}]}])
async def test_a_watch_leaves_the_owners_of_fields_out_on_demand(api, client, spec):
    """Whether they come last, as our server has them, or anywhere."""
    first = api.put(WHERE, {"metadata": {"name": "a", "namespace": "default"}})
    api.put(WHERE, OWNED if spec is None else {**OWNED, "spec": spec})
    version = first["metadata"]["resourceVersion"]
    for wanted in (True, False):
        watch = client.watch(PODS, "default", resource_version=version, managed_fields=wanted)
        event = await anext(watch)
        await watch.aclose()
        assert event.type == "MODIFIED"
        assert ("managedFields" in event.object["metadata"]) is wanted
        assert event.object.get("spec") == spec
