from datetime import UTC, datetime

import pytest

from windlass.apimachinery.decode import decode
from windlass.apimachinery.table import columns_of
from windlass.apis.scheme import builtin_scheme

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
SCHEME = builtin_scheme()


class Served:
    """A kind as the registry drives it: decode, prepare, default, validate."""

    def __init__(self, api_version, kind):
        self.kind = SCHEME.by_kind(api_version, kind)
        self.strategy = self.kind.strategy

    def decode(self, raw, **metadata):
        where = {"namespace": "default"} if self.kind.namespaced else {}
        base = {"apiVersion": self.kind.api_version, "kind": self.kind.kind}
        meta = {"name": "x", "creationTimestamp": "2026-01-01T11:00:00Z", **where, **raw.get("metadata", {}), **metadata}
        return decode(self.kind.schema, {**base, **raw, "metadata": meta})

    def create(self, **raw):
        decoded = self.decode(raw)
        assert decoded.errors == []
        assert decoded.unknown == []
        self.strategy.prepare_for_create(decoded.obj)
        self.strategy.default(decoded.obj)
        return decoded.obj

    def update(self, old, **raw):
        new = self.decode(raw, resourceVersion="2").obj
        self.strategy.prepare_for_update(new, old)
        self.strategy.default(new)
        return new

    def problems(self, **raw):
        decoded = self.decode(raw)
        if decoded.errors:
            return lines(decoded.errors)
        self.strategy.prepare_for_create(decoded.obj)
        self.strategy.default(decoded.obj)
        return lines(self.strategy.validate(decoded.obj))

    def update_problems(self, old, **raw):
        new = self.update(old, **raw)
        return lines([*self.strategy.validate(new), *self.strategy.validate_update(new, old)])

    def row(self, obj, *, wide=False):
        shown = [column for column in columns_of(self.kind) if wide or not column.priority]
        return {column.name: column.value(obj, NOW) for column in shown}


def lines(errors):
    return [f"{error.field}: {error.message}" for error in errors]


@pytest.fixture
def served():
    """Find a built-in kind by apiVersion and kind."""
    return Served
