"""EndpointSlices and Endpoints follow Services and pods, over a whole API."""

from windlass.apis.resources import ENDPOINTS, ENDPOINTSLICES, PODS, SERVICES
from windlass_controllers.endpoints.controller import EndpointsController
from windlass_controllers.endpointslice.controller import EndpointSliceController
from windlass_controllers.endpointslicemirroring.controller import EndpointSliceMirroringController

SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web"},
    "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]},
}


def pod(name, **labels):
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels or {"app": "web"}},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }


async def give_address(cluster, name, ip):
    found = await cluster.client.get(PODS, name, "default")
    status = {"podIP": ip, "podIPs": [{"ip": ip}]}
    await cluster.client.patch(PODS, name, {"status": status}, "default", subresource="status")
    return found["metadata"]["uid"]


async def ready(cluster):
    slices = await cluster.items(ENDPOINTSLICES)
    return sorted(a for s in slices for e in s["endpoints"] or () if e["conditions"]["ready"] for a in e["addresses"])


async def subsets(cluster):
    found = await cluster.items(ENDPOINTS)
    return sorted(a["ip"] for one in found for s in one.get("subsets") or () for a in s.get("addresses") or ())


async def test_pods_come_behind_the_service_and_leave_it(cluster):
    """C187: slices and Endpoints hold the ready pods that the selector takes."""
    cluster.run_controllers(EndpointSliceController, EndpointsController)
    await cluster.client.create(SERVICES, SERVICE, "default")
    for name, ip in (("a", "10.0.0.1"), ("b", "10.0.0.2")):
        await cluster.client.create(PODS, pod(name), "default")
        await give_address(cluster, name, ip)
    await cluster.client.create(PODS, pod("other", app="db"), "default")

    async def both_there():
        return await ready(cluster) == ["10.0.0.1", "10.0.0.2"] == await subsets(cluster)

    await cluster.eventually(both_there)
    await cluster.client.delete(PODS, "a", "default", grace_period_seconds=0)

    async def one_left():
        return await ready(cluster) == ["10.0.0.2"] == await subsets(cluster)

    await cluster.eventually(one_left)


async def test_a_changed_selector_empties_and_fills(cluster):
    cluster.run_controllers(EndpointSliceController, EndpointsController)
    await cluster.client.create(PODS, pod("a"), "default")
    await give_address(cluster, "a", "10.0.0.1")
    await cluster.client.create(
        SERVICES, {**SERVICE, "spec": {**SERVICE["spec"], "selector": {"app": "no"}}}, "default"
    )

    async def empty_slice():
        slices = await cluster.items(ENDPOINTSLICES)
        return len(slices) == 1 and not slices[0]["endpoints"]

    await cluster.eventually(empty_slice)
    await cluster.client.patch(SERVICES, "web", {"spec": {"selector": {"app": "web"}}}, "default")

    async def there():
        return await ready(cluster) == ["10.0.0.1"] == await subsets(cluster)

    await cluster.eventually(there)


async def test_a_deleted_slice_comes_back_and_foreign_ones_stay(cluster):
    cluster.run_controllers(EndpointSliceController)
    await cluster.client.create(SERVICES, SERVICE, "default")
    await cluster.client.create(PODS, pod("a"), "default")
    await give_address(cluster, "a", "10.0.0.1")

    async def there():
        return await ready(cluster) == ["10.0.0.1"]

    await cluster.eventually(there)
    foreign = {
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4", "endpoints": [],
        "metadata": {"name": "mine", "labels": {"kubernetes.io/service-name": "web"}},
    }  # fmt: skip
    await cluster.client.create(ENDPOINTSLICES, foreign, "default")
    (ours,) = [s for s in await cluster.items(ENDPOINTSLICES) if s["metadata"]["name"] != "mine"]
    await cluster.client.delete(ENDPOINTSLICES, ours["metadata"]["name"], "default")
    await cluster.eventually(there)
    assert not await cluster.is_gone(ENDPOINTSLICES, "mine")


async def test_hand_made_endpoints_are_mirrored(cluster):
    """C191: as long as they are there, and the Service selects nothing itself."""
    cluster.run_controllers(EndpointSliceMirroringController)
    plain = {**SERVICE, "spec": {"ports": [{"port": 80}]}}
    await cluster.client.create(SERVICES, plain, "default")
    made = {
        "apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "web"},
        "subsets": [{"addresses": [{"ip": "10.9.0.1"}, {"ip": "fd00::9"}], "ports": [{"port": 8080}]}],
    }  # fmt: skip
    await cluster.client.create(ENDPOINTS, made, "default")

    async def mirrored():
        slices = await cluster.items(ENDPOINTSLICES)
        by_family = {s["addressType"]: s["endpoints"][0]["addresses"] for s in slices}
        return by_family == {"IPv4": ["10.9.0.1"], "IPv6": ["fd00::9"]}

    await cluster.eventually(mirrored)
    await cluster.client.patch(ENDPOINTS, "web", {"subsets": made["subsets"][:0]}, "default")

    async def none():
        return not await cluster.items(ENDPOINTSLICES)

    await cluster.eventually(none)


async def test_a_service_without_pods_has_empty_ones_and_takes_them_along(cluster):
    """C188."""
    cluster.run_controllers(EndpointSliceController, EndpointsController)
    await cluster.client.create(SERVICES, SERVICE, "default")

    async def empty():
        found = [*await cluster.items(ENDPOINTSLICES), *await cluster.items(ENDPOINTS)]
        return [o["kind"] for o in found] == ["EndpointSlice", "Endpoints"]

    await cluster.eventually(empty)
    (made,) = await cluster.items(ENDPOINTSLICES)
    assert made["metadata"]["ownerReferences"][0]["kind"] == "Service"
    await cluster.client.delete(SERVICES, "web", "default")

    async def no_endpoints():
        return await cluster.is_gone(ENDPOINTS, "web")

    await cluster.eventually(no_endpoints)
