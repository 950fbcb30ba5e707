"""Server-side apply by an unmodified kubectl and by Python clients."""

import json
import re
import sys
import textwrap

import pytest

PLACE = "configmap/one"


@pytest.fixture
def kubectl(hollow_cluster, namespace):
    def call(*arguments, check=True, text=None):
        return hollow_cluster.kubectl("-n", namespace, *arguments, check=check, text=text)

    return call


def config(**data):
    return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}, "data": data})


def managers(kubectl, what=PLACE):
    entries = json.loads(kubectl("get", what, "-o", "json", "--show-managed-fields"))["metadata"]["managedFields"]
    return {(entry["manager"], entry["operation"]): entry["fieldsV1"] for entry in entries}


def test_server_side_apply(kubectl):
    """Applied, applied again, refused with kubectl's own advice, forced, let go; with diffs and dry runs."""
    apply = ("apply", "--server-side", "-f", "-")
    assert "serverside-applied (server dry run)" in kubectl(*apply, "--dry-run=server", text=config(a="1"))
    assert "serverside-applied" in kubectl(*apply, text=config(a="1", b="1"))
    version = kubectl("get", PLACE, "-o", "jsonpath={.metadata.resourceVersion}")
    kubectl(*apply, text=config(a="1", b="1"))
    assert kubectl("get", PLACE, "-o", "jsonpath={.metadata.resourceVersion}") == version
    assert managers(kubectl) == {("kubectl", "Apply"): {"f:data": {"f:a": {}, "f:b": {}}}}
    assert "managedFields" not in kubectl("get", PLACE, "-o", "yaml")
    diff = kubectl("diff", "--server-side", "-f", "-", text=config(a="2"), check=False)
    assert re.search(r"-  a: \"1\"\n-  b: \"1\"\n\+  a: \"2\"", diff), diff
    refused = kubectl(*apply, "--field-manager=other", text=config(a="2"), check=False)
    assert 'Apply failed with 1 conflict: conflict with "kubectl": .data.a' in refused
    assert "Please review the fields above--they currently have other managers" in refused
    kubectl(*apply, "--field-manager=other", "--force-conflicts", text=config(a="2"))
    assert managers(kubectl)["kubectl", "Apply"] == {"f:data": {"f:b": {}}}
    assert kubectl("get", PLACE, "-o", "jsonpath={.data}") == '{"a":"2","b":"1"}'
    assert ".dta: field not declared in schema" in kubectl(*apply, text=config().replace('"data"', '"dta"'), check=False)


def test_from_client_side_to_server_side(kubectl, manifest):
    """C-style manifests move: kubectl's record becomes one of server-side apply, and view-last-applied still works."""
    kubectl("apply", "-f", manifest())
    assert ("kubectl-client-side-apply", "Update") in managers(kubectl, "deployment/web")
    kubectl("scale", "deployment/web", "--replicas=1")
    refused = kubectl("apply", "--server-side", "-f", manifest(replicas=2), check=False)
    assert 'conflict with "kubectl" with subresource "scale" using apps/v1: .spec.replicas' in refused
    kubectl("apply", "--server-side", "--force-conflicts", "-f", manifest(replicas=2))
    found = managers(kubectl, "deployment/web")
    assert ("kubectl-client-side-apply", "Update") not in found
    assert "f:replicas" in found["kubectl", "Apply"]["f:spec"]
    assert '"replicas": 2' in kubectl("apply", "view-last-applied", "deployment/web", "-o", "json")
    kubectl("apply", "-f", manifest(replicas=1))
    assert kubectl("get", "deployment/web", "-o", "jsonpath={.spec.replicas}") == "1"


def test_python_clients_apply(hollow_cluster, namespace):
    """The kubernetes client's dynamic client and lightkube."""
    program = """
        import sys
        from kubernetes import client, config, dynamic
        ns = sys.argv[1]
        config.load_kube_config()
        resource = dynamic.DynamicClient(client.ApiClient()).resources.get(api_version="v1", kind="ConfigMap")
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}, "data": {"a": "1"}}
        resource.server_side_apply(body=body, namespace=ns, field_manager="dynamic")
        try:
            resource.server_side_apply(body={**body, "data": {"a": "2"}}, namespace=ns, field_manager="other")
        except dynamic.exceptions.ConflictError as error:
            print("conflict", "dynamic" in str(error.body) and ".data.a" in str(error.body))
        import lightkube
        from lightkube.models.meta_v1 import ObjectMeta
        from lightkube.resources.core_v1 import ConfigMap
        light = lightkube.Client(namespace=ns, field_manager="light")
        light.apply(ConfigMap(metadata=ObjectMeta(name="one"), data={"b": "1"}))
        owners = [entry.manager for entry in light.get(ConfigMap, "one").metadata.managedFields]
        print("owners", sorted(owners))
    """
    output = hollow_cluster.run(
        sys.executable, "-W", "ignore", "-c", textwrap.dedent(program), namespace, timeout=120
    ).stdout  # fmt: skip
    assert "conflict True" in output
    assert "owners ['dynamic', 'light']" in output
