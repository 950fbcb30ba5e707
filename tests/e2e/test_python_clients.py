"""The Python clients that people use, unmodified: create, list, watch, patch, delete; and a kopf operator."""

import os
import subprocess
import sys
import textwrap

import pytest

pytestmark = [
    pytest.mark.filterwarnings("default"),  # the clients' own deprecations are not ours to fail on
]


def run(cluster, program, *arguments):
    """Run a client in a process of its own, so that its event loop and its warnings are its own."""
    return cluster.run(sys.executable, "-W", "ignore", "-c", textwrap.dedent(program), *arguments, timeout=120).stdout


def test_kubernetes(hollow_cluster, namespace):
    output = run(
        hollow_cluster,
        """
        import sys
        from kubernetes import client, config, watch
        config.load_kube_config()
        api, ns = client.CoreV1Api(), sys.argv[1]
        body = client.V1ConfigMap(metadata=client.V1ObjectMeta(name="c", labels={"via": "python"}), data={"k": "1"})
        created = api.create_namespaced_config_map(ns, body)
        assert api.list_namespaced_config_map(ns, label_selector="via=python").items[0].data == {"k": "1"}
        api.patch_namespaced_config_map("c", ns, {"data": {"k": "2"}})
        w = watch.Watch()
        seen = []
        api.delete_namespaced_config_map("c", ns)
        for event in w.stream(api.list_namespaced_config_map, ns, resource_version=created.metadata.resource_version,
                              timeout_seconds=20):
            seen.append(event["type"])
            if event["type"] == "DELETED":
                w.stop()
        assert seen == ["MODIFIED", "DELETED"], seen
        deployment = {"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {
            "metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "m", "image": "busybox:local"}]}}}}
        client.AppsV1Api().create_namespaced_deployment(ns, deployment)
        client.AppsV1Api().delete_namespaced_deployment("d", ns)
        try:
            api.read_namespaced_config_map("c", ns)
        except client.ApiException as error:
            print(error.status, error.reason)
    """,
        namespace,
    )
    assert "404" in output


def test_kubernetes_asyncio(hollow_cluster, namespace):
    assert "MODIFIED DELETED" in run(
        hollow_cluster,
        """
        import asyncio, sys
        from kubernetes_asyncio import client, config, watch
        async def main(ns):
            await config.load_kube_config()
            async with client.ApiClient() as connection:
                api = client.CoreV1Api(connection)
                body = client.V1ConfigMap(metadata=client.V1ObjectMeta(name="c"), data={"k": "1"})
                created = await api.create_namespaced_config_map(ns, body)
                assert [i.metadata.name for i in (await api.list_namespaced_config_map(ns)).items if i.metadata.name == "c"]
                await api.patch_namespaced_config_map("c", ns, {"data": {"k": "2"}})
                await api.delete_namespaced_config_map("c", ns)
                seen = []
                async with watch.Watch().stream(api.list_namespaced_config_map, ns,
                                                resource_version=created.metadata.resource_version, timeout_seconds=20) as stream:
                    async for event in stream:
                        seen.append(event["type"])
                        if event["type"] == "DELETED":
                            break
                print(*seen)
        asyncio.run(main(sys.argv[1]))
    """,
        namespace,
    )


def test_kr8s(hollow_cluster, namespace):
    assert "gone" in run(
        hollow_cluster,
        """
        import sys, kr8s
        from kr8s.objects import ConfigMap
        c = ConfigMap({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": sys.argv[1]}, "data": {"k": "1"}})
        c.create()
        assert [x.name for x in kr8s.get("configmaps", namespace=sys.argv[1])].count("c") == 1
        for event, found in kr8s.watch("configmaps", namespace=sys.argv[1]):
            if found.name == "c":
                assert event == "ADDED", event
                break
        c.patch({"data": {"k": "2"}})
        c.refresh()
        assert c.data.k == "2"
        c.delete()
        assert not c.exists()
        print("gone")
    """,
        namespace,
    )


def test_lightkube(hollow_cluster, namespace):
    assert "gone" in run(
        hollow_cluster,
        """
        import sys
        from lightkube import Client, ApiError
        from lightkube.models.meta_v1 import ObjectMeta
        from lightkube.resources.core_v1 import ConfigMap
        client, ns = Client(namespace=sys.argv[1]), sys.argv[1]
        client.create(ConfigMap(metadata=ObjectMeta(name="c", namespace=ns), data={"k": "1"}))
        assert "c" in [c.metadata.name for c in client.list(ConfigMap)]
        for event, found in client.watch(ConfigMap):
            if found.metadata.name == "c":
                break
        client.patch(ConfigMap, "c", {"data": {"k": "2"}})
        assert client.get(ConfigMap, "c").data == {"k": "2"}
        client.delete(ConfigMap, "c")
        try:
            client.get(ConfigMap, "c")
        except ApiError as error:
            assert error.status.code == 404
            print("gone")
    """,
        namespace,
    )


OPERATOR = """
import kopf

@kopf.on.create("apps", "v1", "deployments")
def created(name, patch, **_):
    patch.metadata.labels["handled-by"] = "kopf"
"""


def test_a_kopf_operator_handles_deployments(hollow_cluster, namespace, manifest, tmp_path):
    (tmp_path / "handlers.py").write_text(OPERATOR)
    with open(tmp_path / "log", "w") as log:
        operator = subprocess.Popen(
            [
                sys.executable,
                "-W",
                "ignore",
                "-m",
                "kopf",
                "run",
                "--standalone",
                "-n",
                namespace,
                str(tmp_path / "handlers.py"),
            ],
            env=hollow_cluster.environment,
            stdout=log,
            stderr=log,
            cwd=os.fspath(tmp_path),
        )
    try:
        hollow_cluster.kubectl("-n", namespace, "apply", "-f", manifest())
        hollow_cluster.wait(
            lambda: (
                "web"
                in hollow_cluster.kubectl("-n", namespace, "get", "deployments", "-l", "handled-by=kopf", "-o", "name")
            ),
            timeout=120,
        )
    except AssertionError:
        print((tmp_path / "log").read_text()[-3000:])
        raise
    finally:
        operator.terminate()
        operator.wait(20)
