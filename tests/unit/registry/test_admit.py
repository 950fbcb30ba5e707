"""When admission makes a second look at the object needful."""

from types import SimpleNamespace

import pytest

from windlass.admission.plugin import register_admission_plugins
from windlass.registry.admit import admit


class Labeller:
    """Adds a label."""

    name = "Labeller"

    def admit(self, request):
        request.obj["metadata"].setdefault("labels", {})["seen"] = "yes"

    def validate(self, request):
        pass


class CarefulLabeller(Labeller):
    keeps_schema = True


class Idle(Labeller):
    def admit(self, request):
        pass


@pytest.mark.parametrize(
    ("plugins", "again"),
    [
        ((), False),
        ((Idle(),), False),
        ((Labeller(),), True),
        ((CarefulLabeller(),), False),
        ((CarefulLabeller(), Idle()), True),
        ((Idle(), Labeller()), True),
    ],
)
async def test_only_what_a_plugin_did_not_answer_for_is_checked_again(plugins, again):
    request = SimpleNamespace(obj={"metadata": {}})
    assert await admit(SimpleNamespace(admission=plugins), request) is again
    changed = any(not isinstance(plugin, Idle) for plugin in plugins)
    assert request.obj == ({"metadata": {"labels": {"seen": "yes"}}} if changed else {"metadata": {}})


def test_every_built_in_plugin_answers_for_its_changes():
    assert all(driver.build({}).keeps_schema for driver in register_admission_plugins())
