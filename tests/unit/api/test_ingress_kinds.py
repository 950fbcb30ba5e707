"""Every verb on Ingresses and IngressClasses, as their users' controllers use them."""

import pytest

GROUP = "/apis/networking.k8s.io/v1"
INGRESSES = f"{GROUP}/namespaces/default/ingresses"
BACKEND = {"service": {"name": "web", "port": {"number": 80}}}
INGRESS = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "Ingress",
    "metadata": {"name": "web", "labels": {"for": "test"}},
    "spec": {"defaultBackend": BACKEND},
}
INGRESS_CLASS = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "IngressClass",
    "metadata": {"name": "web", "labels": {"for": "test"}},
    "spec": {"controller": "example.com/controller"},
}


async def _life(api, where, body):
    """Create, get, list, watch, PUT, patch, delete, deletecollection."""
    async with api.watch(f"{where}?watch=1&labelSelector=for%3Dtest") as watch:
        made = await api.call("POST", where, body)
        assert (made.status, made.warnings) == (201, [])
        assert await api.get(f"{where}/web") == made.json
        replaced = await api.ok(
            "PUT", f"{where}/web", {**made.json, "metadata": {**made.json["metadata"], "annotations": {"put": "yes"}}}
        )
        assert replaced["metadata"]["annotations"] == {"put": "yes"}
        patched = await api.patch(f"{where}/web", {"metadata": {"annotations": {"patched": "yes"}}})
        assert patched["metadata"]["annotations"] == {"put": "yes", "patched": "yes"}
        await api.ok("DELETE", f"{where}/web")
        assert [event["type"] for event in await watch.take(4)] == ["ADDED", "MODIFIED", "MODIFIED", "DELETED"]
    for name in ("one", "two"):
        await api.ok("POST", where, {**body, "metadata": {"name": name, "labels": {"for": "test"}}})
    assert len((await api.get(f"{where}?labelSelector=for%3Dtest"))["items"]) == 2
    await api.ok("DELETE", f"{where}?labelSelector=for%3Dtest")
    assert (await api.get(where))["items"] == []


async def _discovered(api, name):
    found = {one["name"]: one for one in (await api.get(GROUP))["resources"]}
    assert "networking.k8s.io" in [group["name"] for group in (await api.get("/apis"))["groups"]]
    return found[name]


async def test_ingresses(api):
    """C193: in discovery, every verb, in one namespace and in all."""
    assert (await _discovered(api, "ingresses"))["namespaced"]
    assert await _discovered(api, "ingresses/status")
    await _life(api, INGRESSES, INGRESS)
    await api.ok("POST", INGRESSES, INGRESS)
    assert [one["metadata"]["name"] for one in (await api.get(f"{GROUP}/ingresses"))["items"]] == ["web"]


@pytest.mark.parametrize("verb", ["PUT", "PATCH"])
async def test_an_ingress_has_a_status_of_its_own(api, verb):
    """C193: PUT and patch of ingresses/status change nothing but the status."""
    made = await api.ok("POST", INGRESSES, INGRESS)
    status = {"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}}
    if verb == "PUT":
        body = {**made, "status": status, "spec": {"defaultBackend": {"service": {"name": "x", "port": {"number": 1}}}}}
        changed = await api.ok("PUT", f"{INGRESSES}/web/status", body)
    else:
        changed = await api.patch(f"{INGRESSES}/web/status", {"status": status})
    assert changed["status"] == status
    assert changed["spec"] == made["spec"]
    assert (await api.get(f"{INGRESSES}/web/status"))["status"] == status


async def test_ingress_classes(api):
    """C194: in discovery, cluster-scoped, every verb."""
    assert not (await _discovered(api, "ingressclasses"))["namespaced"]
    await _life(api, f"{GROUP}/ingressclasses", INGRESS_CLASS)
