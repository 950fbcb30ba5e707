"""The published document, taken at its word by random requests: no 5xx, every error a Status."""

import json
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

MAX_EXAMPLES = 400
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=12),
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
QUERY_VALUES = st.sampled_from(
    [
        "",
        "All",
        "1",
        "-1",
        "true",
        "maybe",
        "99999999999999999999",
        "a=b",
        "a in (",
        "!x",
        "metadata.name=x",
        "Strict",
        "%00",
        "\u202e",
        "0",
    ]
)
BODY_TYPES = ["application/json", "application/yaml"]
PATCH_TYPES = [
    "application/merge-patch+json", "application/strategic-merge-patch+json", "application/json-patch+json", "application/apply-patch+yaml"
]  # fmt: skip


class Document:
    """The OpenAPI document and strategies of what it describes."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.definitions = document["definitions"]
        self.operations = [
            (verb, path, operation)
            for path, item in sorted(document["paths"].items())
            for verb, operation in sorted(item.items())
            if verb in ("get", "put", "post", "patch", "delete")
        ]

    def value(self, schema: dict[str, Any], depth: int = 0) -> st.SearchStrategy[Any]:
        """Mostly what the schema says, sometimes anything at all."""
        if depth > 7:
            return ANYTHING
        if "$ref" in schema:
            return self.value(self.definitions[schema["$ref"].rpartition("/")[2]], depth + 1)
        return st.integers(0, 24).flatmap(lambda dice: ANYTHING if dice == 0 else self._typed(schema, depth))

    def _typed(self, schema: dict[str, Any], depth: int) -> st.SearchStrategy[Any]:
        kind = schema.get("type")
        if kind == "array":
            return st.lists(self.value(schema.get("items", {}), depth + 1), max_size=2)
        if kind == "object" and "properties" in schema:
            return self._object(schema, depth)
        if kind == "object":
            inner = schema.get("additionalProperties") or {}
            return st.dictionaries(
                st.sampled_from(["a", "b/c", "", "x" * 80]), self.value(inner, depth + 1), max_size=2
            )
        simple: dict[Any, st.SearchStrategy[Any]] = {
            "string": st.sampled_from(
                ["a", "b", "10m", "1Gi", "-1", "2020-01-01T00:00:00Z", "", "TCP", "é", "x" * 300]
            ),
            "integer": st.integers(-1, 70_000),
            "boolean": st.booleans(),
            "number": st.floats(allow_nan=False),
        }
        return simple.get(kind, ANYTHING)

    def _object(self, schema: dict[str, Any], depth: int) -> st.SearchStrategy[Any]:
        properties = schema["properties"]
        required = [name for name in schema.get("required", ()) if name in properties]
        chosen = st.lists(st.sampled_from(sorted(properties)), max_size=4, unique=True)
        return chosen.flatmap(
            lambda names: st.fixed_dictionaries(
                {name: self.value(properties[name], depth + 1) for name in {*names, *required}}
            )
        )


@pytest.fixture(scope="module")
def document(api):
    return Document(api.request("GET", "/openapi/v2").expect(200))


def body_of(document: Document, operation: dict[str, Any], data: st.DataObject) -> Any:
    for parameter in operation.get("parameters", ()):
        if parameter.get("in") == "body":
            obj = data.draw(document.value(parameter.get("schema", {})))
            if isinstance(obj, dict) and data.draw(st.integers(0, 9)):
                metadata = obj["metadata"] if isinstance(obj.get("metadata"), dict) else {}
                obj = {**obj, "metadata": {**metadata, "name": "x"}}
                for key in ("apiVersion", "kind"):
                    obj.pop(key, None)
            return obj
    return None


@pytest.mark.parametrize("fraction", range(4))
def test_random_requests_of_the_document(api, document, fraction):
    """A31: every operation with bodies near and far from its schema: never a 5xx, every error a Status with a reason."""
    operations = document.operations[fraction::4]
    assert len(operations) > 20

    @seed(31)
    @settings(
        max_examples=MAX_EXAMPLES // 4, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.data())
    def one(data: st.DataObject) -> None:
        verb, path, operation = data.draw(st.sampled_from(operations))
        if verb == "delete" and path.endswith("/namespaces/{name}"):
            return
        path = path.replace("{namespace}", "default").replace("{name}", data.draw(st.sampled_from(["x", "none"])))
        names = [
            item["name"] for item in operation.get("parameters", ()) if item.get("in") == "query" and "name" in item
        ]
        query = (
            f"?{data.draw(st.sampled_from([n for n in names if n != 'watch']))}=1"
            if len(names) > 1 and data.draw(st.booleans())
            else ""
        )
        headers = {"Content-Type": data.draw(st.sampled_from(PATCH_TYPES if verb == "patch" else BODY_TYPES))}
        body = body_of(document, operation, data)
        raw = None if body is None else json.dumps(body).encode()
        answer = api.request(verb.upper(), path + query, raw, headers=headers)
        if operation.get("x-kubernetes-action") == "connect" and answer.status == 503:
            assert "node x" in answer.expect(503)["message"]  # a Node of random fields has no agent behind it
        else:
            held(answer)

    one()


def held(answer) -> None:
    """No 5xx but the 504 of a version that never comes; every error is a Status with a reason."""
    assert answer.status < 500 or answer.status == 504, answer.body
    if answer.status >= 400:
        said = answer.expect(answer.status)
        assert said["reason"], said
        assert "Traceback" not in said["message"]
        if answer.status == 422:
            assert said["details"]["causes"][0]["field"] is not None


def test_random_queries(api, document):
    """A31: every parameter of lists and writes with values that mean nothing."""
    dice = random.Random(31)
    values = [
        "",
        "All",
        "-1",
        "maybe",
        "9" * 30,
        "a+in+(",
        "!",
        "metadata.name%3Dx",
        "%00",
        "%E2%80%AE",
        "%ff",
        "a%3Db%2C",
        "0",
    ]
    names = ["labelSelector", "fieldSelector", "limit", "continue", "resourceVersion", "resourceVersionMatch", "dryRun",
             "fieldValidation", "fieldManager", "gracePeriodSeconds", "propagationPolicy", "pretty", "includeObject", "orphanDependents"]  # fmt: skip
    paths = ["/api/v1/pods", "/api/v1/namespaces/default/configmaps", "/apis/apps/v1/deployments", "/api/v1/nodes/none"]
    for _ in range(300):
        query = "&".join(f"{dice.choice(names)}={dice.choice(values)}" for _ in range(dice.randrange(1, 4)))
        if f"resourceVersion={'9' * 30}" not in query:
            held(api.request(dice.choice(["GET", "GET", "DELETE"]), f"{dice.choice(paths)}?{query}"))


def test_errors_name_their_fields(api):
    """A31: a body with several faults: one answer that names each."""
    body = {
        "metadata": {"name": "BAD"},
        "spec": {"containers": [{"name": "a_b", "image": "", "ports": [{"containerPort": 99999}]}]},
    }
    said = api.request("POST", "/api/v1/namespaces/default/pods", body).expect(422)
    fields = {cause["field"] for cause in said["details"]["causes"]}
    assert {"metadata.name", "spec.containers[0].name"} <= fields
    assert any(field.startswith("spec.containers[0].ports[0]") for field in fields)
