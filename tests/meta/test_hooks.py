"""Every hook is documented with its exact signature, used by a built-in plugin and named in a test."""

import inspect
import re
from pathlib import Path

import pytest

from windlass.plugin import hookspecs

ROOT = Path(__file__).parents[2]
HOOKS = [name for name, value in vars(hookspecs).items() if hasattr(value, f"{hookspecs.PROJECT}_spec")]


def test_there_are_hooks():
    assert len(HOOKS) >= 12


@pytest.mark.parametrize("hook", HOOKS)
def test_hook_is_documented_with_its_signature(hook):
    parameters = ", ".join(inspect.signature(getattr(hookspecs, hook)).parameters)
    assert f"## `{hook}({parameters})`" in (ROOT / "docs/plugin_hooks.md").read_text()


@pytest.mark.parametrize("hook", HOOKS)
def test_hook_is_implemented_by_a_builtin_or_an_example(hook):
    sources = [p for part in ("core", "hostagent", "plugins", "examples") for p in (ROOT / part).rglob("*.py")]
    pattern = re.compile(rf"@(?:windlass\.)?hookimpl\s+def {hook}\(")
    assert any(pattern.search(path.read_text()) for path in sources)
