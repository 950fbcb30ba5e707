import pytest

from windlass.apis.policy.v1 import covers, disruption_condition


@pytest.fixture
def budgets(served):
    return served("policy/v1", "PodDisruptionBudget")


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        (
            {"minAvailable": 1, "maxUnavailable": 1},
            'spec: Invalid value: {"minAvailable":1,"maxUnavailable":1}: minAvailable and maxUnavailable cannot be both set',
        ),
        ({"minAvailable": -1}, "spec.minAvailable: Invalid value: -1: must be greater than or equal to 0"),
        ({"maxUnavailable": "101%"}, 'spec.maxUnavailable: Invalid value: "101%": must not be greater than 100%'),
        (
            {"minAvailable": "half"},
            (
                'spec.minAvailable: Invalid value: "half": a valid percent string must be a numeric string followed by an '
                "ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"
            ),
        ),
        (
            {"unhealthyPodEvictionPolicy": "Never"},
            'spec.unhealthyPodEvictionPolicy: Unsupported value: "Never": supported values: "AlwaysAllow", "IfHealthyBudget"',
        ),
    ],
)
def test_what_is_refused(budgets, spec, problem):
    assert budgets.problems(spec=spec) == [problem]


@pytest.mark.parametrize("spec", [{}, {"minAvailable": "100%"}, {"maxUnavailable": 0}, {"minAvailable": 3}])
def test_what_is_taken(budgets, spec):
    assert budgets.problems(spec=spec) == []


def test_it_begins_by_allowing_nothing_and_is_shown(budgets):
    made = budgets.create(spec={"minAvailable": "50%"}, status={"disruptionsAllowed": 9})
    assert set(made["status"].values()) == {0}
    assert budgets.row(made) == {
        "Name": "x", "Min Available": "50%", "Max Unavailable": "N/A", "Allowed Disruptions": 0, "Age": "60m",
    }  # fmt: skip


def test_negative_counts_are_refused(budgets):
    problems = budgets.strategy.validate({"spec": {}, "status": {"disruptionsAllowed": -1}})
    assert [error.field for error in problems] == ["status.disruptionsAllowed"]


def test_which_pods_it_covers():
    pod = {"metadata": {"namespace": "a", "labels": {"x": "y"}}}
    def budget(selector, namespace="a"):
        return {"metadata": {"namespace": namespace}, "spec": {} if selector is None else {"selector": selector}}
    assert covers(budget({}), pod)
    assert covers(budget({"matchLabels": {"x": "y"}}), pod)
    assert not covers(budget(None), pod)
    assert not covers(budget({}, "b"), pod)


def test_the_condition_keeps_its_time_while_nothing_changes():
    first = disruption_condition({"disruptionsAllowed": 1}, 1, "2026-01-01T00:00:00Z")
    assert (first[0]["status"], first[0]["reason"]) == ("True", "SufficientPods")
    again = disruption_condition({"disruptionsAllowed": 2, "conditions": first}, 2, "2026-01-02T00:00:00Z")
    assert (again[0]["lastTransitionTime"], again[0]["observedGeneration"]) == ("2026-01-01T00:00:00Z", 2)
    none = disruption_condition({"disruptionsAllowed": 0, "conditions": again}, 2, "2026-01-03T00:00:00Z")
    assert (none[0]["reason"], none[0]["lastTransitionTime"]) == ("InsufficientPods", "2026-01-03T00:00:00Z")
