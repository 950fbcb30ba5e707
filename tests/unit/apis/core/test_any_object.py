"""Whatever gets past the decoder must not break a strategy: random objects, made from the declarations themselves."""

import random
from datetime import UTC, datetime

import pytest

from windlass.apimachinery.decode import decode
from windlass.apimachinery.schema import Bool, Int, IntOrString, ListOf, MapOf, MicroTime, Nested, Quantity, Str, Time
from windlass.apis.scheme import builtin_kinds

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KINDS = builtin_kinds()
WORDS = (
    "",
    "a",
    "web",
    "x/y",
    "../..",
    "/abs",
    "A b",
    "10.0.0.1",
    "10.0.0.0/8",
    "é\u202e",
    "a" * 300,
    "None",
    "Localhost",
)
NUMBERS = (-1, 0, 1, 80, 511, 65536, 2147483647)
QUANTITIES = ("0", "1", "-1", "500m", "1Gi", "1e3", 2, "0.5")


def value_of(field, dice, depth):
    if isinstance(field, Nested):
        return object_of(field.nested_schema, dice, depth + 1)
    if isinstance(field, ListOf):
        return [item_of(field.item, dice, depth + 1) for _ in range(dice.choice((0, 1, 1, 2)))]
    if isinstance(field, MapOf):
        keys = ("cpu", "memory", "hugepages-2Mi", "example.com/gpu", *WORDS)
        return {dice.choice(keys): item_of(field.value, dice, depth + 1) for _ in range(dice.choice((0, 1, 2)))}
    if isinstance(field, Quantity):
        return dice.choice(QUANTITIES)
    if isinstance(field, Bool):
        return dice.random() < 0.5
    if isinstance(field, Int):
        return dice.choice(NUMBERS)
    if isinstance(field, IntOrString):
        return dice.choice((*NUMBERS, *WORDS))
    if isinstance(field, Time | MicroTime):
        return "2025-12-31T23:00:00Z"
    return dice.choice(field.enum or WORDS) if isinstance(field, Str) else None


def item_of(item, dice, depth):
    return object_of(item, dice, depth) if isinstance(item, type) else value_of(item, dice, depth)


def object_of(schema, dice, depth=0):
    chance = 0.9 if depth < 2 else 0.35 if depth < 6 else 0.1
    return {
        name: value_of(field, dice, depth)
        for name, field in schema.wire_fields().items()
        if name != "metadata" and (field.required or dice.random() < chance)
    }


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.resource.qualified)
def test_strategies_survive_every_decoded_object(kind):
    """A39: odd names, paths, signs and sizes end as field errors, never as a traceback."""
    dice = random.Random(kind.kind)
    survived = 0
    for _ in range(150):
        decoded = decode(kind.schema, {"metadata": {"name": "a"}, **object_of(kind.schema, dice)})
        if any(error.reason == "FieldValueTypeInvalid" for error in decoded.errors):
            continue
        survived += 1
        obj, strategy = decoded.obj, kind.strategy
        strategy.default(obj)
        once = decode(kind.schema, obj).obj
        strategy.default(once)
        strategy.validate(obj)
        strategy.validate_update(obj, once)
        assert all(isinstance(text, str) for text in strategy.warnings(obj))
        assert all(isinstance(text, str) for text in strategy.selectable_fields(obj).values())
        for column in strategy.columns:
            column.value(obj, NOW)
        strategy.grace_period_seconds(obj, None)
    assert survived > 20
