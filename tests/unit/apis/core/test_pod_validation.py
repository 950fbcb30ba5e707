import pytest

PORT = "must be between 1 and 65535, inclusive"

CONTAINER_RULES = [
    ({"image": ""}, "spec.containers[0].image: Required value"),
    (
        {"image": " busybox"},
        'spec.containers[0].image: Invalid value: " busybox": must not have leading or trailing whitespace',
    ),
    ({"name": ""}, "spec.containers[0].name: Required value"),
    (
        {"restartPolicy": "Always"},
        "spec.containers[0].restartPolicy: Forbidden: may not be set for non-init containers",
    ),
    ({"ports": [{"containerPort": 0}]}, "spec.containers[0].ports[0].containerPort: Required value"),
    ({"ports": [{"containerPort": 70000}]}, f"spec.containers[0].ports[0].containerPort: Invalid value: 70000: {PORT}"),
    (
        {"ports": [{"containerPort": 80, "hostPort": -1}]},
        f"spec.containers[0].ports[0].hostPort: Invalid value: -1: {PORT}",
    ),
    (
        {"ports": [{"containerPort": 80, "name": "a"}, {"containerPort": 81, "name": "a"}]},
        'spec.containers[0].ports[1].name: Duplicate value: "a"',
    ),
    (
        {"ports": [{"containerPort": 80, "hostPort": 80}, {"containerPort": 81, "hostPort": 80}]},
        'spec.containers[0].ports[1].hostPort: Duplicate value: "TCP//80"',
    ),
    ({"env": [{"name": ""}]}, "spec.containers[0].env[0].name: Required value"),
    (
        {"env": [{"name": "A", "valueFrom": {}}]},
        (
            'spec.containers[0].env[0].valueFrom: Invalid value: "": must specify one of: `fieldRef`, '
            "`resourceFieldRef`, "
            "`configMapKeyRef` or `secretKeyRef`"
        ),
    ),
    (
        {"env": [{"name": "A", "value": "1", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]},
        'spec.containers[0].env[0].valueFrom: Invalid value: "": may not be specified when `value` is not empty',
    ),
    (
        {
            "env": [
                {
                    "name": "A",
                    "valueFrom": {
                        "secretKeyRef": {"name": "s", "key": "k"},
                        "fieldRef": {"fieldPath": "metadata.name"},
                    },
                }
            ]
        },
        'spec.containers[0].env[0].valueFrom: Invalid value: "": may not have more than one field specified at a time',
    ),
    (
        {"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"key": "k"}}}]},
        "spec.containers[0].env[0].valueFrom.configMapKeyRef.name: Required value",
    ),
    (
        {"envFrom": [{}]},
        'spec.containers[0].envFrom[0]: Invalid value: "": must specify one of: `configMapRef` or `secretRef`',
    ),
    ({"envFrom": [{"secretRef": {}}]}, "spec.containers[0].envFrom[0].secretRef.name: Required value"),
    (
        {"resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "500m"}}},
        'spec.containers[0].resources.requests: Invalid value: "1": must be less than or equal to cpu limit of 500m',
    ),
    (
        {"resources": {"limits": {"memory": "-1"}, "requests": {"memory": "0"}}},
        'spec.containers[0].resources.limits[memory]: Invalid value: "-1": must be greater than or equal to 0',
    ),
    (
        {"resources": {"limits": {"example.com/gpu": "1500m"}, "requests": {"example.com/gpu": "1"}}},
        'spec.containers[0].resources.limits[example.com/gpu]: Invalid value: "1500m": must be an integer',
    ),
    (
        {"resources": {"requests": {"example.com/gpu": "1"}}},
        "spec.containers[0].resources.limits: Required value: Limit must be set for non overcommitable resources",
    ),
    (
        {"resources": {"requests": {"example.com/gpu": "1"}, "limits": {"example.com/gpu": "2"}}},
        'spec.containers[0].resources.requests: Invalid value: "1": must be equal to example.com/gpu limit of 2',
    ),
    (
        {"resources": {"limits": {"hugepages-2Mi": "4Mi"}}},
        "spec.containers[0].resources: Forbidden: HugePages require cpu or memory",
    ),
    ({"resources": {"claims": [{"name": "gpu"}]}}, 'spec.containers[0].resources.claims[0]: Not found: "gpu"'),
    ({"livenessProbe": {}}, "spec.containers[0].livenessProbe: Required value: must specify a handler type"),
    (
        {"livenessProbe": {"exec": {"command": ["a"]}, "tcpSocket": {"port": 1}}},
        "spec.containers[0].livenessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type",
    ),
    (
        {"livenessProbe": {"exec": {"command": ["a"]}, "successThreshold": 2}},
        "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1",
    ),
    (
        {"readinessProbe": {"httpGet": {"port": 0}}},
        f"spec.containers[0].readinessProbe.httpGet.port: Invalid value: 0: {PORT}",
    ),
    (
        {"readinessProbe": {"exec": {"command": ["a"]}, "terminationGracePeriodSeconds": 3}},
        (
            "spec.containers[0].readinessProbe.terminationGracePeriodSeconds: Forbidden: must not be "
            "set for readinessProbes"
        ),
    ),
    (
        {"lifecycle": {"preStop": {}}},
        "spec.containers[0].lifecycle.preStop: Required value: must specify a handler type",
    ),
    (
        {"lifecycle": {"preStop": {"sleep": {"seconds": 31}}}},
        (
            "spec.containers[0].lifecycle.preStop.sleep.seconds: Invalid value: 31: must be greater "
            "than 0 and less than "
            "terminationGracePeriodSeconds (30)"
        ),
    ),
    (
        {"volumeMounts": [{"name": "data", "mountPath": "/data"}]},
        'spec.containers[0].volumeMounts[0].name: Not found: "data"',
    ),
    (
        {"securityContext": {"runAsUser": -1}},
        "spec.containers[0].securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive",
    ),
    (
        {"securityContext": {"seccompProfile": {"type": "Localhost"}}},
        (
            "spec.containers[0].securityContext.seccompProfile.localhostProfile: Required value: "
            "must be set when seccomp type is Localhost"
        ),
    ),
]


@pytest.mark.parametrize(("container", "expected"), CONTAINER_RULES)
def test_rules_of_containers(problems, container, expected):
    assert problems(container=container) == [expected]


WEB = {"name": "web", "image": "busybox"}
AREA = "topology.kubernetes.io/zone"
SPREAD = {"maxSkew": 1, "topologyKey": AREA, "whenUnsatisfiable": "DoNotSchedule"}
POD_RULES = [
    ({"containers": []}, "spec.containers: Required value"),
    ({"containers": [WEB, WEB]}, 'spec.containers[1].name: Duplicate value: "web"'),
    ({"initContainers": [WEB]}, 'spec.initContainers[0].name: Duplicate value: "web"'),
    (
        {"initContainers": [{"name": "a", "image": "b", "readinessProbe": {"tcpSocket": {"port": 1}}}]},
        (
            "spec.initContainers[0].readinessProbe: Forbidden: may not be set for init containers "
            "without restartPolicy=Always"
        ),
    ),
    (
        {"initContainers": [{"name": "a", "image": "b", "restartPolicy": "Never"}]},
        'spec.initContainers[0].restartPolicy: Unsupported value: "Never": supported values: "Always"',
    ),
    (
        {"volumes": [{"name": "a", "emptyDir": {}}, {"name": "a", "emptyDir": {}}]},
        'spec.volumes[1].name: Duplicate value: "a"',
    ),
    (
        {"volumes": [{"name": "a", "emptyDir": {}, "hostPath": {"path": "/x"}}]},
        "spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type",
    ),
    (
        {"volumes": [{"name": "a", "hostPath": {"path": "/x/../y"}}]},
        "spec.volumes[0].hostPath.path: Invalid value: \"/x/../y\": must not contain '..'",
    ),
    ({"volumes": [{"name": "a", "configMap": {}}]}, "spec.volumes[0].configMap.name: Required value"),
    (
        {"volumes": [{"name": "a", "secret": {"secretName": "s", "defaultMode": 512}}]},
        (
            "spec.volumes[0].secret.defaultMode: Invalid value: 512: must be a number between 0 and "
            "0777 (octal), both inclusive"
        ),
    ),
    (
        {"volumes": [{"name": "a", "configMap": {"name": "c", "items": [{"key": "k", "path": "/etc"}]}}]},
        'spec.volumes[0].configMap.items[0].path: Invalid value: "/etc": must be a relative path',
    ),
    (
        {"volumes": [{"name": "a", "nfs": {"server": "s", "path": "x"}}]},
        'spec.volumes[0].nfs.path: Invalid value: "x": must be an absolute path',
    ),
    (
        {"volumes": [{"name": "a", "projected": {"sources": [{}]}}]},
        "spec.volumes[0].projected.sources[0]: Required value: must specify a projection type",
    ),
    (
        {
            "volumes": [
                {
                    "name": "a",
                    "projected": {"sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 5}}]},
                }
            ]
        },
        (
            "spec.volumes[0].projected.sources[0].serviceAccountToken.expirationSeconds: Invalid value: 5: "
            "may not specify a duration less than 10 minutes"
        ),
    ),
    (
        {"volumes": [{"name": "a", "downwardAPI": {"items": [{"path": "f"}]}}]},
        "spec.volumes[0].downwardAPI.items[0]: Required value: one of fieldRef and resourceFieldRef is required",
    ),
    (
        {"volumes": [{"name": "a", "persistentVolumeClaim": {"claimName": ""}}]},
        "spec.volumes[0].persistentVolumeClaim.claimName: Required value",
    ),
    (
        {"activeDeadlineSeconds": 0},
        "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive",
    ),
    ({"dnsPolicy": "None"}, "spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"),
    (
        {"dnsConfig": {"nameservers": ["x"]}},
        (
            'spec.dnsConfig.nameservers[0]: Invalid value: "x": must be a valid IP address, (e.g. '
            "10.9.8.7 or 2001:db8::ffff)"
        ),
    ),
    ({"imagePullSecrets": [{}]}, "spec.imagePullSecrets[0].name: Required value"),
    (
        {"hostPID": True, "shareProcessNamespace": True},
        (
            "spec.securityContext.shareProcessNamespace: Invalid value: true: "
            "ShareProcessNamespace and HostPID cannot both be enabled"
        ),
    ),
    ({"hostUsers": False, "hostIPC": True}, "spec.hostIPC: Forbidden: when `hostUsers` is false"),
    ({"schedulingGates": [{"name": "a"}, {"name": "a"}]}, 'spec.schedulingGates[1]: Duplicate value: "a"'),
    (
        {"schedulingGates": [{"name": "a"}], "nodeName": "n1"},
        "spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared",
    ),
    (
        {"tolerations": [{"key": "a", "tolerationSeconds": 3}]},
        "spec.tolerations[0].effect: Invalid value: \"\": effect must be 'NoExecute' when `tolerationSeconds` is set",
    ),
    (
        {"tolerations": [{"value": "x"}]},
        (
            'spec.tolerations[0].operator: Invalid value: "": operator must be Exists when `key` is empty, which means '
            '"match all values and all keys"'
        ),
    ),
    (
        {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}}},
        (
            "spec.affinity.nodeAffinity."
            "requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms: Required value: "
            "must have at least one node selector term"
        ),
    ),
    (
        {
            "affinity": {
                "nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 0, "preference": {}}]}
            }
        },
        (
            "spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: Invalid value: 0: "
            "must be in the range 1-100"
        ),
    ),
    (
        {"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": ""}]}}},
        (
            "spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Required value: "
            "can not be empty"
        ),
    ),
    (
        {"topologySpreadConstraints": [{**SPREAD, "maxSkew": 0}]},
        "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero",
    ),
    (
        {"topologySpreadConstraints": [SPREAD, SPREAD]},
        (
            "spec.topologySpreadConstraints[1].{topologyKey, whenUnsatisfiable}: Duplicate value: "
            f'"{{{AREA}, DoNotSchedule}}"'
        ),
    ),
]


@pytest.mark.parametrize(("spec", "expected"), POD_RULES)
def test_rules_of_pods(problems, spec, expected):
    assert problems(spec) == [expected]


@pytest.mark.parametrize("operator", ["Gt", "Lt"])
def test_comparing_operators_take_one_value(problems, operator):
    term = {"matchExpressions": [{"key": "cores", "operator": operator, "values": ["1", "2"]}]}
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    found = problems({"affinity": {"nodeAffinity": {required: {"nodeSelectorTerms": [term]}}}})
    assert found == [
        (
            f"spec.affinity.nodeAffinity.{required}.nodeSelectorTerms[0].matchExpressions[0].values: Required value: "
            "must be specified single value when `operator` is 'Lt' or 'Gt'"
        )
    ]


@pytest.mark.parametrize("privileges", [{"privileged": True}, {"capabilities": {"add": ["SYS_ADMIN"]}}])
def test_privileges_that_contradict_each_other(problems, privileges):
    found = problems(container={"securityContext": {"allowPrivilegeEscalation": False, **privileges}})
    assert len(found) == 1
    assert "cannot set `allowPrivilegeEscalation` to false" in found[0]


def test_mounts_of_one_path_clash(problems):
    mounts = [{"name": "a", "mountPath": "/x"}, {"name": "a", "mountPath": "/x"}]
    assert problems({"volumes": [{"name": "a"}]}, {"volumeMounts": mounts}) == [
        'spec.containers[0].volumeMounts[1].mountPath: Invalid value: "/x": must be unique'
    ]


def test_sub_paths_stay_inside(problems):
    """A mount's subPath must not lead out of its volume."""
    mount = {"name": "a", "mountPath": "/x", "subPath": "../etc"}
    assert problems({"volumes": [{"name": "a"}]}, {"volumeMounts": [mount]}) == [
        "spec.containers[0].volumeMounts[0].subPath: Invalid value: \"../etc\": must not contain '..'"
    ]


def test_an_ordinary_pod_is_fine(problems):
    spec = {
        "volumes": [{"name": "a"}, {"name": "b", "configMap": {"name": "c"}}],
        "tolerations": [{"operator": "Exists"}],
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "initContainers": [{"name": "side", "image": "x", "restartPolicy": "Always"}],
    }
    container = {
        "volumeMounts": [{"name": "a", "mountPath": "/a"}],
        "ports": [{"containerPort": 80, "name": "http"}],
        "env": [
            {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "APP", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
        ],
        "resources": {"limits": {"cpu": "1", "memory": "64Mi"}},
        "livenessProbe": {"httpGet": {"port": "http"}},
    }
    assert problems(spec, container) == []
