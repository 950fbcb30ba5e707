"""The OpenAPI documents, as kubectl reads them (C040, C044)."""

import json
import re

import pytest

from windlass.apimachinery import openapi

NAME = "com.example.v1.Gadget"


@pytest.fixture
def v2(gadget_kind):
    return openapi.build_v2([gadget_kind])


@pytest.fixture
def v3(gadget_kind):
    return openapi.build_v3([gadget_kind], "example.com/v1")


def references(document):
    return set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(document)))


def test_every_reference_resolves(v2, v3):
    assert {ref.removeprefix("#/definitions/") for ref in references(v2)} <= v2["definitions"].keys()
    assert {ref.removeprefix("#/components/schemas/") for ref in references(v3)} <= v3["components"]["schemas"].keys()


def test_kinds_and_lists_carry_their_gvk(v2, v3):
    """C044: explain finds a definition by group, version and kind."""
    for found in (v2["definitions"], v3["components"]["schemas"]):
        gvk = {"group": "example.com", "version": "v1", "kind": "Gadget"}
        assert found[NAME]["x-kubernetes-group-version-kind"] == [gvk]
        assert found[f"{NAME}List"]["x-kubernetes-group-version-kind"] == [{**gvk, "kind": "GadgetList"}]
        assert found[f"{NAME}List"]["required"] == ["items"]


def test_properties(v2, v3):
    spec2, spec3 = v2["definitions"]["com.example.v1.Spec"], v3["components"]["schemas"]["com.example.v1.Spec"]
    ports = spec2["properties"]["ports"]
    assert ports["items"] == {"$ref": "#/definitions/com.example.v1.Port"}
    assert ports["x-kubernetes-patch-strategy"] == "merge"
    assert ports["x-kubernetes-patch-merge-key"] == "port"
    assert ports["x-kubernetes-list-type"] == "map"
    assert ports["x-kubernetes-list-map-keys"] == ["port"]
    assert spec2["required"] == ["mode"]
    assert spec2["properties"]["replicas"] == {
        "type": "integer",
        "format": "int32",
        "minimum": 0,
        "default": 1,
        "description": "How many.",
    }
    assert spec2["properties"]["least"]["format"] == "int64"
    assert spec2["properties"]["payload"]["format"] == "byte"
    assert spec2["properties"]["memory"]["$ref"].endswith("resource.Quantity")
    assert spec2["properties"]["limits"]["additionalProperties"]["$ref"].endswith("resource.Quantity")
    assert spec3["properties"]["strategy"] == {
        "allOf": [{"$ref": "#/components/schemas/com.example.v1.Meta"}],
        "description": "How.",
        "x-kubernetes-patch-strategy": "retainKeys",
    }


def test_int_or_string_and_quantity_in_both_dialects(v2, v3):
    name = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
    assert v2["definitions"][name]["type"] == "string"
    assert v2["definitions"][name]["format"] == "int-or-string"
    assert v3["components"]["schemas"][name]["oneOf"] == [{"type": "integer"}, {"type": "string"}]


def test_recursive_schemas_end(v2):
    items = v2["definitions"]["com.example.v1.Spec"]["properties"]["children"]["items"]
    assert items == {"$ref": "#/definitions/com.example.v1.Spec"}


def test_paths_and_actions(v2, v3):
    root = "/apis/example.com/v1"
    for document in (v2, v3):
        paths = document["paths"]
        assert paths.keys() == {
            f"{root}/gadgets",
            f"{root}/namespaces/{{namespace}}/gadgets",
            f"{root}/namespaces/{{namespace}}/gadgets/{{name}}",
            f"{root}/namespaces/{{namespace}}/gadgets/{{name}}/status",
            f"{root}/namespaces/{{namespace}}/gadgets/{{name}}/scale",
        }
        item = paths[f"{root}/namespaces/{{namespace}}/gadgets/{{name}}"]
        assert {verb: item[verb]["x-kubernetes-action"] for verb in ("get", "put", "patch", "delete")} == {
            "get": "get",
            "put": "put",
            "patch": "patch",
            "delete": "delete",
        }
        assert [parameter["name"] for parameter in item["parameters"]] == ["name", "namespace"]


def test_kubectl_finds_dry_run_and_field_validation(v2, v3):
    """kubectl looks for the query parameters of the PATCH operation with the kind's GVK."""
    for document in (v2, v3):
        found = [
            {parameter["name"] for parameter in item["patch"]["parameters"] if parameter["in"] == "query"}
            for item in document["paths"].values()
            if item.get("patch", {}).get("x-kubernetes-group-version-kind", {}).get("kind") == "Gadget"
        ]
        assert found
        assert all({"dryRun", "fieldValidation", "fieldManager"} <= names for names in found)


def test_operation_ids_are_unique(v2):
    ids = [
        operation["operationId"]
        for item in v2["paths"].values()
        for operation in item.values()
        if isinstance(operation, dict)
    ]
    assert len(ids) == len(set(ids))


def test_documents_hold_one_group_version(gadget_kind):
    assert openapi.build_v3([gadget_kind], "v1")["paths"] == {}
    assert openapi.group_versions([gadget_kind]) == {"apis/example.com/v1": "example.com/v1"}
