import pytest

from windlass.apis.events.v1 import from_storage, to_storage

OLD = {
    "involvedObject": {"kind": "Pod", "name": "web", "namespace": "default", "fieldPath": "spec.containers{web}"},
    "type": "Warning",
    "reason": "BackOff",
    "message": "restarting \n",
    "source": {"component": "hostagent", "host": "node-1"},
    "firstTimestamp": "2026-01-01T10:00:00Z",
    "lastTimestamp": "2026-01-01T11:59:30Z",
    "count": 4,
}
NEW = {
    "regarding": {"kind": "Pod", "name": "web", "namespace": "default"},
    "eventTime": "2026-01-01T11:59:00.123456Z",
    "note": "hello",
    "action": "Do",
    "reason": "Test",
    "type": "Normal",
    "reportingController": "test-controller",
    "reportingInstance": "test-node",
}


@pytest.fixture
def core(served):
    return served("v1", "Event")


@pytest.fixture
def newer(served):
    return served("events.k8s.io/v1", "Event")


def test_columns_have_no_name_in_front(core):
    made = core.create(**OLD)
    assert list(core.row(made).items()) == [
        ("Last Seen", "30s"), ("Type", "Warning"), ("Reason", "BackOff"), ("Object", "pod/web"), ("Message", "restarting"),
    ]  # fmt: skip
    wide = core.row(made, wide=True)
    assert (wide["Subobject"], wide["Source"]) == ("spec.containers{web}", "hostagent, node-1")
    assert (wide["First Seen"], wide["Count"], wide["Name"]) == ("120m", 4, "x")


def test_both_groups_print_the_same_row(core, newer):
    assert newer.row(newer.create(**NEW), wide=True) == core.row(to_storage(newer.create(**NEW)), wide=True)


def test_both_groups_share_one_place_in_the_store(core, newer):
    assert core.kind.key("default", "x") == newer.kind.key("default", "x") == "core/events/default/x"


def test_a_converted_event_comes_back_the_same(newer, core):
    made = newer.create(**NEW)
    assert from_storage(to_storage(made)) == made
    old = core.create(**OLD)
    assert to_storage(from_storage(old)) == old
    assert from_storage(old)["deprecatedSource"] == OLD["source"]
    assert from_storage(old)["note"] == OLD["message"]


def test_old_events_live_where_their_object_does(core):
    assert core.problems(**OLD) == []
    elsewhere = {**OLD, "involvedObject": {"kind": "Pod", "name": "web", "namespace": "other"}}
    assert core.problems(**elsewhere) == [
        'involvedObject.namespace: Invalid value: "other": does not match event.namespace'
    ]


@pytest.mark.parametrize(
    ("event_time", "namespace", "fits"),
    [
        (None, "default", True),
        (None, "kube-system", False),
        (NEW["eventTime"], "kube-system", True),
        (NEW["eventTime"], "other", False),
    ],
)
def test_events_of_cluster_objects_live_in_system_namespaces(core, event_time, namespace, fits):
    extra = {"eventTime": event_time, "reportingComponent": "a", "reportingInstance": "b", "action": "c"}
    fields = {**OLD, **extra, "involvedObject": {"kind": "Node", "name": "n"}, "metadata": {"namespace": namespace}}
    assert (core.problems(**fields) == []) is fits


def test_a_core_event_of_the_newer_form_says_who_reports(core):
    found = core.problems(involvedObject={"namespace": "default"}, eventTime=NEW["eventTime"], reason="x" * 129)
    assert found == [
        "reportingComponent: Required value",
        "reportingInstance: Required value",
        "action: Required value",
        'reason: Invalid value: "": can have at most 128 characters',
    ]


def test_a_newer_event_is_complete(newer):
    """C176."""
    assert newer.problems(**NEW) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"eventTime": None}, "eventTime: Required value"),
        ({"type": "Odd"}, 'type: Invalid value: "": has invalid value: Odd'),
        ({"reportingController": None}, "reportingController: Required value"),
        ({"reportingController": "a b"}, 'reportingController: Invalid value: "a b": name part must consist of'),
        ({"note": "x" * 1025}, 'note: Invalid value: "": can have at most 1024 characters'),
        ({"deprecatedCount": 3}, 'deprecatedCount: Invalid value: "": needs to be unset'),
        ({"deprecatedSource": {"host": "n"}}, 'deprecatedSource: Invalid value: "": needs to be unset'),
        (
            {"series": {"count": 1, "lastObservedTime": NEW["eventTime"]}},
            'series.count: Invalid value: "": should be at least 2',
        ),
    ],
)
def test_what_a_newer_event_lacks_is_named_in_its_own_words(newer, change, problem):
    found = newer.problems(**{**NEW, **change})
    assert len(found) == 1
    assert found[0].startswith(problem)


def test_a_newer_event_gets_a_series_and_a_note_but_no_other_story(newer):
    """C176."""
    old = newer.create(**NEW)
    series = {"count": 100, "lastObservedTime": "2026-01-01T11:59:50.000000Z"}
    assert newer.update_problems(old, **{**NEW, "series": series, "note": "patched"}) == []
    assert newer.update_problems(old, **{**NEW, "action": "Undo"}) == [
        'action: Invalid value: "Undo": field is immutable'
    ]


def test_an_old_event_can_be_relabelled_through_the_newer_group(core, newer):
    old = from_storage(core.create(**OLD))
    body = {key: value for key, value in old.items() if key not in ("apiVersion", "kind", "metadata")}
    assert newer.update_problems(old, metadata={"labels": {"a": "b"}}, **body) == []


def test_selection(core, newer):
    fields = core.strategy.selectable_fields(core.create(**OLD))
    assert fields["involvedObject.name"] == "web"
    assert (fields["reason"], fields["type"], fields["source"]) == ("BackOff", "Warning", "hostagent")
    made = newer.create(**NEW)
    assert newer.strategy.selectable_fields(made)["regarding.name"] == "web"
    assert newer.strategy.selectable_fields(made)["reportingController"] == "test-controller"
    assert core.strategy.selectable_fields(to_storage(made))["source"] == "test-controller"
