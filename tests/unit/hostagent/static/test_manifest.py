"""Static pods from files: what is read, and what is refused with the file's name."""

import json

import pytest

from windlass.errors import ConfigError
from windlass_hostagent.static.manifest import HASH, is_mirror, is_static, read_manifest

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web", "labels": {"app": "web"}},
    "spec": {"containers": [{"name": "main", "image": "busybox:local"}]},
}


def read(pod=POD, name="web.json", node="n1", **spec):
    content = json.dumps({**pod, "spec": {**pod["spec"], **spec}}).encode()
    return read_manifest(name, content, node)


def test_the_pod_is_bound_named_after_its_node_and_defaulted():
    pod = read()
    assert pod["metadata"]["name"] == "web-n1"
    assert pod["metadata"]["namespace"] == "default"
    assert pod["spec"]["nodeName"] == "n1"
    assert pod["spec"]["restartPolicy"] == "Always"
    assert {"operator": "Exists", "effect": "NoExecute"} in pod["spec"]["tolerations"]
    assert is_static(pod)
    assert not is_mirror(pod)


def test_the_uid_depends_on_content_file_and_node():
    assert read()["metadata"]["uid"] == read()["metadata"]["uid"]
    others = [read(name="other.json"), read(node="n2"), read(restartPolicy="Never")]
    assert len({p["metadata"]["uid"] for p in [read(), *others]}) == 4
    assert read()["metadata"]["annotations"][HASH] == read()["metadata"]["uid"].replace("-", "")


def test_yaml_reads_the_same():
    text = b"""
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers: [{name: main, image: 'busybox:local'}]
"""
    assert read_manifest("web.yaml", text, "n1")["metadata"]["name"] == "web-n1"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "web.json"),
        (b"[]", "web.json"),
        (b'{"apiVersion": "v1", "kind": "Service"}', "one v1 Pod"),
        (json.dumps({**POD, "spec": {"containers": [], "colour": 1}}).encode(), 'unknown field "spec.colour"'),
        (json.dumps({**POD, "spec": {"containers": []}}).encode(), "spec.containers"),
        (json.dumps({**POD, "metadata": {"name": "Web_"}}).encode(), "metadata.name"),
        (json.dumps({**POD, "metadata": {"name": "w", "namespace": "a/b"}}).encode(), "metadata.namespace"),
    ],
)
def test_what_is_no_pod_is_refused(content, said):
    with pytest.raises(ConfigError, match=r"static pod web\.json") as refusal:
        read_manifest("web.json", content, "n1")
    assert said in str(refusal.value)


@pytest.mark.parametrize(
    "spec",
    [
        {"volumes": [{"name": "v", "configMap": {"name": "c"}}]},
        {"volumes": [{"name": "v", "secret": {"secretName": "s"}}]},
        {"serviceAccountName": "robot"},
        {"containers": [{"name": "m", "image": "i", "envFrom": [{"configMapRef": {"name": "c"}}]}]},
        {
            "containers": [
                {
                    "name": "m",
                    "image": "i",
                    "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
                }
            ]
        },
    ],
)
def test_objects_of_the_api_are_out_of_reach(spec):
    with pytest.raises(ConfigError, match="a static pod cannot"):
        read(**spec)
