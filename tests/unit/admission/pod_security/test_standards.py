"""The Pod Security Standards, control by control, in the words that users of Kubernetes know."""

import pytest

from windlass.admission.pod_security.standards import LEVELS, RULES, violations

SAFE = {
    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    "containers": [
        {"name": "main", "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}}
    ],
}
PLAIN = {"containers": [{"name": "main"}]}


def pod(**spec):
    return {"containers": [{"name": "main"}], **spec}


def container(**fields):
    return pod(containers=[{"name": "main", **fields}])


def secured(**context):
    return container(securityContext=context)


BASELINE = [
    (pod(hostNetwork=True, hostPID=True), "host namespaces (hostNetwork=true, hostPID=true)"),
    (pod(hostIPC=True), "host namespaces (hostIPC=true)"),
    (
        secured(privileged=True),
        'privileged (container "main" must not set securityContext.privileged=true)',
    ),
    (
        secured(capabilities={"add": ["SYS_ADMIN", "CHOWN", "NET_ADMIN"]}),
        ('non-default capabilities (container "main" must not include "NET_ADMIN", "SYS_ADMIN" in '
        "securityContext.capabilities.add)"),
    ),
    (pod(volumes=[{"name": "sock", "hostPath": {"path": "/run/docker.sock"}}]), 'hostPath volumes (volume "sock")'),
    (
        container(ports=[{"containerPort": 80, "hostPort": 80}, {"containerPort": 90, "hostPort": 8080}]),
        'hostPort (container "main" uses hostPorts 80, 8080)',
    ),
    (
        secured(appArmorProfile={"type": "Unconfined"}),
        'forbidden AppArmor profile (container "main" must not set AppArmor profile type to "Unconfined")',
    ),
    (
        secured(seLinuxOptions={"type": "spc_t", "user": "root"}),
        'seLinuxOptions (container "main" set forbidden securityContext.seLinuxOptions: type "spc_t"; user may not be set)',
    ),
    (
        secured(procMount="Unmasked"),
        'procMount (container "main" must not set securityContext.procMount to "Unmasked")',
    ),
    (
        pod(securityContext={"seccompProfile": {"type": "Unconfined"}}),
        'seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")',
    ),
    (pod(securityContext={"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}), "forbidden sysctls (kernel.msgmax)"),
    (
        pod(securityContext={"windowsOptions": {"hostProcess": True}}),
        "hostProcess (pod must not set securityContext.windowsOptions.hostProcess=true)",
    ),
]
RESTRICTED = [
    (
        {**SAFE, "volumes": [{"name": "a", "nfs": {}}, {"name": "b", "emptyDir": {}}]},
        'restricted volume types (volume "a" uses restricted volume type "nfs")',
    ),
    (
        {**SAFE, "securityContext": {**SAFE["securityContext"], "runAsUser": 0}},
        "runAsUser=0 (pod must not set runAsUser=0)",
    ),
    (
        {**SAFE, "securityContext": {**SAFE["securityContext"], "runAsNonRoot": False}},
        "runAsNonRoot != true (pod must not set securityContext.runAsNonRoot=false)",
    ),
    (
        {**SAFE, "initContainers": [{"name": "a"}, {"name": "b"}]},
        ('allowPrivilegeEscalation != false (containers "a", "b" must set '
        "securityContext.allowPrivilegeEscalation=false), unrestricted capabilities "
        '(containers "a", "b" must set securityContext.capabilities.drop=["ALL"])'),
    ),
]


@pytest.mark.parametrize(("spec", "words"), BASELINE, ids=lambda value: value if isinstance(value, str) else "")
def test_baseline_refuses(spec, words):
    """N68."""
    assert violations(spec, {}, "baseline") == [words]
    assert violations(spec, {}, "privileged") == []


@pytest.mark.parametrize(("spec", "words"), RESTRICTED, ids=lambda value: value if isinstance(value, str) else "")
def test_restricted_refuses(spec, words):
    """N68."""
    assert ", ".join(violations(spec, {}, "restricted")) == words


def test_a_pod_that_says_nothing_is_baseline_and_not_restricted():
    assert violations(PLAIN, {}, "baseline") == []
    assert violations(PLAIN, {}, "restricted") == [
        'allowPrivilegeEscalation != false (container "main" must set securityContext.allowPrivilegeEscalation=false)',
        'unrestricted capabilities (container "main" must set securityContext.capabilities.drop=["ALL"])',
        'runAsNonRoot != true (pod or container "main" must set securityContext.runAsNonRoot=true)',
        ('seccompProfile (pod or container "main" must set securityContext.seccompProfile.type to "RuntimeDefault" or '
        '"Localhost")'),
    ]


def test_a_pod_that_keeps_all_of_it_passes_every_level():
    assert [violations(SAFE, {}, level) for level in LEVELS] == [[], [], []]


def test_what_containers_say_stands_in_for_what_the_pod_does_not():
    context = {
        **SAFE["containers"][0]["securityContext"],
        "runAsNonRoot": True,
        "seccompProfile": {"type": "Localhost", "localhostProfile": "a.json"},
    }
    assert violations(secured(**context), {}, "restricted") == []


def test_an_annotation_counts_as_the_field_it_became():
    key = "container.apparmor.security.beta.kubernetes.io/main"
    assert violations(PLAIN, {key: "localhost/mine"}, "baseline") == []
    assert violations(PLAIN, {key: "unconfined"}, "baseline") == [
        f'forbidden AppArmor profile (annotation {key}="unconfined")'
    ]


def test_the_stricter_rule_speaks_once_for_the_laxer_one():
    spec = {**SAFE, "volumes": [{"name": "host", "hostPath": {"path": "/"}}]}
    assert violations(spec, {}, "restricted") == [
        'restricted volume types (volume "host" uses restricted volume type "hostPath")'
    ]
    assert {rule.instead_of for rule in RULES if rule.instead_of} <= {rule.name for rule in RULES}


@pytest.mark.parametrize("sort", ["initContainers", "ephemeralContainers"])
def test_no_sort_of_container_is_overlooked(sort):
    spec = pod(**{sort: [{"name": "side", "securityContext": {"privileged": True}}]})
    assert violations(spec, {}, "baseline") == [
        'privileged (container "side" must not set securityContext.privileged=true)'
    ]
