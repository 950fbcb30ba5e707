import copy

import pytest

LABELS = {"app": "web"}
TEMPLATE = {"metadata": {"labels": LABELS}, "spec": {"containers": [{"name": "web", "image": "busybox:1.36"}]}}
SPEC = {"selector": {"matchLabels": LABELS}, "template": TEMPLATE}


@pytest.fixture
def deployments(served):
    return served("apps/v1", "Deployment")


@pytest.fixture(params=["Deployment", "ReplicaSet"])
def workload(served, request):
    return served("apps/v1", request.param)


def spec(**fields):
    return {**copy.deepcopy(SPEC), **fields}


def with_template(**fields):
    return spec(template={**TEMPLATE, "spec": {**TEMPLATE["spec"], **fields}})


def test_defaults_of_a_deployment(deployments):
    made = deployments.create(spec=spec())["spec"]
    assert {key: made[key] for key in made if key not in ("selector", "template")} == {
        "replicas": 1,
        "revisionHistoryLimit": 10,
        "progressDeadlineSeconds": 600,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
    }
    pod_spec = made["template"]["spec"]
    assert (pod_spec["restartPolicy"], pod_spec["terminationGracePeriodSeconds"]) == ("Always", 30)
    assert pod_spec["containers"][0]["imagePullPolicy"] == "IfNotPresent"


def test_partial_bounds_are_completed_and_recreate_has_none(deployments):
    strategy = deployments.create(spec=spec(strategy={"rollingUpdate": {"maxSurge": 3}}))["spec"]["strategy"]
    assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 3, "maxUnavailable": "25%"}}
    recreate = deployments.create(spec=spec(strategy={"type": "Recreate"}))["spec"]["strategy"]
    assert recreate == {"type": "Recreate"}


def test_a_workload_begins_without_pods_whatever_it_claims(workload):
    made = workload.create(spec=spec(), status={"replicas": 9, "readyReplicas": 9})
    assert not (made.get("status") or {}).get("replicas")
    assert workload.strategy.has_generation


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        ({"selector": None}, "spec.selector: Required value"),
        ({"selector": {}}, "spec.selector: Invalid value: {}: empty selector is invalid for deployment"),
        (
            {"selector": {"matchLabels": {"app": "db"}}},
            ('spec.template.metadata.labels: Invalid value: {"app":"web"}: '
            "`selector` does not match template `labels`"),
        ),
        (
            {"selector": {"matchExpressions": [{"key": "app", "operator": "Near"}]}},
            "spec.selector.matchExpressions[0].operator",
        ),
        ({"selector": {"matchLabels": {"a b": "c"}}}, "spec.selector.matchLabels"),
        ({"replicas": -1}, "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
        ({"minReadySeconds": -1}, "spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0"),
    ],
)
def test_rules_of_both(workload, bad, problem):
    found = workload.problems(spec=spec(**bad))
    assert len(found) == 1
    assert found[0].startswith(problem)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        (
            {"restartPolicy": "Never"},
            'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"',
        ),
        (
            {"activeDeadlineSeconds": 5},
            "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ReplicaSet is not Supported",
        ),
        ({"containers": [{"image": "a"}]}, "spec.template.spec.containers[0].name: Required value"),
    ],
)
def test_templates_make_pods_that_can_be_kept_running(workload, fields, problem):
    assert problem in workload.problems(spec=with_template(**fields))


@pytest.mark.parametrize(
    ("bounds", "problem"),
    [
        ({"maxSurge": 0, "maxUnavailable": 0}, "maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0"),
        ({"maxSurge": 0, "maxUnavailable": "0%"}, 'maxUnavailable: Invalid value: "0%": may not be 0 when `maxSurge`'),
        ({"maxUnavailable": "101%"}, 'maxUnavailable: Invalid value: "101%": must not be greater than 100%'),
        ({"maxSurge": "a%"}, 'maxSurge: Invalid value: "a%": a valid percent string must be a numeric string'),
        ({"maxSurge": -1}, "maxSurge: Invalid value: -1: must be greater than or equal to 0"),
    ],
)
def test_bounds_of_a_rolling_update(deployments, bounds, problem):
    (found,) = deployments.problems(spec=spec(strategy={"rollingUpdate": bounds}))
    assert found.startswith(f"spec.strategy.rollingUpdate.{problem}")


@pytest.mark.parametrize("bounds", [{"maxSurge": "250%"}, {"maxSurge": 0, "maxUnavailable": "100%"}, {"maxSurge": "0%"}])
def test_bounds_that_are_fine(deployments, bounds):
    assert deployments.problems(spec=spec(strategy={"rollingUpdate": bounds})) == []


def test_recreate_takes_no_bounds(deployments):
    assert deployments.problems(spec=spec(strategy={"type": "Recreate", "rollingUpdate": {"maxSurge": 1}})) == [
        "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'"
    ]


def test_a_deadline_outlasts_the_time_to_become_available(deployments):
    assert deployments.problems(spec=spec(minReadySeconds=600)) == [
        "spec.progressDeadlineSeconds: Invalid value: 600: must be greater than minReadySeconds"
    ]


def test_the_selector_stays(workload):
    old = workload.create(spec=spec())
    labels = {"app": "web", "tier": "a"}
    moved = spec(selector={"matchLabels": labels}, template={**TEMPLATE, "metadata": {"labels": labels}})
    assert workload.update_problems(old, spec=moved) == [
        'spec.selector: Invalid value: {"matchLabels":{"app":"web","tier":"a"}}: field is immutable'
    ]
    assert workload.update_problems(old, spec=spec(replicas=5)) == []


def test_an_update_keeps_the_status(workload):
    old = workload.create(spec=spec())
    old["status"] = {"replicas": 3}
    assert workload.update(old, spec=spec(), status={"replicas": 7})["status"] == {"replicas": 3}


def test_fields_that_nothing_obeys_are_warned_of(workload):
    made = workload.create(spec=with_template(resourceClaims=[{"name": "c"}]))
    assert any("spec.template.spec.resourceClaims" in text for text in workload.strategy.warnings(made))


def test_a_replicaset_of_a_deployment_does_not_repeat_the_warnings(served):
    replicasets = served("apps/v1", "ReplicaSet")
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "a", "uid": "1", "controller": True}
    made = replicasets.create(spec=with_template(resourceClaims=[{"name": "c"}]),
                              metadata={"ownerReferences": [owner]})  # fmt: skip
    assert replicasets.strategy.warnings(made) == []


def test_scale_reads_and_writes_the_usual_places(workload):
    """C107."""
    paths = workload.strategy.scale
    assert (paths.spec_replicas, paths.status_replicas, paths.selector) == (
        "spec.replicas", "status.replicas", "spec.selector",
    )  # fmt: skip
    assert workload.kind.subresources == ("status", "scale")


def test_columns_of_a_deployment(deployments):
    made = deployments.create(spec=spec(replicas=3))
    made["status"] = {"replicas": 3, "readyReplicas": 2, "updatedReplicas": 3, "availableReplicas": 1}
    assert deployments.row(made, wide=True) == {
        "Name": "x", "Ready": "2/3", "Up-to-date": 3, "Available": 1, "Age": "60m",
        "Containers": "web", "Images": "busybox:1.36", "Selector": "app=web",
    }  # fmt: skip
    assert (deployments.kind.short_names, deployments.kind.categories) == (("deploy",), ("all",))


def test_columns_of_a_replicaset(served):
    replicasets = served("apps/v1", "ReplicaSet")
    made = replicasets.create(spec=spec(replicas=3))
    assert replicasets.row(made) == {"Name": "x", "Desired": 3, "Current": 0, "Ready": 0, "Age": "60m"}
    assert replicasets.strategy.selectable_fields(made) == {"status.replicas": "0"}


def test_a_controller_revision_keeps_its_data(served):
    """C094, as far as the API goes."""
    revisions = served("apps/v1", "ControllerRevision")
    owner = {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "uid": "1", "controller": True}
    made = revisions.create(data={"spec": {"a": 1}}, revision=3, metadata={"ownerReferences": [owner]})
    assert revisions.row(made) == {"Name": "x", "Controller": "daemonset.apps/d", "Revision": 3, "Age": "60m"}
    assert revisions.row(revisions.create(data={}, revision=1))["Controller"] == "<none>"
    assert revisions.update_problems(made, data={"spec": {"a": 1}}, revision=4) == []
    assert revisions.update_problems(made, data={"spec": {}}, revision=4) == [
        'data: Invalid value: {"spec":{}}: field is immutable'
    ]
    assert revisions.problems(revision=-1) == [
        "data: Required value: data is mandatory",
        "revision: Invalid value: -1: must be greater than or equal to 0",
    ]


def test_claim_templates_are_volumes_of_the_pods(served):
    """Their names are checked, the pods may mount them, and a namesake of the template gives way to them."""
    sets = served("apps/v1", "StatefulSet")
    container = {"name": "c", "image": "i", "volumeMounts": [{"name": "data", "mountPath": "/v"}]}
    claim = {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}

    def problems(*templates, **pod):
        template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [container], **pod}}
        spec = {"serviceName": "s", "selector": {"matchLabels": {"a": "b"}}, "template": template,
                "volumeClaimTemplates": list(templates)}  # fmt: skip
        return sets.problems(spec=spec)

    assert problems(claim) == problems(claim, volumes=[{"name": "data", "emptyDir": {}}]) == []
    path = "spec.template.spec.containers[0].volumeMounts[0].name"
    assert problems() == [f'{path}: Not found: "data"']
    found = problems(claim, claim, {**claim, "metadata": {"name": "A b"}})
    assert [line.split(": ")[0] for line in found] == [
        "spec.template.spec.volumes[1].name",
        "spec.volumeClaimTemplates[1].metadata.name",
        "spec.volumeClaimTemplates[2].metadata.name",
    ]


def test_a_stateful_set_warns_of_its_claims_as_a_pod_with_claims_does(served):
    """As long as nobody mounts them; then neither warns."""
    container, labels = {"name": "c", "image": "i"}, {"a": "b"}
    claimed = {"containers": [container], "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "c"}}]}
    pods, sets = served("v1", "Pod"), served("apps/v1", "StatefulSet")
    spec = {
        "serviceName": "s", "selector": {"matchLabels": labels}, "volumeClaimTemplates": [{"metadata": {"name": "data"}}],
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
    }  # fmt: skip
    warned = sets.strategy.warnings(sets.create(spec=spec))
    assert [text.removeprefix("spec.template.") for text in warned] == pods.strategy.warnings(pods.create(spec=claimed))
