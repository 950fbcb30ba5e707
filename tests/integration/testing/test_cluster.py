"""The in-process cluster, as the author of a client or an operator uses it: fixtures, faults, a clock that stands still."""

import asyncio
import gc
import json
import subprocess
import sys
import urllib.request

import kopf
import kr8s
import pytest

from windlass.apis.resources import PODS
from windlass.errors import NotFoundError, TooManyRequestsError, WindlassError
from windlass.testing.cluster import ClusterOptions, InProcessCluster


def deployment(name="web", replicas=3):
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels},
                 "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "web:1"}]}}},
    }


def pod(name="one", **annotations):
    return {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "annotations": annotations},
        "spec": {"containers": [{"name": "main", "image": "web:1"}], "restartPolicy": "Never"},
    }


def ready(count):
    return lambda it: it["status"].get("readyReplicas") == count


def test_a_deployment_runs_on_real_agents(windlass_cluster):
    windlass_cluster.apply(deployment())
    windlass_cluster.wait_for("deployments", "web", ready(3))
    pods = windlass_cluster.list("pods", label_selector="app=web")
    assert {one["spec"]["nodeName"] for one in pods} == {"node1"}
    assert windlass_cluster.list("pods", "kube-system") == []
    windlass_cluster.delete("deployments", "web")
    windlass_cluster.wait_for("pods", pods[0]["metadata"]["name"], lambda it: not it)


@pytest.mark.windlass(nodes=2, labels={"node2": {"disk": "ssd"}}, cpu="2")
def test_nodes_are_as_the_marker_says(windlass_cluster):
    one, two = (windlass_cluster.get("nodes", name) for name in ("node1", "node2"))
    assert one["status"]["capacity"]["cpu"] == "2"
    assert two["metadata"]["labels"]["disk"] == "ssd"


def test_yaml_is_applied_and_applied_again(windlass_cluster):
    manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: default}\ndata: {key: %s}\n"
    windlass_cluster.apply(manifest % "a")
    windlass_cluster.apply(manifest % "b" + "---\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: n}\n")
    assert windlass_cluster.get("configmaps", "c")["data"] == {"key": "b"}
    assert windlass_cluster.get("namespaces", "n")["status"]["phase"] == "Active"
    with pytest.raises(NotFoundError, match="no v1 Nothing"):
        windlass_cluster.apply({"apiVersion": "v1", "kind": "Nothing", "metadata": {"name": "x"}})
    with pytest.raises(NotFoundError, match="no nothings"):
        windlass_cluster.get("nothings", "x")


# kr8s and kopf leave connections to the garbage collector.
UNCLOSED = pytest.mark.filterwarnings("ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning")


@pytest.fixture
def collected():
    yield
    gc.collect()


@UNCLOSED
def test_a_kr8s_script(collected, windlass_kubeconfig, windlass_cluster):
    """What a user's script does: scale a Deployment and wait."""
    windlass_cluster.apply(deployment(replicas=1))
    api = kr8s.api(kubeconfig=windlass_kubeconfig)
    web = kr8s.objects.Deployment.get("web", namespace="default", api=api)
    web.scale(2)
    windlass_cluster.wait_for("deployments", "web", ready(2))
    assert len(list(kr8s.get("pods", namespace="default", label_selector="app=web", api=api))) == 2


@UNCLOSED
def test_a_kopf_operator(collected, windlass_kubeconfig, windlass_cluster):
    """An operator that answers each labelled ConfigMap with a Deployment of its name."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    def login(**arguments):
        return kopf.login_with_kubeconfig(**arguments)

    @kopf.on.create("configmaps", labels={"site": kopf.PRESENT}, registry=registry)
    def make_site(name, **_):
        windlass_cluster.apply(deployment(f"site-{name}", 1))

    stop = asyncio.Event()

    async def operate():
        ready = asyncio.Event()
        operator = asyncio.create_task(kopf.operator(
            registry=registry, namespaces=["default"], standalone=True, stop_flag=stop, ready_flag=ready,
            settings=quick_settings(),
        ))
        async with asyncio.timeout(60):
            await ready.wait()
            await asyncio.to_thread(windlass_cluster.apply, {
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "blog", "labels": {"site": "yes"}}, "data": {},
            })
            await asyncio.to_thread(windlass_cluster.wait_for, "deployments", "site-blog", lambda it: it["status"]["readyReplicas"] == 1)
        stop.set()
        await operator

    asyncio.run(operate())


def quick_settings():
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.execution.max_workers = 2
    return settings


async def test_an_asynchronous_client_of_its_own(windlass_cluster):
    client = windlass_cluster.client()
    try:
        await client.create(PODS, pod(), "default")
        await asyncio.to_thread(windlass_cluster.wait_for, "pods", "one", lambda it: it["status"]["phase"] == "Running")
    finally:
        await client.close()


@pytest.mark.windlass(config={"windlass-runtime-hollow": {"output": "hello"}})
@UNCLOSED
def test_logs_come_from_the_agent(collected, windlass_kubeconfig, windlass_cluster):
    windlass_cluster.apply(pod())
    windlass_cluster.wait_for("pods", "one", lambda it: it["status"]["phase"] == "Running")
    api = kr8s.api(kubeconfig=windlass_kubeconfig)
    assert list(kr8s.objects.Pod.get("one", namespace="default", api=api).logs()) == ["hello"]


@pytest.mark.windlass(virtual_clock=True)
def test_ten_minutes_pass_in_a_blink(windlass_cluster):
    """The pod's container ends after ten minutes of the cluster's time."""
    windlass_cluster.apply(pod(**{"hollow.windlass.dev/run-seconds": "600"}))
    windlass_cluster.wait_for("pods", "one", lambda it: it["status"]["phase"] == "Running")
    windlass_cluster.advance(540)
    assert windlass_cluster.get("pods", "one")["status"]["phase"] == "Running"
    windlass_cluster.wait_for("pods", "one", lambda it: it["status"]["phase"] == "Succeeded", seconds=120)
    with pytest.raises(TimeoutError, match="pods default/one was not so within 2 s"):
        windlass_cluster.wait_for("pods", "one", lambda it: it["status"]["phase"] == "Failed", seconds=2)


@pytest.mark.windlass(nodes=0, controllers=(), scheduler=False)
def test_requests_fail_as_told(windlass_cluster):
    """Only outside clients meet faults; each counts."""
    path = "/api/v1/namespaces/default/pods"
    busy = windlass_cluster.faults.fail("GET", path, TooManyRequestsError("later"), times=1)
    late = windlass_cluster.faults.delay("GET", "/version", 0.01)

    async def ask():
        client = windlass_cluster.client()
        try:
            with pytest.raises(TooManyRequestsError, match="later"):
                await client.list(PODS, "default")
            assert (await client.list(PODS, "default"))["items"] == []
            windlass_cluster.faults.hang("GET", path)
            answer = asyncio.create_task(client.list(PODS, "default"))
            assert (await client.raw("GET", "/version")).status == 200
            assert not answer.done()
            answer.cancel()
            await asyncio.wait({answer})
            windlass_cluster.faults.clear()
            assert (await client.list(PODS, "default"))["items"] == []
        finally:
            await client.close()

    asyncio.run(ask())
    assert (busy.met, late.met) == (1, 1)
    assert windlass_cluster.list("pods") == []


def test_a_runtime_fails_as_told(windlass_cluster):
    windlass_cluster.fail_runtime("node1", "run_pod_sandbox", reason="Broken", times=1)
    windlass_cluster.apply(pod())
    windlass_cluster.wait_for("pods", "one", lambda it: it["status"]["phase"] == "Running")
    events = windlass_cluster.list("events")
    assert any(event["reason"] == "FailedCreatePodSandBox" for event in events)


def test_a_cluster_that_does_not_start_says_why(tmp_path):
    with pytest.raises(WindlassError, match="no plugin named 'absent'"):
        InProcessCluster(tmp_path, ClusterOptions(plugins=["absent"])).start()


def test_a_cluster_that_does_not_run_says_so(tmp_path):
    cluster = InProcessCluster(tmp_path)
    with pytest.raises(WindlassError, match="does not run"):
        cluster.list("pods")
    cluster.stop()


@pytest.mark.windlass(nodes=0, controllers=(), scheduler=False)
def test_the_machines_clock_is_not_moved(windlass_cluster):
    with pytest.raises(WindlassError, match="virtual_clock=True"):
        windlass_cluster.advance(1)


def test_without_a_credential_one_is_nobody(windlass_cluster):
    import ssl

    context = ssl._create_unverified_context()
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{windlass_cluster.server}/api/v1/pods", context=context)
    with refused.value as answer:
        assert json.loads(answer.read())["reason"] in ("Unauthorized", "Forbidden")


def test_other_peoples_tests_do_not_pay(tmp_path):
    """The plugin is loaded in every pytest run of the environment; what it does not need it leaves alone."""
    (tmp_path / "test_other.py").write_text(
        "import sys\ndef test_it():\n    assert not [n for n in sys.modules if n == 'windlass' or n.startswith('windlass.')]\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout
