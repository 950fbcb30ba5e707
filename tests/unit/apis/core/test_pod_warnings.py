import re

import pytest

from windlass.apimachinery.schema import ListOf, Nested
from windlass.apis.core.v1.pod import KINDS
from windlass.apis.core.v1.pod_spec import PodSpec
from windlass.apis.core.v1.pod_validation import pod_spec_warnings
from windlass.apis.core.v1.unobeyed import UNOBEYED

PROBE = {"exec": {"command": ["true"]}}


def test_what_is_obeyed_warns_of_nothing(make_pod):
    pod = make_pod(
        {
            "hostNetwork": True,
            "nodeSelector": {"a": "b"},
            "tolerations": [{"operator": "Exists"}],
            "hostname": "h",
            "nodeName": "n",
            "restartPolicy": "Never",
            "securityContext": {"runAsUser": 1},
            "activeDeadlineSeconds": 60,
            "readinessGates": [{"conditionType": "example.com/a"}],
        },
        {
            "command": ["sh"],
            "args": ["-c"],
            "workingDir": "/",
            "tty": True,
            "stdin": True,
            "env": [
                {"name": "A", "value": "1"},
                {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
                {"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            ],
            "envFrom": [{"configMapRef": {"name": "c"}}],
            "ports": [{"containerPort": 80}],
            "livenessProbe": PROBE,
            "readinessProbe": PROBE,
            "startupProbe": PROBE,
            "lifecycle": {"postStart": PROBE, "preStop": PROBE},
            "terminationMessagePath": "/tmp/message",
            "terminationMessagePolicy": "FallbackToLogsOnError",
            "resources": {"limits": {"cpu": "1"}},
            "securityContext": {
                "privileged": True,
                "capabilities": {"add": ["NET_ADMIN"]},
                "readOnlyRootFilesystem": True,
                "runAsUser": 0,
            },
        },
    )
    assert KINDS[0].strategy.warnings(pod) == []


@pytest.mark.parametrize(
    ("spec", "container", "field", "part"),
    [
        (
            {},
            {"securityContext": {"seLinuxOptions": {"level": "s0"}}},
            "spec.containers[0].securityContext.seLinuxOptions",
            "host agent",
        ),
        ({"resourceClaims": [{"name": "c"}]}, {}, "spec.resourceClaims", "host agent"),
        ({"volumes": [{"name": "v", "nfs": {"server": "s", "path": "/"}}]}, {}, "spec.volumes[0].nfs", "host agent"),
        (
            {"initContainers": [{"name": "i", "image": "x", "securityContext": {"seLinuxOptions": {"user": "u"}}}]},
            {},
            "spec.initContainers[0].securityContext.seLinuxOptions",
            "host agent",
        ),
    ],
)
def test_what_is_not_obeyed_is_named(make_pod, spec, container, field, part):
    assert KINDS[0].strategy.warnings(make_pod(spec, container)) == [
        f"{field}: accepted but not obeyed by this version of the {part}"
    ]


@pytest.mark.parametrize("entry", UNOBEYED, ids=lambda entry: entry.path)
def test_every_line_of_the_table_names_a_declared_field(entry):
    schema = PodSpec
    for step in re.sub(r"\[\*\]", "", entry.path).split("."):
        field = schema.wire_fields()[step]
        schema = field.nested_schema if isinstance(field, Nested) else field.item if isinstance(field, ListOf) else None


def test_deprecations_and_likely_mistakes():
    spec = {
        "nodeSelector": {"beta.kubernetes.io/os": "linux"},
        "containers": [{"name": "a", "env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}],
    }
    assert pod_spec_warnings(spec, "spec.template.spec") == [
        (
            "spec.template.spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "
            '"kubernetes.io/os" instead'
        ),
        (
            'spec.template.spec.containers[0].env[1]: hides previous definition of "A", which may be '
            "dropped when using apply"
        ),
    ]
