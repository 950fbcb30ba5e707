"""Names, field checks, durations, metadata, Status, tables, logs."""

import json
import logging
from datetime import UTC, datetime

import pytest
import structlog

from windlass import errors, logs
from windlass.apimachinery import checks, durations, field_errors, meta, names, status, table
from windlass.apimachinery.scheme import Column, KindDefinition, Strategy
from windlass.errors import ErrorDetails, FieldError

NOW = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        (
            names.is_dns1123_label,
            ["a", "a-1", "0", "a" * 63],
            ["", "A", "-a", "a-", "a.b", "a_b", "a" * 64, "ä", "a\n", "a%2Fb"],
        ),
        (
            names.is_dns1123_subdomain,
            ["a.b-c.1", "a" * 253],
            ["", ".a", "a..b", "A.b", "a" * 254, "a/b", "..", "a\x00"],
        ),
        (names.is_dns1035_label, ["a", "a-1"], ["1a", "", "A", "a-"]),
        (
            names.is_qualified_name,
            ["a", "A_b.c", "example.com/x"],
            ["", "/x", "a/", "a/b/c", "-a", "Ex.com/a", "a" * 64],
        ),
        (names.is_label_value, ["", "a", "A_1.b"], ["-a", "a b", "a" * 64, "a\n"]),
        (names.is_env_var_name, ["A", "a.b-c", "1A", "A B"], ["", "A=B", "Ä", "A\n"]),
        (names.is_config_key, ["a.b", "A_b-c", ".x"], ["", ".", "..", "..a", "a/b", "a" * 254]),
        (names.is_port_name, ["http", "a-1"], ["", "1", "a--b", "-a", "a-", "a" * 16, "HTTP", "a_b"]),
        (names.is_path_segment, ["a", "a..b"], [".", "..", "a/b", "a%b"]),
        (names.is_ip_address, ["10.0.0.1", "::1"], ["", "10.0.0", "1.2.3.4/8", "fe80::1%eth0", "01.2.3.4"]),
        (names.is_cidr, ["10.0.0.0/8", "10.1.2.3/8", "fd00::/64"], ["10.0.0.0", "10.0.0.0/33", "x/8", "10.0.0.0/٨"]),
        (names.is_c_identifier, ["_a1"], ["1a", "a-b", ""]),
        (names.is_wildcard_dns1123_subdomain, ["*.example.com"], ["*", "*.", "a.*.b", "example.com"]),
        (names.is_port_number, [1, 65535], [0, 65536, -1]),
    ],
)
def test_name_rules(rule, good, bad):
    """A39: what is no name is refused, character by character."""
    assert [text for text in good if rule(text)] == []
    assert [text for text in bad if not rule(text)] == []


def test_messages_are_kubernetes():
    expected = (
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
        "and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
        r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
    )
    assert names.is_dns1123_subdomain("A") == [expected]
    assert "(e.g. 'my-name',  or '123-abc', regex" in names.is_dns1123_label("A")[0]


def test_checks_give_field_errors():
    assert checks.dns_label("", "a") == ()
    assert checks.port(0, "a.b") == [FieldError("a.b", "Invalid value: 0: must be between 1 and 65535, inclusive")]
    assert checks.port_or_name("http", "a") == []
    assert checks.port_or_name(70000, "a")
    assert checks.absolute_path("x", "p")[0].message == 'Invalid value: "x": must be an absolute path'
    assert checks.absolute_path("/x", "p") == ()
    assert checks.local_descending_path("/x", "p")
    assert checks.local_descending_path("a/../b", "p")
    assert checks.local_descending_path("a/..b", "p") == ()
    assert checks.non_negative(-1, "n")
    assert checks.positive(0, "n")
    assert checks.in_range(1, 5)(6, "n")
    assert checks.in_range(1, 5)(5, "n") == ()
    assert checks.max_bytes(3)("ää", "n")[0].reason == "FieldValueTooLong"
    assert {error.field for error in checks.labels({"-": "ok", "ok": "-"}, "l")} == {"l"}
    assert checks.annotations({"a": "x" * 300_000}, "an")[-1].reason == "FieldValueTooLong"
    assert checks.annotations({"Example.com/A": "x"}, "an") == []


def test_field_error_words():
    assert (
        field_errors.not_supported("a", "x", ["B", "A"]).message == 'Unsupported value: "x": supported values: "A", "B"'
    )
    assert field_errors.required("a", "why").message == "Required value: why"
    assert field_errors.duplicate("a", "x").message == 'Duplicate value: "x"'
    assert field_errors.forbidden("a", "no").message == "Forbidden: no"
    assert field_errors.immutable("a", 1, 1) == []
    assert field_errors.immutable("a", 2, 1)[0].message == "Invalid value: 2: field is immutable"
    assert len(field_errors.invalid("a", "x" * 5000, "d").message) < 1200


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "<invalid>"),
        (-1, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (312, "5m12s"),
        (599, "9m59s"),
        (600, "10m"),
        (10799, "179m"),
        (10800, "3h"),
        (12_000, "3h20m"),
        (8 * 3600, "8h"),
        (47 * 3600, "47h"),
        (48 * 3600, "2d"),
        (52 * 3600, "2d4h"),
        (8 * 86400, "8d"),
        (729 * 86400, "729d"),
        (730 * 86400, "2y"),
        (800 * 86400, "2y70d"),
        (9 * 365 * 86400, "9y"),
    ],
)
def test_ages(seconds, text):
    assert durations.human(seconds) == text


@pytest.mark.parametrize(
    ("text", "seconds"), [("0", 0), ("5s", 5), ("1h30m", 5400), ("300ms", 0.3), ("-1.5h", -5400), ("1us", 1e-6)]
)
def test_go_durations(text, seconds):
    assert durations.parse(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "5", "s", "1d", "1h 5m", "٣s", "1e3s", "+", "h5"])
def test_bad_durations(text):
    with pytest.raises(ValueError, match="invalid duration"):
        durations.parse(text)


def test_owners():
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "rs", "uid": "u1"}}
    pod = {
        "metadata": {"name": "p", "namespace": "ns", "ownerReferences": [{"uid": "x"}, meta.new_controller_ref(owner)]}
    }
    assert meta.get_controller_of(pod)["name"] == "rs"
    assert meta.is_controlled_by(pod, "u1")
    assert not meta.is_controlled_by(pod, "x")
    assert meta.get_controller_of({"metadata": {}}) is None
    assert (meta.key_of(pod), meta.key_of(owner), meta.is_being_deleted(pod)) == ("ns/p", "rs", False)
    assert meta.new_uid() != meta.new_uid()
    assert len(meta.random_suffix()) == 5


def test_conditions_move_only_with_their_status():
    first = meta.set_condition(None, {"type": "Ready", "status": "False"}, "t1")
    same = meta.set_condition(first, {"type": "Ready", "status": "False", "reason": "Waiting"}, "t2")
    moved = meta.set_condition([{"type": "Other", "status": "True"}, *same], {"type": "Ready", "status": "True"}, "t3")
    assert first == [{"type": "Ready", "status": "False", "lastTransitionTime": "t1"}]
    assert same[0]["lastTransitionTime"] == "t1"
    assert [item["type"] for item in moved] == ["Other", "Ready"]
    assert moved[1]["lastTransitionTime"] == "t3"
    assert meta.is_condition_true(moved, "Ready")
    assert not meta.is_condition_true(None, "Ready")
    assert meta.get_condition({"status": {"conditions": moved}}, "Other")["status"] == "True"
    assert [item["type"] for item in meta.remove_condition(moved, "Ready")] == ["Other"]


def concrete_errors():
    return [
        cls
        for cls in vars(errors).values()
        if isinstance(cls, type) and issubclass(cls, errors.ApiError) and cls is not errors.ApiError
    ]


@pytest.mark.parametrize("cls", concrete_errors())
def test_status_round_trip(cls):
    """A31: every refusal is a Status with reason and code, and reads back as the same error."""
    details = ErrorDetails(
        group="apps",
        kind="deployments",
        name="web",
        uid="u",
        retry_after_seconds=3,
        causes=(FieldError("spec", "Required value", "FieldValueRequired"),),
    )
    shown = status.to_status(cls("no", details=details, metadata={"continue": "x"}))
    back = status.from_status(json.loads(json.dumps(shown)), 418)
    assert type(back) is cls
    assert (back.message, back.details, back.metadata) == ("no", details, {"continue": "x"})
    assert (shown["code"], shown["reason"], shown["status"], shown["apiVersion"]) == (
        cls.code,
        cls.reason,
        "Failure",
        "v1",
    )


@pytest.mark.parametrize(
    ("body", "code", "cls"),
    [
        ({}, 404, errors.NotFoundError),
        ({"reason": "AlreadyExists", "code": 409}, 409, errors.AlreadyExistsError),
        ({}, 409, errors.ConflictError),
        ({"reason": "Gone"}, 410, errors.GoneError),
        ({}, 418, errors.BadRequestError),
        ({}, 599, errors.InternalServerError),
        ({"reason": "Odd", "message": "m"}, 429, errors.TooManyRequestsError),
    ],
)
def test_foreign_statuses(body, code, cls):
    assert type(status.from_status(body, code)) is cls


def test_status_builders():
    assert status.success(kind="pods", name="a")["details"] == {"name": "a", "kind": "pods"}
    one = status.invalid("Pod", "", "a", [FieldError("spec", "Required value", "FieldValueRequired")])
    assert one.message == 'Pod "a" is invalid: spec: Required value'
    two = status.invalid("Deployment", "apps", "a", [FieldError("x", "1"), FieldError("y", "2")])
    assert two.message == 'Deployment.apps "a" is invalid: [x: 1, y: 2]'
    # kubectl debug dereferences it, so it is there even when it says nothing.
    assert status.to_status(errors.NotFoundError("x"))["details"] == {}


def test_tables(gadget_kind):
    obj = {"metadata": {"name": "a", "creationTimestamp": "2024-01-02T03:00:00Z"}, "spec": {}}
    shown = table.render(gadget_kind, [obj, {"metadata": {"name": "b"}}], NOW, metadata={"resourceVersion": "5"})
    assert [column["name"] for column in shown["columnDefinitions"]] == ["Name", "Age"]
    assert [row["cells"] for row in shown["rows"]] == [["a", "4m5s"], ["b", "<unknown>"]]
    assert shown["rows"][0]["object"] == {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": obj["metadata"],
    }
    assert (shown["kind"], shown["apiVersion"], shown["metadata"]) == (
        "Table",
        "meta.k8s.io/v1",
        {"resourceVersion": "5"},
    )
    assert "object" not in table.render(gadget_kind, [obj], NOW, include_object="None")["rows"][0]
    assert table.render(gadget_kind, [obj], NOW, include_object="Object")["rows"][0]["object"] == obj


def test_own_columns_follow_the_name(gadget):
    class Wide(Strategy):
        columns = (Column("Size", lambda obj, _now: obj["spec"]["size"], type="integer", priority=1),)

    kind = KindDefinition("g", "v1", "K", "ks", "k", namespaced=False, schema=gadget, strategy=Wide())
    shown = table.render(kind, [{"metadata": {"name": "a"}, "spec": {"size": 3}}], NOW)
    assert shown["rows"][0]["cells"] == ["a", 3]
    assert shown["columnDefinitions"][1] == {
        "name": "Size",
        "type": "integer",
        "format": "",
        "description": "",
        "priority": 1,
    }


@pytest.fixture
def restored_logging():
    root = logging.getLogger()
    before = (list(root.handlers), root.level, structlog.get_config())
    yield
    root.handlers[:], level, config = before
    root.setLevel(level)
    structlog.configure(**config)


def test_logs_are_json_without_secrets(capsys, restored_logging):
    logs.configure_logging("debug", "json")
    logs.get_logger("windlass.test").info(
        "request",
        token="t0",
        user={"password": "p0", "name": "bob"},
        tries=2,
        obj={"kind": "Secret", "data": {"k": "s0"}, "metadata": {"name": "x"}},
        headers=[{"Authorization": "a0"}],
    )
    logging.getLogger("other").warning("plain %s", "text")
    first, second = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert (first["event"], first["level"], first["logger"], first["tries"]) == ("request", "info", "windlass.test", 2)
    assert first["user"]["name"] == "bob"
    assert second["event"] == "plain text"
    for secret in ("t0", "p0", "s0", "a0"):
        assert secret not in json.dumps(first)


def test_log_levels(capsys, restored_logging):
    logs.configure_logging("warning", "text")
    logs.get_logger("x").info("unseen")
    logs.get_logger("x").warning("seen", key=1)
    err = capsys.readouterr().err
    assert "seen" in err
    assert "unseen" not in err
    with pytest.raises(ValueError, match="format"):
        logs.configure_logging("loud")
