import pytest

from windlass.apimachinery.decode import decode
from windlass.apis.core.v1.pod import KINDS
from windlass.apis.core.v1.pod_defaults import default_pull_policy
from windlass.apis.core.v1.pod_template import KINDS as TEMPLATE_KINDS
from windlass.apis.core.v1.qos import qos_class


def test_constant_defaults_of_a_pod(make_pod):
    spec = make_pod()["spec"]
    assert {key: spec[key] for key in spec if key != "containers"} == {
        "dnsPolicy": "ClusterFirst",
        "restartPolicy": "Always",
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "terminationGracePeriodSeconds": 30,
        "enableServiceLinks": True,
    }
    assert spec["containers"] == [
        {
            "name": "web",
            "image": "busybox:1.36",
            "imagePullPolicy": "IfNotPresent",
            "resources": {},
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File",
        }
    ]


def test_an_init_container_gets_its_termination_message_policy(make_pod):
    """C020: defaults are filled in whatever brought the container."""
    pod = make_pod({"initContainers": [{"name": "init", "image": "x"}]})
    assert pod["spec"]["initContainers"][0]["terminationMessagePolicy"] == "File"


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("busybox", "Always"),
        ("busybox:latest", "Always"),
        ("busybox:1", "IfNotPresent"),
        ("registry:5000/busybox", "Always"),
        ("registry:5000/busybox:2", "IfNotPresent"),
        ("busybox@sha256:" + "0" * 64, "IfNotPresent"),
        ("busybox:latest@sha256:" + "0" * 64, "IfNotPresent"),
    ],
)
def test_pull_policy_follows_the_tag(image, policy):
    assert default_pull_policy(image) == policy


def test_probe_defaults(make_pod):
    pod = make_pod(container={"livenessProbe": {"httpGet": {"port": 80}}})
    assert pod["spec"]["containers"][0]["livenessProbe"] == {
        "httpGet": {"port": 80, "path": "/", "scheme": "HTTP"},
        "failureThreshold": 3,
        "periodSeconds": 10,
        "successThreshold": 1,
        "timeoutSeconds": 1,
    }


def test_requests_come_from_limits_but_own_ones_stay(make_pod):
    pod = make_pod(container={"resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "250m"}}})
    assert pod["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "250m", "memory": "1Gi"}


def test_ports_on_the_hosts_network_are_host_ports(make_pod):
    pod = make_pod({"hostNetwork": True}, {"ports": [{"containerPort": 80}]})
    assert pod["spec"]["containers"][0]["ports"] == [{"containerPort": 80, "hostPort": 80, "protocol": "TCP"}]


@pytest.mark.parametrize(
    ("volume", "expected"),
    [
        ({}, {"emptyDir": {}}),
        ({"configMap": {"name": "c"}}, {"configMap": {"name": "c", "defaultMode": 420}}),
        ({"secret": {"secretName": "s"}}, {"secret": {"secretName": "s", "defaultMode": 420}}),
        ({"hostPath": {"path": "/x"}}, {"hostPath": {"path": "/x", "type": ""}}),
        ({"image": {"reference": "busybox"}}, {"image": {"reference": "busybox", "pullPolicy": "Always"}}),
        (
            {"projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}},
            {
                "projected": {
                    "defaultMode": 420,
                    "sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 3600}}],
                }
            },
        ),
    ],
)
def test_volume_defaults(make_pod, volume, expected):
    pod = make_pod({"volumes": [{"name": "v", **volume}]})
    assert pod["spec"]["volumes"] == [{"name": "v", **expected}]


@pytest.mark.parametrize("field", ["serviceAccountName", "serviceAccount"])
def test_both_names_of_the_service_account_agree(make_pod, field):
    spec = make_pod({field: "robot"})["spec"]
    assert (spec["serviceAccountName"], spec["serviceAccount"]) == ("robot", "robot")


def test_a_negative_grace_period_becomes_one_second(make_pod):
    assert make_pod({"terminationGracePeriodSeconds": -5})["spec"]["terminationGracePeriodSeconds"] == 1


def test_a_new_pod_is_pending_whatever_the_client_says():
    pod = decode(KINDS[0].schema, {"spec": {"containers": [{"name": "a"}]}, "status": {"phase": "Running"}}).obj
    KINDS[0].strategy.prepare_for_create(pod)
    KINDS[0].strategy.default(pod)
    assert pod["status"] == {"phase": "Pending", "qosClass": "BestEffort"}


def test_a_gated_pod_says_so(make_pod):
    pod = make_pod({"schedulingGates": [{"name": "wait"}]})
    assert pod["status"]["conditions"][0]["reason"] == "SchedulingGated"


def test_addresses_agree_with_their_lists(make_pod):
    pod = make_pod(status={"podIP": "10.0.0.1", "hostIPs": [{"ip": "192.168.0.1"}]})
    KINDS[0].strategy.default(pod)
    assert pod["status"]["podIPs"] == [{"ip": "10.0.0.1"}]
    assert pod["status"]["hostIP"] == "192.168.0.1"


def test_defaults_are_stable(make_pod):
    pod = make_pod({"hostNetwork": True, "volumes": [{"name": "v"}]}, {"resources": {"limits": {"cpu": "1"}}})
    again = decode(KINDS[0].schema, pod).obj
    KINDS[0].strategy.default(again)
    assert again == pod


def test_templates_get_no_requests_and_no_service_links():
    """Kubernetes fills these into pods only; a template must stay as it was written."""
    kind = TEMPLATE_KINDS[0]
    container = {"name": "a", "image": "b", "resources": {"limits": {"cpu": "1"}}}
    obj = decode(kind.schema, {"template": {"spec": {"containers": [container]}}}).obj
    kind.strategy.default(obj)
    assert "enableServiceLinks" not in obj["template"]["spec"]
    assert obj["template"]["spec"]["containers"][0]["resources"] == {"limits": {"cpu": "1"}}
    assert obj["template"]["spec"]["containers"][0]["imagePullPolicy"] == "Always"


def resources(requests=None, limits=None):
    return {"resources": {"requests": requests or {}, "limits": limits or {}}}


BOTH = {"cpu": "1", "memory": "1Gi"}


@pytest.mark.parametrize(
    ("containers", "expected"),
    [
        ([{}], "BestEffort"),
        ([resources(limits={"ephemeral-storage": "1Gi"})], "BestEffort"),
        ([resources(requests={"cpu": "0"})], "BestEffort"),
        ([resources(requests=BOTH, limits=BOTH)], "Guaranteed"),
        ([resources(limits=BOTH)], "Guaranteed"),
        ([resources(requests={"cpu": "1000m", "memory": "1024Mi"}, limits=BOTH)], "Guaranteed"),
        ([resources(requests={"cpu": "500m"}, limits=BOTH)], "Burstable"),
        ([resources(limits={"cpu": "1"})], "Burstable"),
        ([resources(limits=BOTH), {}], "Burstable"),
    ],
)
def test_quality_of_service(containers, expected):
    assert qos_class({"containers": containers}) == expected
