"""Plugins are loaded one at a time, by contract, and every one ends in a state that says why (P84, P85, P86)."""

import sys
import textwrap
from importlib import metadata

import pytest

from windlass.config import PluginsConfig
from windlass.errors import ConfigError, InternalServerError, PluginError
from windlass.plugin.manager import PluginManager, PluginState

HEADER = "from windlass import DriverRegistration, hookimpl\n"


@pytest.fixture
def make_plugin(tmp_path, monkeypatch):
    """Write a one-module plugin and return its entry point, as if its distribution were installed."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    made = []

    def make(name, body):
        module = f"plug_{name.replace('-', '_')}"
        (tmp_path / f"{module}.py").write_text(HEADER + textwrap.dedent(body))
        info = tmp_path / f"{module}_dist-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}-dist\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[windlass]\n{name} = {module}\n")
        made.append(module)
        return next(iter(metadata.PathDistribution(info).entry_points))

    yield make
    for module in made:
        sys.modules.pop(module, None)


def load(*entry_points, **config):
    manager = PluginManager(PluginsConfig(**config))
    manager.load(entry_points)
    return manager


GOOD = """
    @hookimpl
    def register_runtimes():
        return [DriverRegistration("toy", lambda config: ("built", dict(config)))]
"""


def test_a_good_plugin_is_loaded_and_its_driver_built_by_name(make_plugin):
    manager = load(make_plugin("good", GOOD))
    manager.check()
    record = manager.records["good"]
    assert (record.state, record.hooks, record.version) == (PluginState.LOADED, ["register_runtimes"], "1.2")
    assert manager.driver("register_runtimes", "toy", {"state_dir": "x"}) == ("built", {"state_dir": "x"})
    assert record.drivers == ["runtimes/toy"]


@pytest.mark.parametrize("name", ["../../bin/ls", "os", "/bin/sh", "plug_good:register_runtimes"])
def test_a_driver_name_is_looked_up_and_nothing_else(make_plugin, name):
    """P86: a name never becomes an import or a path."""
    manager = load(make_plugin("good", GOOD))
    with pytest.raises(PluginError, match=r"no driver named .*installed: toy"):
        manager.driver("register_runtimes", name, {})


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("raise ValueError('boom')", "ValueError: boom"),
        ("import no_such_module_anywhere", "No module named 'no_such_module_anywhere'"),
        ("import sys; sys.exit(3)", "exit code 3"),
        ("import os; os._exit(0)", "ended the process"),
        ("x = bytearray(3 << 30)", "MemoryError"),
        ("import time\nwhile True: time.sleep(60)", "did not return within"),
    ],
)
def test_a_plugin_that_cannot_be_imported_is_named_and_the_others_go_on(make_plugin, body, expected):
    """P84: raise, missing dependency, sys.exit, os._exit, 2 GB, hang."""
    bad = make_plugin("bad", "pass")
    with open(sys.path[0] + "/plug_bad.py", "w") as file:
        file.write(body)
    manager = load(bad, make_plugin("good", GOOD), deadline_seconds=5.0 if "while True" in body else 60.0)
    record = manager.records["bad"]
    assert record.state is PluginState.FAILED
    assert expected in record.reason
    assert list(manager.drivers("register_runtimes")) == ["toy"]
    manager.check()


def test_a_required_plugin_that_fails_is_fatal(make_plugin):
    manager = load(make_plugin("bad", "raise ValueError('boom')"), required=("bad", "absent"))
    with pytest.raises(PluginError, match=r"(?s)bad.*boom.*absent.*not installed"):
        manager.check()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("@hookimpl\ndef register_runtime():\n    return []", "register_runtimes"),
        ("@hookimpl\ndef register_runtimes(surprise):\n    return []", "surprise"),
        ("windlass_hookspec_versions = (99,)", "this windlass has 1"),
    ],
)
def test_a_broken_contract_stops_the_start_and_names_both_sides(make_plugin, body, expected):
    """P85: misspelt hook, wrong signature, unsupported hook-spec version."""
    entry_point = make_plugin("odd", "pass")
    with open(sys.path[0] + "/plug_odd.py", "w") as file:
        file.write(HEADER + body)
    manager = load(entry_point)
    with pytest.raises(PluginError, match=f"(?s)odd.*{expected}"):
        manager.check()
    load_again = PluginManager(PluginsConfig(on_contract_error="skip"))
    sys.modules.pop("plug_odd", None)
    load_again.load([entry_point])
    load_again.check()
    assert load_again.records["odd"].state is PluginState.FAILED


def test_two_plugins_that_claim_one_driver_are_both_named(make_plugin):
    """P85."""
    manager = load(make_plugin("first", GOOD), make_plugin("second", GOOD))
    with pytest.raises(PluginError, match="'toy' is claimed by plugin first and by plugin second"):
        manager.drivers("register_runtimes")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("@hookimpl\ndef register_runtimes():\n    raise KeyError('x')", "register_runtimes raised KeyError"),
        ("@hookimpl\ndef register_runtimes():\n    import sys; sys.exit(1)", "raised SystemExit"),
        ("@hookimpl\ndef register_runtimes():\n    return 7", "must return a sequence"),
        (
            "@hookimpl\ndef register_runtimes():\n    import threading; threading.Event().wait()",
            "did not return within",
        ),
    ],
)
def test_a_hook_that_misbehaves_fails_its_plugin_only(make_plugin, body, expected):
    """P84."""
    entry_point = make_plugin("odd", "pass")
    with open(sys.path[0] + "/plug_odd.py", "w") as file:
        file.write(HEADER + body)
    manager = load(entry_point, make_plugin("good", GOOD), deadline_seconds=1.0)
    assert list(manager.drivers("register_runtimes")) == ["toy"]
    assert expected in manager.records["odd"].reason


def test_blocked_and_not_allowed_plugins_say_so(make_plugin):
    manager = load(make_plugin("one", GOOD), make_plugin("two", GOOD), blocked=("one",), allowed=("one",))
    assert manager.records["one"].state is PluginState.BLOCKED
    assert manager.records["two"].state is PluginState.SKIPPED
    assert all(record.reason for record in manager.records.values())


WITH_CONFIG = (
    GOOD
    + """
    import marshmallow
    class Section(marshmallow.Schema):
        colour = marshmallow.fields.String(load_default="blue")

    @hookimpl
    def register_config_schema():
        return {"section": "good", "schema": Section}
"""
)


def test_a_plugin_gets_its_validated_section(make_plugin):
    manager = load(make_plugin("good", WITH_CONFIG), config={"good": {"colour": "green"}})
    assert manager.driver("register_runtimes", "toy", {}) == ("built", {"colour": "green"})


def test_an_unknown_key_is_an_error_that_names_the_plugin(make_plugin):
    manager = load(make_plugin("good", WITH_CONFIG), config={"good": {"color": "green"}})
    with pytest.raises(ConfigError, match=r"(?s)color.*plugin good.*colour"):
        manager.driver("register_runtimes", "toy", {})


def test_every_builtin_plugin_loads_and_the_inventory_shows_its_drivers():
    manager = PluginManager()
    manager.load()
    inventory = {p["metadata"]["name"]: p["status"] for p in manager.inventory()}
    builtin = {name: status for name, status in inventory.items() if name.startswith("windlass-")}
    assert {status["state"] for status in builtin.values()} == {"loaded"}, builtin
    assert "runtimes/docker" in builtin["windlass-runtime-docker"]["drivers"]


FOREIGN_ADMISSION = """
    import threading
    class Plugin:
        name = "stuck"
        def admit(self, request):
            threading.Event().wait()
        def validate(self, request):
            raise SystemExit(3)
    @hookimpl
    def register_admission_plugins():
        return [DriverRegistration("stuck", lambda config: Plugin())]
"""


async def test_a_foreign_admission_plugin_is_guarded_and_its_record_says_what_it_did(make_plugin):
    """P84: beyond loading, too: `plugins list` and the API name the plugin and what it did."""
    manager = load(make_plugin("stuck", FOREIGN_ADMISSION), deadline_seconds=3.0)
    manager.check()
    plugin = manager.drivers("register_admission_plugins")["stuck"].value.build({})
    assert (plugin.name, manager.is_foreign("stuck")) == ("stuck", True)
    with pytest.raises(InternalServerError, match="SystemExit: 3"):
        await plugin.validate(None)
    record = manager.records["stuck"].as_dict()["status"]
    assert (record["state"], record["reason"]) == ("loaded", "validate raised SystemExit: 3")
    with pytest.raises(InternalServerError, match="admit did not return within 3 s"):
        await plugin.admit(None)
    record = manager.records["stuck"].as_dict()["status"]
    assert (record["state"], record["reason"]) == ("failed", "admit did not return within 3 s")
    assert manager.owner_of("plug_stuck.inner") == "stuck"
    assert manager.owner_of("windlass.client") == ""
