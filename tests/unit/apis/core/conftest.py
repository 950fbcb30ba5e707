import copy

import pytest

from windlass.apimachinery.decode import decode
from windlass.apis.core.v1.pod import KINDS

POD = KINDS[0]


def merged(base, changes):
    """Return `base` with `changes` laid over it; dicts merge, everything else replaces."""
    result = copy.deepcopy(base)
    for key, value in changes.items():
        result[key] = (
            merged(result[key], value) if isinstance(value, dict) and isinstance(result.get(key), dict) else value
        )
    return result


@pytest.fixture
def make_pod():
    """Build a decoded and defaulted pod from changes to the spec and to its first container."""

    def make(spec=None, container=None, status=None, meta=None):
        first = merged({"name": "web", "image": "busybox:1.36"}, container or {})
        raw = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": merged({"name": "web", "namespace": "default"}, meta or {}),
            "spec": merged({"containers": [first]}, spec or {}),
        }
        decoded = decode(POD.schema, raw)
        assert decoded.errors == []
        assert decoded.unknown == []
        POD.strategy.prepare_for_create(decoded.obj)
        POD.strategy.default(decoded.obj)
        decoded.obj["status"].update(status or {})
        return decoded.obj

    return make


@pytest.fixture
def problems(make_pod):
    """Return what is wrong with a pod, as `path: message` lines."""

    def find(spec=None, container=None):
        return [f"{error.field}: {error.message}" for error in POD.strategy.validate(make_pod(spec, container))]

    return find
