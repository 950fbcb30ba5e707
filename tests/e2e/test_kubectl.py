"""An unmodified kubectl with pods pretended: verbs, outputs and messages."""

import json
import re

import pytest


@pytest.fixture
def kubectl(hollow_cluster, namespace):
    def call(*arguments, check=True, text=None):
        return hollow_cluster.kubectl("-n", namespace, *arguments, check=check, text=text)

    return call


@pytest.fixture
def web(kubectl, manifest):
    """A Deployment of three, rolled out."""
    kubectl("apply", "-f", manifest())
    kubectl("rollout", "status", "deployment/web", "--timeout=120s")
    return "deployment/web"


def test_apply_is_idempotent_and_dry_run_stores_nothing(kubectl, manifest):
    """A41."""
    path = manifest()
    assert "created (server dry run)" in kubectl("apply", "--dry-run=server", "-f", path)
    assert "NotFound" in kubectl("get", "deployment", "web", check=False)
    assert "created" in kubectl("apply", "-f", path)
    assert "unchanged" in kubectl("apply", "-f", path)


def test_diff_shows_what_would_change(kubectl, manifest):
    kubectl("apply", "-f", manifest())
    assert re.search(r"\+ +replicas: 5", kubectl("diff", "-f", manifest(replicas=5), check=False))


def test_get_in_every_format(kubectl, web):
    assert re.search(r"NAME\s+READY\s+UP-TO-DATE\s+AVAILABLE\s+AGE\nweb\s+3/3\s+3\s+3", kubectl("get", web))
    assert "CONTAINERS" in kubectl("get", web, "-o", "wide")
    assert json.loads(kubectl("get", web, "-o", "json"))["kind"] == "Deployment"
    assert "kind: Deployment" in kubectl("get", web, "-o", "yaml")
    assert kubectl("get", web, "-o", "name") == "deployment.apps/web\n"
    assert kubectl("get", web, "-o", "jsonpath={.spec.replicas}") == "3"
    assert kubectl("get", web, "-o", "custom-columns=N:.metadata.name") == "N\nweb\n"
    assert kubectl("get", "pods", "-l", "app=web", "--no-headers").count("Running") == 3
    assert kubectl("get", "pods", "--field-selector", "status.phase=Running", "-o", "name").count("pod/") == 3
    assert kubectl("get", "pods", "-A", "--sort-by=.metadata.name").count("web-") >= 3
    assert "app=web" in kubectl("get", "pods", "--show-labels")


def test_get_all_lists_by_category(kubectl, web):
    listed = kubectl("get", "all")
    assert "pod/web-" in listed
    assert "deployment.apps/web" in listed
    assert "replicaset.apps/web-" in listed


def test_create_run_and_delete(kubectl):
    kubectl("create", "configmap", "c", "--from-literal=a=1")
    kubectl("create", "secret", "generic", "s", "--from-literal=p=x")
    assert kubectl("get", "secret", "s", "-o", "jsonpath={.data.p}") == "eA=="
    kubectl("run", "one", "--image=busybox:local", "--restart=Never")
    pod = json.loads(kubectl("get", "pod", "one", "-o", "json"))
    assert (pod["spec"]["restartPolicy"], len(pod["spec"]["containers"])) == ("Never", 1)
    assert "already exists" in kubectl("create", "configmap", "c", check=False)
    assert "deleted" in kubectl("delete", "configmap/c", "secret/s", "pod/one", "--now")


def test_quotas_and_limit_ranges(kubectl):
    """C071, C308: bounds hold, and describe shows the use."""
    kubectl("create", "quota", "q", "--hard=configmaps=2,pods=1,count/deployments.apps=0")
    kubectl("wait", "quota/q", "--for=jsonpath={.status.used.configmaps}=1", "--timeout=60s")  # kube-root-ca.crt
    kubectl("create", "configmap", "a")
    refused = kubectl("create", "configmap", "b", check=False)
    assert "exceeded quota: q, requested: configmaps=1, used: configmaps=2, limited: configmaps=2" in refused
    described = kubectl("describe", "quota", "q")
    for row in (r"Resource\s+Used\s+Hard", r"configmaps\s+2\s+2", r"pods\s+0\s+1"):
        assert re.search(row, described), described
    assert re.search(r"NAME\s+REQUEST\s+LIMIT\s+AGE\nq\s+.*configmaps: 2/2", kubectl("get", "quota"))
    bounds = [{"type": "Container", "max": {"cpu": "1"}, "defaultRequest": {"cpu": "100m"}}]
    spec = {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "bounds"}, "spec": {"limits": bounds}}
    kubectl("apply", "-f", "-", text=json.dumps(spec))
    kubectl("run", "p", "--image=busybox:local")
    resources = json.loads(kubectl("get", "pod", "p", "-o", "jsonpath={.spec.containers[0].resources}"))
    assert resources == {"limits": {"cpu": "1"}, "requests": {"cpu": "100m"}}
    assert re.search(r"Container\s+cpu\s+-\s+1\s+100m\s+1", kubectl("describe", "limitrange", "bounds"))
    assert re.search(r"pods\s+1\s+1", kubectl("describe", "quota", "q"))


def test_describe(kubectl, web):
    """C161."""
    described = kubectl("describe", web)
    for expected in ("Name:", "Replicas:", "3 desired", "busybox:local", "Events:", "ScalingReplicaSet"):
        assert expected in described
    pod = kubectl("describe", "pods", "-l", "app=web")
    for expected in ("Node:", "IP:", "Containers:", "State:", "Running", "Limits:", "Events:", "Scheduled"):
        assert expected in pod
    assert "Capacity:" in kubectl("describe", "node", "node1")
    assert "Status:" in kubectl("describe", "namespace", "default")


def test_scale(kubectl, web):
    """C107."""
    kubectl("scale", web, "--replicas=5")
    kubectl("rollout", "status", web, "--timeout=120s")
    assert kubectl("get", "pods", "-o", "name").count("pod/") == 5
    assert (
        "precondition" in kubectl("scale", web, "--current-replicas=9", "--replicas=1", check=False).lower()
        or kubectl("get", web, "-o", "jsonpath={.spec.replicas}") == "5"
    )


def test_rollout_verbs(kubectl, web):
    """C109."""
    kubectl("set", "image", web, "main=busybox:local2")
    kubectl("rollout", "status", web, "--timeout=120s")
    assert kubectl("rollout", "history", web).strip().splitlines()[-1].startswith("2")
    kubectl("rollout", "undo", web)
    kubectl("rollout", "status", web, "--timeout=120s")
    assert kubectl("get", web, "-o", "jsonpath={.spec.template.spec.containers[0].image}") == "busybox:local"
    kubectl("rollout", "pause", web)
    kubectl("set", "env", web, "A=1")
    assert "paused" in kubectl("rollout", "restart", web, check=False)
    kubectl("rollout", "resume", web)
    kubectl("rollout", "restart", web)
    kubectl("rollout", "status", web, "--timeout=120s")
    assert "restartedAt" in kubectl("get", web, "-o", "yaml")


def test_patches_of_all_three_types(kubectl, web):
    kubectl(
        "patch",
        web,
        "--type=strategic",
        "-p",
        '{"spec":{"template":{"spec":{"containers":[{"name":"main","env":[{"name":"X","value":"1"}]}]}}}}',
    )
    kubectl("patch", web, "--type=merge", "-p", '{"metadata":{"annotations":{"note":"m"}}}')
    kubectl("patch", web, "--type=json", "-p", '[{"op":"replace","path":"/spec/replicas","value":2}]')
    found = json.loads(kubectl("get", web, "-o", "json"))
    container = found["spec"]["template"]["spec"]["containers"][0]
    assert (container["image"], container["env"]) == ("busybox:local", [{"name": "X", "value": "1"}])
    assert (found["metadata"]["annotations"]["note"], found["spec"]["replicas"]) == ("m", 2)


def test_label_and_annotate(kubectl, web):
    """C164."""
    pod = kubectl("get", "pods", "-o", "name").split()[0]
    kubectl("label", pod, "tier=front")
    assert kubectl("get", "pods", "-l", "tier=front", "-o", "name").split() == [pod]
    assert "front" in kubectl("get", "pods", "-L", "tier")
    kubectl("label", pod, "tier-")
    assert kubectl("get", "pods", "-l", "tier=front", "-o", "name") == ""
    kubectl("annotate", web, "note=1")
    assert "note: " in kubectl("get", web, "-o", "yaml")


def test_edit(kubectl, web, hollow_cluster, monkeypatch):
    monkeypatch.setitem(hollow_cluster.environment, "KUBE_EDITOR", "sed -i s/replicas:.3/replicas:\\ 4/")
    assert "edited" in kubectl("edit", web)
    assert kubectl("get", web, "-o", "jsonpath={.spec.replicas}") == "4"


@pytest.mark.parametrize(
    "kind",
    [
        "pods",
        "deployments",
        "services",
        "nodes",
        "secrets",
        "leases",
        "endpointslices",
        "priorityclasses",
        "runtimeclasses",
        "events",
        "replicasets",
        "controllerrevisions",
    ],
)
def test_explain_recursive(kubectl, kind):
    text = kubectl("explain", kind, "--recursive")
    assert "KIND:" in text
    assert "metadata" in text


def test_explain_a_field_has_a_description(kubectl):
    text = kubectl("explain", "pod.spec.containers.resources.limits")
    assert "FIELD: limits" in text
    assert len(text.split("DESCRIPTION:")[1].strip()) > 20


def test_discovery_commands(kubectl):
    """C025, C047."""
    resources = kubectl("api-resources")
    for name in ("pods", "deployments", "leases", "events", "endpointslices", "plugins"):
        assert name in resources
    assert {"v1", "apps/v1", "coordination.k8s.io/v1", "windlass.dev/v1"} <= set(kubectl("api-versions").split())


def test_version_and_cluster_info(kubectl):
    """C160, C169."""
    assert json.loads(kubectl("version", "-o", "json"))["serverVersion"]["major"] == "1"
    assert "control plane" in kubectl("cluster-info")


def test_wait(kubectl, web):
    kubectl("wait", web, "--for=condition=Available", "--timeout=120s")
    kubectl("wait", web, "--for=jsonpath={.status.readyReplicas}=3", "--timeout=120s")
    kubectl("delete", web, "--wait=false")
    kubectl("wait", web, "--for=delete", "--timeout=120s")


@pytest.mark.parametrize("cascade", ["background", "foreground", "orphan"])
def test_delete_with_every_cascade(kubectl, web, hollow_cluster, cascade):
    """C056, C061."""
    kubectl("delete", web, f"--cascade={cascade}", "--timeout=120s")
    names = lambda: kubectl("get", "replicasets,pods", "-o", "name").split()
    if cascade == "orphan":
        hollow_cluster.wait(lambda: "ownerReferences" not in kubectl("get", "replicasets", "-o", "yaml"))
        assert len(names()) == 4
    else:
        hollow_cluster.wait(lambda: names() == [])


def test_cordon_taint_drain(kubectl, web, hollow_cluster):
    kubectl("cordon", "node1")
    assert "SchedulingDisabled" in kubectl("get", "node", "node1")
    kubectl("scale", web, "--replicas=4")
    def pending():
        return [
            p for p in json.loads(kubectl("get", "pods", "-o", "json"))["items"] if p["status"]["phase"] == "Pending"
        ]
    (pod,) = hollow_cluster.wait(lambda: [p for p in pending() if p["status"].get("conditions")])
    condition = next(c for c in pod["status"]["conditions"] if c["type"] == "PodScheduled")
    assert condition["reason"] == "Unschedulable"
    assert "0/1 nodes are available: 1 node(s) were unschedulable" in condition["message"]
    assert "FailedScheduling" in kubectl("events")
    kubectl("uncordon", "node1")
    kubectl("rollout", "status", web, "--timeout=120s")
    kubectl("taint", "node", "node1", "k=v:NoSchedule")
    assert "k=v:NoSchedule" in kubectl("describe", "node", "node1")
    kubectl("taint", "node", "node1", "k-")
    assert "drained" in kubectl(
        "drain",
        "node1",
        "--ignore-daemonsets",
        "--delete-emptydir-data",
        "--force",
        "--timeout=120s",
        "--pod-selector=app=web",
    )
    kubectl("uncordon", "node1")
    kubectl("rollout", "status", web, "--timeout=120s")


def test_expose(kubectl, web):
    kubectl("expose", web, "--port=80", "--target-port=8080")
    assert kubectl("get", "service", "web", "-o", "jsonpath={.spec.ports[0].targetPort}") == "8080"


def test_create_ingress(kubectl):
    """kubectl sends it as protobuf, where the rule's paths lie one level deeper than in JSON."""
    kubectl("create", "ingress", "front", "--rule=shop.example/cart=cart:80", "--class=nginx")
    path = "{.spec.rules[0].http.paths[0].backend.service.name}"
    assert kubectl("get", "ingress", "front", "-o", f"jsonpath={path}") == "cart"


def test_events(kubectl, web):
    assert "ScalingReplicaSet" in kubectl("events", "--for", web)
    assert "Scheduled" in kubectl("get", "events", "--sort-by=.lastTimestamp")


def test_replace(kubectl):
    """C166."""
    kubectl("run", "one", "--image=busybox:local")
    pod = json.loads(kubectl("get", "pod", "one", "-o", "json"))
    del pod["metadata"]["resourceVersion"]  # its status changes meanwhile
    pod["spec"]["containers"][0]["image"] = "busybox:other"
    kubectl("replace", "-f", "-", text=json.dumps(pod))
    assert kubectl("get", "pod", "one", "-o", "jsonpath={.spec.containers[0].image}") == "busybox:other"


def test_strict_validation_names_the_field(kubectl, manifest):
    """C053."""
    path = manifest(imagee="x")
    assert 'unknown field "spec.template.spec.containers[0].imagee"' in kubectl(
        "apply", "--validate=strict", "-f", path, check=False
    )


def test_a_field_that_nothing_obeys_yet_is_named(hollow_cluster, namespace, manifest):
    result = hollow_cluster.run(
        "kubectl", "-n", namespace, "apply", "-f", manifest(securityContext={"seLinuxOptions": {"user": "u"}})
    )
    assert "seLinuxOptions" in result.stderr
    assert "Warning" in result.stderr


def test_plugins_are_a_resource(kubectl):
    assert "windlass-runtime-docker" in kubectl("get", "plugins")


def test_a_kind_that_is_not_served_is_named(kubectl):
    body = {"apiVersion": "example.com/v1", "kind": "Unicorn", "metadata": {"name": "s"}, "spec": {}}
    refused = kubectl("apply", "-f", "-", text=json.dumps(body), check=False)
    assert 'no matches for kind "Unicorn" in version "example.com/v1"' in refused


def test_what_is_not_served_yet_says_so(kubectl):
    kubectl("run", "x", "--image=busybox:local")
    resize = '{"spec":{"containers":[{"name":"x","resources":{"requests":{"cpu":"1m"}}}]}}'
    refused = kubectl("patch", "pod", "x", "--subresource=resize", "-p", resize, check=False)
    assert "pods/resize is not served by this version of windlass yet" in refused
