"""Which policy a namespace has, who is asked, who is refused and who only warned."""

import marshmallow
import pytest
from structlog.testing import capture_logs

from windlass.admission.pod_security.admission import Exemptions, PodSecurity, Policy
from windlass.admission.pod_security.plugin import PodSecuritySchema, build
from windlass.errors import ForbiddenError, InvalidError
from windlass.plugin.interfaces.admission import AdmissionRequest
from windlass.plugin.interfaces.authn import UserInfo

HOST = {"spec": {"hostNetwork": True, "containers": [{"name": "main"}]}}
REFUSAL = 'pods "x" is forbidden: violates PodSecurity "baseline:v1.30": host namespaces (hostNetwork=true)'


def labels(**levels):
    return {f"pod-security.kubernetes.io/{mode.replace('_', '-')}": level for mode, level in levels.items()}


class Reader:
    def __init__(self, namespace_labels, pods=()):
        self.labels, self.pods = namespace_labels, pods

    def get(self, resource, namespace, name):
        assert (resource, namespace, name) == ("namespaces", "", "ns")
        return {"metadata": {"name": "ns", "labels": self.labels}}

    def list(self, resource, namespace=""):
        assert (resource, namespace) == ("pods", "ns")
        return self.pods


def validate(
    obj, namespace_labels, *, what=("", "pods"), operation="CREATE", subresource="", old=None, pods=(), plugin=None
):
    reader = Reader(namespace_labels, pods)
    namespace, name = ("", "ns") if what == ("", "namespaces") else ("ns", "x")
    request = AdmissionRequest(
        operation, what[0], "v1", "", what[1], subresource, namespace, name, obj, old, UserInfo("u", ()), False, reader, []
    )
    plugin = plugin or PodSecurity()
    plugin.admit(request)
    plugin.validate(request)
    return request.warnings


def test_a_pod_below_its_namespaces_level_is_refused_with_the_rules_name():
    """N68."""
    with pytest.raises(ForbiddenError) as refused:
        validate(HOST, labels(enforce="baseline", enforce_version="v1.30"))
    assert str(refused.value) == REFUSAL


def test_a_namespace_that_says_nothing_lets_everything_run():
    assert validate(HOST, {}) == []


def test_warnings_do_not_refuse():
    assert validate(HOST, labels(warn="baseline")) == [
        'would violate PodSecurity "baseline:latest": host namespaces (hostNetwork=true)'
    ]


def test_audit_is_logged():
    with capture_logs() as logs:
        assert validate(HOST, labels(audit="baseline")) == []
    (record,) = logs
    assert record["event"] == "pod_security_audit"
    assert record["violations"] == "host namespaces (hostNetwork=true)"


@pytest.mark.parametrize(
    ("resource", "obj"),
    [
        (("apps", "deployments"), {"spec": {"template": HOST}}),
        (("batch", "cronjobs"), {"spec": {"jobTemplate": {"spec": {"template": HOST}}}}),
        (("", "podtemplates"), {"template": HOST}),
    ],
)
def test_templates_are_warned_of_and_never_refused(resource, obj):
    found = validate(obj, labels(enforce="baseline", warn="baseline"), what=resource)
    assert found == ['would violate PodSecurity "baseline:latest": host namespaces (hostNetwork=true)']


def test_what_cannot_change_the_verdict_is_not_asked_again():
    strict = labels(enforce="baseline")
    assert validate(HOST, strict, operation="UPDATE", old=HOST) == []
    assert validate(HOST, strict, operation="UPDATE", old=HOST, subresource="status") == []
    with pytest.raises(ForbiddenError):
        validate(HOST, strict, operation="UPDATE", old=HOST, subresource="ephemeralcontainers")


@pytest.mark.parametrize(
    ("labelled", "words"),
    [
        (labels(enforce="strict"), "must be one of privileged, baseline, restricted"),
        (labels(warn_version="1.30"), 'must be "latest" or "v1.x"'),
    ],
)
def test_labels_that_name_no_level_are_refused(labelled, words):
    (key,) = labelled
    with pytest.raises(InvalidError) as refused:
        validate({"metadata": {"labels": labelled}}, {}, what=("", "namespaces"))
    assert f"metadata.labels[{key}]: Invalid value" in str(refused.value)
    assert words in str(refused.value)
    assert [cause.field for cause in refused.value.details.causes] == [f"metadata.labels[{key}]"]


def test_a_label_that_stood_there_before_means_the_strictest_level():
    with pytest.raises(ForbiddenError, match="restricted:latest"):
        validate({"spec": {"containers": [{"name": "main"}]}}, labels(enforce="strict"))


def test_a_namespaces_new_level_names_the_pods_that_break_it():
    new = {"metadata": {"labels": labels(enforce="baseline")}}
    pods = [{"metadata": {"name": f"p{n}"}, **HOST} for n in range(12)] + [
        {"metadata": {"name": "good"}, "spec": {"containers": [{"name": "main"}]}}
    ]
    found = validate(new, {}, what=("", "namespaces"), operation="UPDATE", old={"metadata": {}}, pods=pods)
    assert found[0] == 'existing pods in namespace "ns" violate the new PodSecurity enforce level "baseline:latest"'
    assert found[1] == "p0: host namespaces (hostNetwork=true)"
    assert found[-1] == "and 2 more pods"
    assert validate(new, {}, what=("", "namespaces"), operation="UPDATE", old=new, pods=pods) == []


def test_the_configuration_says_what_holds_where_namespaces_say_nothing():
    config = PodSecuritySchema().load({"enforce": "baseline", "exempt_namespaces": ["kube-system"]})
    plugin = build(config)
    with pytest.raises(ForbiddenError, match="baseline:latest"):
        validate(HOST, {}, plugin=plugin)
    assert validate(HOST, labels(enforce="privileged"), plugin=plugin) == []
    with pytest.raises(marshmallow.ValidationError):
        PodSecuritySchema().load({"enforce": "strict"})


@pytest.mark.parametrize(
    "exemptions",
    [
        Exemptions(namespaces=frozenset({"ns"})),
        Exemptions(usernames=frozenset({"u"})),
        Exemptions(runtime_classes=frozenset({"vm"})),
    ],
)
def test_exemptions(exemptions):
    pod = {"spec": {**HOST["spec"], "runtimeClassName": "vm"}}
    plugin = PodSecurity({"enforce": Policy("restricted")}, exemptions)
    assert validate(pod, {}, plugin=plugin) == []
