"""Compare the compiled decoder with marshmallow's own loading of the same declarations.

Run: python bench/decoder.py
"""

import json
import timeit

import orjson
from marshmallow import EXCLUDE, Schema, fields

from windlass.apimachinery.decode import decode
from windlass.apimachinery.schema import Bool, Int, ListOf, MapOf, Nested, ObjectSchema, Str
from windlass.apis.core.v1.pod import Pod

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "web-6d4cf56db6-abcde",
        "namespace": "default",
        "labels": {"app": "web", "pod-template-hash": "6d4cf56db6"},
        "ownerReferences": [
            {
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "name": "web-6d4cf56db6",
                "controller": True,
                "uid": "0b8f6ff0-1111-2222-3333-444455556666",
                "blockOwnerDeletion": True,
            }
        ],
    },
    "spec": {
        "containers": [
            {
                "name": "web",
                "image": "nginx:1.27",
                "ports": [{"containerPort": 80, "name": "http", "protocol": "TCP"}],
                "env": [
                    {"name": "A", "value": "1"},
                    {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                ],
                "resources": {
                    "requests": {"cpu": "100m", "memory": "128Mi"},
                    "limits": {"cpu": "500m", "memory": "256Mi"},
                },
                "readinessProbe": {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 5},
                "volumeMounts": [{"name": "data", "mountPath": "/data"}],
            }
        ],
        "volumes": [{"name": "data", "emptyDir": {}}],
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "a", "operator": "Exists", "effect": "NoSchedule"}],
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
    },
}


def plain_schema(schema, known):
    """Build the schema that a marshmallow user would write: nested fields of marshmallow's own, no defaults."""
    if schema not in known:
        known[schema] = None
        made = {name: plain_field(field, known) for name, field in schema.wire_fields().items()}
        meta = type("Meta", (), {"unknown": EXCLUDE})
        known[schema] = type(schema.__name__ + "Plain", (Schema,), {**made, "Meta": meta})
    return known[schema]


def plain_item(item, known):
    if isinstance(item, type):
        return fields.Nested(lambda: known[item]())  # noqa: PLW0108 - may not be built yet
    return plain_field(item, known)


def plain_field(field, known):
    if isinstance(field, Nested | ListOf | MapOf):
        for schema in (getattr(field, "item", None), getattr(field, "value", None)):
            if isinstance(schema, type) and issubclass(schema, ObjectSchema):
                plain_schema(schema, known)
    if isinstance(field, Nested):
        schema = field.nested_schema
        plain_schema(schema, known)
        return fields.Nested(lambda: known[schema]())  # noqa: PLW0108 - may not be built yet
    if isinstance(field, ListOf):
        return fields.List(plain_item(field.item, known))
    if isinstance(field, MapOf):
        return fields.Dict(keys=fields.String(), values=plain_item(field.value, known))
    for cls, made in ((Str, fields.String), (Bool, fields.Boolean), (Int, fields.Integer)):
        if isinstance(field, cls):
            return made()
    return fields.Raw()


def microseconds(call, number):
    return min(timeit.repeat(call, number=number, repeat=7)) / number * 1e6


def main():
    raw = orjson.dumps(POD)
    plain, own = plain_schema(Pod, {})(), Pod()
    plain.load(POD)
    print(
        json.dumps(
            {
                "bytes": len(raw),
                "orjson_loads_us": round(microseconds(lambda: orjson.loads(raw), 5000), 1),
                "decode_us": round(microseconds(lambda: decode(Pod, POD), 3000), 1),
                "schema_load_us": round(microseconds(lambda: own.load(POD), 2000), 1),
                "plain_marshmallow_us": round(microseconds(lambda: plain.load(POD), 300), 1),
            }
        )
    )


if __name__ == "__main__":
    main()
