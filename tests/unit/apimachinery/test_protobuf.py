"""Protobuf bodies as kubectl's typed commands send them (captured shapes, built here by a small encoder)."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.apimachinery.protobuf import decode_object
from windlass.apimachinery.protobuf.decode import _messages
from windlass.apimachinery.protobuf.wire import read_varint, signed
from windlass.errors import BadRequestError


def varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while True:
        value, low = value >> 7, value & 0x7F
        out.append(low | (0x80 if value else 0))
        if not value:
            return bytes(out)


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def message(*fields):
    return b"".join(field(number, value) for number, value in fields)


def envelope(api_version, kind, raw):
    types = message((1, api_version), (2, kind))
    return b"k8s\x00" + message((1, types), (2, raw), (3, ""), (4, ""))


def metadata(name, **labels):
    pairs = [(11, message((1, key), (2, value))) for key, value in labels.items()]
    # An unset creationTimestamp is always sent, as an empty message.
    return message((1, name), (2, ""), (8, b""), *pairs)


def test_a_config_map():
    data = message((1, metadata("c", app="web")), (2, message((1, "k"), (2, "v"))), (3, message((1, "b"), (2, b"\xff"))), (4, 0))
    assert decode_object(envelope("v1", "ConfigMap", data)) == {
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "labels": {"app": "web"}},
        "data": {"k": "v"}, "binaryData": {"b": base64.b64encode(b"\xff").decode()}, "immutable": False,
    }


def test_nested_lists_quantities_and_inlined_parts():
    quantity = message((1, "100m"))
    resources = message((1, message((1, "cpu"), (2, quantity))))
    container = message((1, "main"), (2, "busybox"), (3, "sh"), (3, "-c"), (8, resources))
    volume = message((1, "tmp"), (2, message((2, b""))))
    spec = message((1, volume), (2, container), (4, 0))
    pod = decode_object(envelope("v1", "Pod", message((1, metadata("p")), (2, spec))))
    assert pod["spec"]["containers"] == [
        {"name": "main", "image": "busybox", "command": ["sh", "-c"], "resources": {"limits": {"cpu": "100m"}}}
    ]
    assert pod["spec"]["volumes"] == [{"name": "tmp", "emptyDir": {}}]
    assert pod["spec"]["terminationGracePeriodSeconds"] == 0


@pytest.mark.parametrize(
    ("target", "expected"),
    [((0, 8080, ""), {"targetPort": 8080}), ((1, 0, "http"), {"targetPort": "http"}), ((0, 0, ""), {})],
)
def test_int_or_string_and_an_unset_target_port(target, expected):
    port = message((2, "TCP"), (3, 80), (4, message((1, target[0]), (2, target[1]), (3, target[2]))))
    service = decode_object(envelope("v1", "Service", message((1, metadata("s")), (2, message((1, port))))))
    assert service["spec"]["ports"] == [{"protocol": "TCP", "port": 80, **expected}]


def test_times_and_grouped_kinds():
    spec = message((1, "me"), (2, 40), (4, message((1, 1_700_000_000), (2, 123_456_000))))
    lease = decode_object(envelope("coordination.k8s.io/v1", "Lease", message((1, metadata("l")), (2, spec))))
    assert lease["spec"]["renewTime"] == "2023-11-14T22:13:20.123456Z"
    options = decode_object(envelope("v1", "DeleteOptions", message((1, 0), (4, "Foreground"))))
    assert (options["gracePeriodSeconds"], options["propagationPolicy"]) == (0, "Foreground")


def test_negative_numbers():
    assert signed(read_varint(varint(-5), 0)[0]) == -5


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"{}", "magic"),
        (b"k8s\x00" + b"\x0a\xff", "cut off|does not end"),
        (envelope("example.com/v1", "Thing", b""), "no protobuf form of example.com/v1 Thing"),
        (envelope("v1", "ConfigMap", field(1, 7)), "must have a length"),
        (envelope("v1", "ConfigMap", field(1, field(1, b"\xff"))), "not UTF-8"),
        (envelope("v1", "ConfigMap", b"\x0b"), "wire type"),
    ],
)
def test_what_is_wrong_is_named(body, expected):
    with pytest.raises(BadRequestError, match=expected):
        decode_object(body)


@given(st.binary(max_size=300))
def test_random_bytes_are_refused_or_read_and_nothing_else(raw):
    """A31: no input ends in anything but an object or a 400."""
    for kind in ("Pod", "Deployment", "DeleteOptions"):
        try:
            assert isinstance(decode_object(envelope("apps/v1" if kind == "Deployment" else "v1", kind, raw)), dict)
        except BadRequestError:
            continue


def test_every_message_that_a_field_names_is_known():
    table = _messages()
    named = {code.lstrip("[{") for fields in table.values() for _, code in fields.values()}
    assert {name for name in named if "." in name} <= set(table)
