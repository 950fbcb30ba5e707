"""Environments: sources, references, `$(VAR)`."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass_hostagent.pods.env import EnvContext, EnvError, Source, build_env, expand, sources

POD = {
    "metadata": {"name": "web", "namespace": "default", "uid": "u1", "labels": {"app": "x"}, "annotations": {}},
    "spec": {"nodeName": "n1", "serviceAccountName": "sa", "containers": []},
}
CONFIG = {("ConfigMap", "cm"): {"data": {"a": "1", "b": "2"}}}
SECRET = {("Secret", "s"): {"data": {"key": base64.b64encode(b"hidden").decode()}}}


def context(**options):
    return EnvContext(
        POD, {**CONFIG, **SECRET}, ("10.0.0.5",), ("192.0.2.1",), {"cpu": "4", "memory": "8Gi"}, **options
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$(A)", "1"),
        ("x$(A)y$(B)", "x1y2"),
        ("$(NOPE)", "$(NOPE)"),
        ("$$(A)", "$(A)"),
        ("$A", "$A"),
        ("$(A", "$(A"),
        ("cost $", "cost $"),
    ],
)
def test_expansion(text, expected):
    """C301, C302."""
    assert expand(text, {"A": "1", "B": "2"}) == expected


@given(st.text(alphabet="abc() "))
def test_text_without_a_dollar_is_left_alone(text):
    assert expand(text, {"a": "b"}) == text


def test_a_later_variable_refers_to_an_earlier_one():
    env = [{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)2$(C)"}, {"name": "C", "value": "3"}]
    assert build_env({"env": env}, context()) == {"A": "1", "B": "12$(C)", "C": "3"}


def test_whole_objects_with_and_without_prefix_and_env_wins():
    """C221, C289."""
    container = {
        "envFrom": [{"configMapRef": {"name": "cm"}}, {"prefix": "S_", "secretRef": {"name": "s"}}],
        "env": [{"name": "a", "value": "own"}],
    }
    assert build_env(container, context()) == {"a": "own", "b": "2", "S_key": "hidden"}


def test_single_keys():
    """C220."""
    env = [
        {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "a"}}},
        {"name": "S", "valueFrom": {"secretKeyRef": {"name": "s", "key": "key"}}},
    ]
    assert build_env({"env": env}, context()) == {"A": "1", "S": "hidden"}


@pytest.mark.parametrize(
    ("ref", "message"),
    [
        ({"configMapKeyRef": {"name": "none", "key": "a"}}, 'configmap "none" not found'),
        ({"secretKeyRef": {"name": "none", "key": "a"}}, 'secret "none" not found'),
        ({"configMapKeyRef": {"name": "cm", "key": "z"}}, "couldn't find key z in ConfigMap default/cm"),
    ],
)
def test_what_is_missing_is_named_unless_it_is_optional(ref, message):
    with pytest.raises(EnvError) as caught:
        build_env({"env": [{"name": "A", "valueFrom": ref}]}, context())
    assert str(caught.value) == message
    (kind, value) = next(iter(ref.items()))
    optional = {kind: {**value, "optional": True}}
    assert build_env({"env": [{"name": "A", "valueFrom": optional}]}, context()) == {}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("metadata.name", "web"),
        ("metadata.labels['app']", "x"),
        ("status.podIP", "10.0.0.5"),
        ("status.hostIP", "192.0.2.1"),
        ("spec.nodeName", "n1"),
    ],
)
def test_fields(path, expected):
    """C239, C241."""
    env = [{"name": "F", "valueFrom": {"fieldRef": {"fieldPath": path}}}]
    assert build_env({"env": env}, context()) == {"F": expected}


def test_resources_fall_back_to_the_nodes_allocatable():
    """C238."""
    env = [
        {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
        {"name": "MEM", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}},
        {"name": "REQ", "valueFrom": {"resourceFieldRef": {"resource": "requests.cpu"}}},
    ]
    container = {"env": env, "resources": {"requests": {"cpu": "250m"}}}
    assert build_env(container, context()) == {"CPU": "4", "MEM": "8192", "REQ": "1"}


def test_sources_are_listed_once_and_needed_if_any_use_needs_them():
    container = {
        "envFrom": [{"configMapRef": {"name": "cm", "optional": True}}],
        "env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "a"}}}],
    }
    assert sources(container) == [Source("ConfigMap", "cm", optional=False)]
