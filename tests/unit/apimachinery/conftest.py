"""A small kind that uses every sort of field."""

import sys

import pytest

from windlass.apimachinery import checks
from windlass.apimachinery.schema import (
    AnyValue,
    Bool,
    Bytes,
    Float,
    Int,
    IntOrString,
    ListOf,
    MapOf,
    MicroTime,
    Nested,
    ObjectSchema,
    Quantity,
    Str,
    Time,
)
from windlass.apimachinery.scheme import KindDefinition
from windlass.errors import FieldError


class GadgetBase(ObjectSchema):
    """Root of the example's types."""

    openapi_prefix = "com.example.v1"


class Port(GadgetBase):
    """A port."""

    name = Str("Name.", checks=(checks.port_name,))
    port = Int("Number.", required=True, minimum=1, maximum=65535)
    protocol = Str("Protocol.", default="TCP", enum=("TCP", "UDP"))
    target_port = IntOrString("Where it leads.")


class Meta(GadgetBase):
    """Metadata."""

    name = Str("Name.")
    labels = MapOf("Labels.", Str("Value."), key_checks=(checks.label_key,))
    finalizers = ListOf("Finalizers.", Str("Name."), patch_strategy="merge", list_type="set")
    creation_timestamp = Time("When.")


def _ordered(obj, path):
    if obj.get("least", 0) > obj.get("most", 100):
        return [FieldError(f"{path}.least".removeprefix("."), "Invalid value: must not exceed most")]
    return ()


class Spec(GadgetBase):
    """What is wanted."""

    object_checks = (_ordered,)

    ports = ListOf(
        "Ports.",
        Port,
        patch_strategy="merge",
        patch_merge_key="port",
        list_type="map",
        list_map_keys=("port",),
        max_items=5,
    )
    replicas = Int("How many.", default=1, minimum=0)
    least = Int("Least.", bits=64)
    most = Int("Most.", bits=64)
    ratio = Float("Ratio.")
    paused = Bool("Paused.")
    memory = Quantity("Memory.")
    limits = MapOf("Limits.", Quantity("Amount."))
    payload = Bytes("Payload.")
    renewed = MicroTime("Renewed.")
    raw = AnyValue("Anything.")
    mode = Str("Mode.", required=True, min_length=1, max_length=10)
    children = ListOf("More of the same.", Nested("A child.", lambda: Spec))
    strategy = Nested("How.", Meta, patch_strategy="retainKeys")
    arguments = ListOf("Arguments.", Str("One."))


class Gadget(GadgetBase):
    """A gadget, for tests."""

    api_version = Str("Version.")
    kind = Str("Kind.")
    metadata = Nested("Metadata.", Meta)
    spec = Nested("Spec.", Spec)


KIND = KindDefinition(
    group="example.com",
    version="v1",
    kind="Gadget",
    plural="gadgets",
    singular="gadget",
    namespaced=True,
    schema=Gadget,
    subresources=("status", "scale"),
)


@pytest.fixture
def gadget_kind():
    return KIND


@pytest.fixture
def gadget():
    return Gadget


@pytest.fixture
def spec_schema():
    return Spec


@pytest.fixture
def count_steps():
    """Count the lines of Python that a call runs: what it costs on any machine, however busy."""

    def count(call, *arguments):
        steps = 0

        def trace(_frame, event, _argument):
            nonlocal steps
            steps += event in ("line", "call")
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            call(*arguments)
        finally:
            sys.settrace(before)
        return steps

    return count
