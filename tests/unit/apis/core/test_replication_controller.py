import pytest

TEMPLATE = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}


@pytest.fixture
def controllers(served):
    return served("v1", "ReplicationController")


def test_selector_and_labels_come_from_the_template(controllers):
    made = controllers.create(spec={"template": TEMPLATE})
    assert made["spec"]["selector"] == made["metadata"]["labels"] == {"app": "web"}
    assert (made["spec"]["replicas"], made["status"]) == (1, {"replicas": 0})
    own = controllers.create(spec={"template": TEMPLATE, "selector": {"app": "db"}}, metadata={"labels": {"x": "y"}})
    assert (own["spec"]["selector"], own["metadata"]["labels"]) == ({"app": "db"}, {"x": "y"})


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({}, "spec.template: Required value"),
        ({"template": {"spec": TEMPLATE["spec"]}}, "spec.selector: Required value"),
        (
            {"template": TEMPLATE, "selector": {"app": "db"}},
            'spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template `labels`',
        ),
        ({"template": TEMPLATE, "replicas": -1}, "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
        (
            {"template": {**TEMPLATE, "spec": {**TEMPLATE["spec"], "restartPolicy": "Never"}}},
            'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"',
        ),
        (
            {"template": {**TEMPLATE, "spec": {**TEMPLATE["spec"], "activeDeadlineSeconds": 5}}},
            "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ReplicationController is not Supported",
        ),
    ],
)
def test_what_is_refused(controllers, spec, problem):
    assert problem in controllers.problems(spec=spec)


def test_the_selector_may_change_and_is_shown(controllers):
    old = controllers.create(spec={"template": TEMPLATE})
    other = {**TEMPLATE, "metadata": {"labels": {"app": "db"}}}
    assert controllers.update_problems(old, spec={"template": other, "selector": {"app": "db"}}) == []
    assert controllers.row(old, wide=True) == {
        "Name": "x", "Desired": 1, "Current": 0, "Ready": 0, "Age": "60m",
        "Containers": "c", "Images": "i", "Selector": "app=web",
    }  # fmt: skip
