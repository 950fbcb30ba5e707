"""Every namespace has its default service account and the cluster's CA (C152, C155)."""

import pytest

from windlass.apis.resources import CONFIGMAPS, NAMESPACES, SERVICEACCOUNTS
from windlass.client.recorder import EventRecorder
from windlass.plugin.interfaces.controller import ControllerContext
from windlass_controllers.rootcapublisher.controller import NAME, RootCaPublisher
from windlass_controllers.serviceaccount.controller import ServiceAccountController, is_active

CA = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"


@pytest.fixture
async def running(cluster):
    def context(root_ca=CA):
        recorder = EventRecorder(cluster.client, "test", cluster.clock)
        return ControllerContext(cluster.client, cluster.informers, recorder, cluster.clock, root_ca=root_ca)

    cluster.start(ServiceAccountController(context()).run())
    cluster.start(RootCaPublisher(context()).run())
    return cluster


async def make_namespace(cluster, name="fresh"):
    await cluster.client.raw("POST", "/api/v1/namespaces", body={"metadata": {"name": name}})


async def there(cluster, resource, name, namespace="fresh"):
    return await cluster.eventually(lambda: _get(cluster, resource, name, namespace))


async def _get(cluster, resource, name, namespace):
    return (
        None
        if await cluster.is_gone(resource, name, namespace)
        else await cluster.client.get(resource, name, namespace)
    )


async def test_old_and_new_namespaces_get_an_account_that_comes_back(running):
    """C155: the account is there, and again after somebody deleted it."""
    await there(running, SERVICEACCOUNTS, "default", "kube-system")
    await make_namespace(running)
    first = await there(running, SERVICEACCOUNTS, "default")
    await running.client.delete(SERVICEACCOUNTS, "default", "fresh")

    async def another():
        found = await _get(running, SERVICEACCOUNTS, "default", "fresh")
        return found and found["metadata"]["uid"] != first["metadata"]["uid"]

    await running.eventually(another)


async def test_the_ca_is_published_comes_back_and_is_put_right(running):
    """C152."""
    await make_namespace(running)
    found = await there(running, CONFIGMAPS, NAME)
    assert found["data"] == {"ca.crt": CA}
    await running.client.delete(CONFIGMAPS, NAME, "fresh")
    await there(running, CONFIGMAPS, NAME)
    await running.client.patch(CONFIGMAPS, NAME, {"data": {"ca.crt": "forged", "more": "x"}}, "fresh")

    async def right():
        return (await running.client.get(CONFIGMAPS, NAME, "fresh"))["data"] == {"ca.crt": CA}

    await running.eventually(right)


async def test_a_namespace_on_its_way_out_gets_nothing(running):
    await make_namespace(running)
    await there(running, SERVICEACCOUNTS, "default")
    await running.client.delete(NAMESPACES, "fresh")
    assert not is_active(await running.client.get(NAMESPACES, "fresh"))
    await running.client.delete(SERVICEACCOUNTS, "default", "fresh")
    await make_namespace(running, "later")
    await there(running, SERVICEACCOUNTS, "default", "later")
    assert await running.is_gone(SERVICEACCOUNTS, "default", "fresh")


@pytest.mark.parametrize(
    ("namespace", "active"), [(None, False), ({}, True), ({"status": {"phase": "Terminating"}}, False)]
)
def test_active(namespace, active):
    assert is_active(namespace) is active
