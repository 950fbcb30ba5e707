import pytest


@pytest.fixture
def ranges(served):
    return served("v1", "LimitRange")


def item(kind="Container", **more):
    return {"limits": [{"type": kind, **more}]}


def test_defaults_follow_from_the_bounds(ranges):
    """C308."""
    made = ranges.create(spec=item(max={"cpu": "2", "memory": "1Gi"}, default={"cpu": "1"}, min={"example.com/a": "1"}))
    (found,) = made["spec"]["limits"]
    assert found["default"] == {"cpu": "1", "memory": "1Gi"}
    assert found["defaultRequest"] == {"cpu": "1", "memory": "1Gi", "example.com/a": "1"}


def test_pods_have_no_defaults(ranges):
    made = ranges.create(spec=item("Pod", max={"cpu": "2"}))
    assert "default" not in made["spec"]["limits"][0]
    words = "Forbidden: may not be specified when `type` is 'Pod'"
    assert ranges.problems(spec=item("Pod", default={"cpu": "2"})) == [f"spec.limits[0].default: {words}"]


@pytest.mark.parametrize(
    ("spec", "field", "words"),
    [
        (item(min={"cpu": "2"}, max={"cpu": "1"}), "min[cpu]", "min value 2 is greater than max value 1"),
        (
            item(defaultRequest={"cpu": "2"}, default={"cpu": "1"}),
            "defaultRequest[cpu]",
            "default request value 2 is greater than default limit value 1",
        ),
        (item(default={"cpu": "2"}, max={"cpu": "1"}, defaultRequest={"cpu": "1"}), "default[cpu]",
         "default value 2 is greater than max value 1"),
        (item(maxLimitRequestRatio={"cpu": "500m"}), "maxLimitRequestRatio[cpu]", "ratio 500m is less than 1"),
        (
            item("Pod", maxLimitRequestRatio={"memory": "3"}, min={"memory": "1Gi"}, max={"memory": "2Gi"}),
            "maxLimitRequestRatio[memory]",
            "ratio 3 is greater than max/min = 2.000000",
        ),
        (item(max={"pods": "1"}), "max[pods]", "must be a standard resource for containers"),
    ],
)  # fmt: skip
def test_contradictions_are_named(ranges, spec, field, words):
    found = ranges.problems(spec=spec)
    assert any(line.startswith(f"spec.limits[0].{field}: ") and line.endswith(words) for line in found), found


def test_a_claim_needs_a_bound_and_no_type_stands_twice(ranges):
    assert ranges.problems(spec=item("PersistentVolumeClaim")) == [
        "spec.limits[0].limits: Required value: either minimum or maximum storage value is required, but neither was provided"
    ]
    twice = {"limits": [{"type": "Container"}, {"type": "Container"}]}
    assert ranges.problems(spec=twice) == ['spec.limits[1].type: Duplicate value: "Container"']
    (unknown,) = ranges.problems(spec=item("Node"))
    assert "must be a standard limit type or fully qualified" in unknown
