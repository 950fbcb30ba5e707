from datetime import UTC, datetime

from windlass.apimachinery.decode import decode
from windlass.apis.core.v1.pod_template import KINDS
from windlass.apis.core.v1.pod_validation import validate_pod_template

KIND = KINDS[0]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
CONTAINERS = [{"name": "a", "image": "x:1"}, {"name": "b", "image": "y:2", "securityContext": {"seLinuxOptions": {"level": "s0"}}}]


def make(spec=None, labels=None):
    template = {"metadata": {"labels": labels or {}}, "spec": {"containers": CONTAINERS, **(spec or {})}}
    obj = decode(KIND.schema, {"metadata": {"name": "t"}, "template": template}).obj
    KIND.strategy.default(obj)
    return obj


def test_columns():
    cells = [column.value(make(labels={"b": "2", "a": "1"}), NOW) for column in KIND.strategy.columns]
    assert cells == ["a,b", "x:1,y:2", "a=1,b=2"]
    assert KIND.strategy.columns[2].value(make(), NOW) == "<none>"


def test_paths_start_at_the_template():
    found = KIND.strategy.validate(make({"activeDeadlineSeconds": 0}))
    assert [error.field for error in found] == ["template.spec.activeDeadlineSeconds"]
    assert KIND.strategy.warnings(make())[0].startswith("template.spec.containers[1].securityContext.seLinuxOptions: ")


def test_templates_hold_no_ephemeral_containers():
    template = {"spec": {"containers": CONTAINERS[:1], "ephemeralContainers": [{"name": "e", "image": "x"}]}}
    found = validate_pod_template(template, "spec.template")
    assert [(error.field, error.reason) for error in found] == [
        ("spec.template.spec.ephemeralContainers", "FieldValueForbidden")
    ]


def test_labels_of_a_template_are_checked():
    template = {"metadata": {"labels": {"a b": "c"}}, "spec": {"containers": CONTAINERS[:1]}}
    assert [error.field for error in validate_pod_template(template, "spec.template")] == [
        "spec.template.metadata.labels"
    ]


def test_a_template_without_spec_lacks_containers():
    assert [error.field for error in validate_pod_template(None, "spec.template")] == ["spec.template.spec.containers"]
