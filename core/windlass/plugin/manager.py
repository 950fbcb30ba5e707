"""Find, load and question plugins, one at a time, so that a bad one is named and the rest goes on.

Each entry point of the group `windlass` ends as a `PluginRecord` in one of four states. Two sorts of trouble are kept
apart: a plugin that cannot be loaded (import error, hang, exit) is `failed` and the others go on; a plugin that breaks
the *contract* (misspelt hook, wrong signature, driver name claimed twice, unsupported version) is a start-up error
unless the configuration says `on_contract_error = "skip"`. `check` raises for both policies.
"""

import inspect
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from importlib import metadata
from types import ModuleType
from typing import Any

import pluggy

from windlass.config import PluginsConfig
from windlass.errors import PluginError
from windlass.logs import get_logger
from windlass.plugin import hookspecs
from windlass.plugin.config import validate_section
from windlass.plugin.guarding import GuardedAdmission, GuardedMethods, PluginCalls
from windlass.plugin.isolation import HungError, call_with_deadline, probe_import

GROUP = "windlass"
OWN_DISTRIBUTION = "windlass"
REGISTERING_HOOKS = tuple(name for name in vars(hookspecs) if name.startswith("register_"))
GUARDS: Mapping[str, Callable[[Any, PluginCalls], Any]] = {
    "register_admission_plugins": GuardedAdmission,
    "register_scheduler_plugins": GuardedMethods,
}
log = get_logger(__name__)


class PluginState(StrEnum):
    """How loading ended."""

    LOADED = "loaded"
    SKIPPED = "skipped"
    FAILED = "failed"
    BLOCKED = "blocked"


@dataclass(slots=True)
class PluginRecord:
    """What is known of one entry point. `reason` says why it is not loaded; `traceback` is kept when it raised."""

    name: str
    module: str
    distribution: str
    version: str
    state: PluginState = PluginState.SKIPPED
    reason: str = ""
    traceback: str = ""
    breaks_contract: bool = False
    hooks: list[str] = field(default_factory=list)
    drivers: list[str] = field(default_factory=list)
    spec_versions: tuple[int, ...] = (hookspecs.SPEC_VERSION,)

    def as_dict(self) -> dict[str, Any]:
        """Return the record in wire form, for the API and `plugins list -o json`."""
        return {
            "apiVersion": "windlass.dev/v1",
            "kind": "Plugin",
            "metadata": {"name": self.name},
            "spec": {
                "module": self.module,
                "distribution": self.distribution,
                "version": self.version,
                "hookspecVersions": list(self.spec_versions),
            },
            "status": {
                "state": self.state.value,
                "reason": self.reason,
                "traceback": self.traceback,
                "hooks": self.hooks,
                "drivers": self.drivers,
            },
        }


@dataclass(frozen=True, slots=True)
class Owned:
    """A registration and the plugin that handed it out."""

    owner: str
    value: Any


class PluginManager:
    """The plugins of this process. Call `load`, then `check`, then ask for `registrations` or `drivers`."""

    def __init__(self, config: PluginsConfig | None = None, *, probes_imports: bool = True) -> None:
        """`probes_imports`: whether others' plugins are first imported in a child process, which may end or crash."""
        self.config = config or PluginsConfig()
        self._probes_imports = probes_imports
        self.records: dict[str, PluginRecord] = {}
        self._modules: dict[str, ModuleType] = {}

    def load(self, entry_points: Iterable[metadata.EntryPoint] | None = None) -> None:
        """Load every entry point of the group. Never raises for a plugin's sake: see `check`."""
        found = list(metadata.entry_points(group=GROUP) if entry_points is None else entry_points)
        for entry_point in sorted(found, key=lambda e: (_distribution(e)[0] != OWN_DISTRIBUTION, e.name)):
            self._load_one(entry_point)
        self._find_missing()

    def check(self) -> None:
        """Raise PluginError for missing or failed required plugins and, unless told to skip, broken contracts."""
        problems = [
            f"plugin {record.name} ({record.distribution} {record.version}): {record.reason}"
            for record in self.records.values()
            if record.state is not PluginState.LOADED and self._is_fatal(record)
        ]
        if problems:
            raise PluginError("; ".join(problems))

    def registrations(self, hook: str) -> list[Owned]:
        """Ask every loaded plugin for one hook; a plugin that raises, hangs or returns nonsense becomes `failed`."""
        owned: list[Owned] = []
        for name, module in list(self._modules.items()):
            implementation = _implementations(module).get(hook)
            if implementation is not None:
                owned += [Owned(name, value) for value in self._ask(name, hook, implementation)]
        return owned

    def drivers(self, hook: str) -> dict[str, Owned]:
        """Return one hook's registrations by driver name. Raises PluginError naming both owners of a claimed name."""
        by_name: dict[str, Owned] = {}
        for owned in self.registrations(hook):
            name = owned.value.name
            taken = by_name.get(name)
            if taken is None:
                by_name[name] = owned
                continue
            reason = f"{hook}: driver name {name!r} is claimed by plugin {taken.owner} and by plugin {owned.owner}"
            self._fail(self.records[owned.owner], reason, breaks_contract=True)
            if self.config.on_contract_error == "fail":
                raise PluginError(f"{reason}; block one of them ([plugins] blocked = [...])")
        return by_name

    def driver(self, hook: str, name: str, config: Mapping[str, Any]) -> Any:
        """Build the driver of that name with its plugin's validated section. Raises PluginError listing known names."""
        known = self.drivers(hook)
        if name not in known:
            raise PluginError(f"{hook}: no driver named {name!r}; installed: {', '.join(sorted(known)) or 'none'}")
        owned = known[name]
        return owned.value.build({**self.section(owned.owner), **config})

    def section(self, plugin: str) -> dict[str, Any]:
        """Return a plugin's own configuration, validated by its schema. Raises ConfigError naming the plugin."""
        module = self._modules[plugin]
        implementation = _implementations(module).get("register_config_schema")
        declared = implementation() if implementation else None
        return validate_section(plugin, declared, self.config.config)

    def note_failure(self, plugin: str, reason: str, *, hangs: bool) -> None:
        """Keep why a call of a loaded plugin failed; one that hangs is `failed` from then on."""
        record = self.records[plugin]
        record.reason = reason
        if hangs:
            record.state = PluginState.FAILED

    def is_foreign(self, plugin: str) -> bool:
        """Say whether a plugin comes from another distribution than our own."""
        return self.records[plugin].distribution != OWN_DISTRIBUTION

    def owner_of(self, module: str) -> str:
        """Return the foreign plugin whose package a module is in, '' when none is."""
        package = module.partition(".")[0]
        for name in self._modules:
            if self.is_foreign(name) and self.records[name].module.partition(".")[0] == package:
                return name
        return ""

    def _guarded(self, plugin: str, hook: str, registration: Any) -> Any:
        """Give what a foreign plugin registers its guard: see `windlass.plugin.guarding`."""
        guard = GUARDS.get(hook)
        if guard is None or not self.is_foreign(plugin):
            return registration

        def build(config: Mapping[str, Any]) -> Any:
            built = registration.build(config)
            calls = PluginCalls(
                plugin,
                self.config.deadline_seconds,
                lambda why, hangs: self.note_failure(plugin, why, hangs=hangs),
            )
            return None if built is None else guard(built, calls)

        return replace(registration, build=build)

    def notify(self, hook: str, **arguments: Any) -> None:
        """Tell every loaded plugin; one that raises is logged and becomes `failed`."""
        for name, module in list(self._modules.items()):
            implementation = _implementations(module).get(hook)
            if implementation is not None:
                self._call(name, hook, lambda call=implementation: call(**arguments))  # type: ignore[misc]

    def inventory(self) -> list[dict[str, Any]]:
        """Return every record in wire form, drivers filled in."""
        for hook in REGISTERING_HOOKS:
            if hook in ("register_config_schema", "register_commands"):
                continue
            if hook == "register_kinds":
                self.registrations(hook)
                continue
            try:
                self.drivers(hook)
            except PluginError as error:
                log.warning("plugin_inventory_incomplete", hook=hook, error=str(error))
        return [self.records[name].as_dict() for name in sorted(self.records)]

    def _load_one(self, entry_point: metadata.EntryPoint) -> None:
        distribution, version = _distribution(entry_point)
        record = PluginRecord(entry_point.name, entry_point.module, distribution, version)
        taken = self.records.get(record.name)
        if taken is not None:
            self._fail(
                taken, f"the name is claimed by {taken.distribution} and by {distribution}", breaks_contract=True
            )
            return
        self.records[record.name] = record
        if record.name in self.config.blocked:
            record.state, record.reason = PluginState.BLOCKED, "blocked by the configuration"
        elif self.config.allowed is not None and record.name not in self.config.allowed:
            record.state, record.reason = PluginState.SKIPPED, "not in the configuration's allowed list"
        else:
            self._import(record, entry_point)

    def _import(self, record: PluginRecord, entry_point: metadata.EntryPoint) -> None:
        if self._probes_imports and record.distribution != OWN_DISTRIBUTION:
            problem = probe_import(record.module, self.config.deadline_seconds)
            if problem is not None:
                self._fail(record, problem.splitlines()[-1], trace=problem)
                return
        try:
            module = call_with_deadline(entry_point.load, self.config.deadline_seconds)
            record.spec_versions = tuple(getattr(module, "windlass_hookspec_versions", (hookspecs.SPEC_VERSION,)))
            record.hooks = sorted(_implementations(module))
        except BaseException as error:  # noqa: BLE001 - isolation: an import may raise anything
            self._fail(record, f"{type(error).__name__}: {error}", trace=traceback.format_exc())
            return
        broken = _broken_contract(module, record)
        if broken:
            self._fail(record, broken, breaks_contract=True)
            return
        record.state = PluginState.LOADED
        self._modules[record.name] = module

    def _find_missing(self) -> None:
        for name in self.config.required:
            if name not in self.records:
                self.records[name] = PluginRecord(name, "", "", "", reason="required, but not installed")

    def _is_fatal(self, record: PluginRecord) -> bool:
        return record.name in self.config.required or (
            record.breaks_contract and self.config.on_contract_error == "fail"
        )

    def _fail(self, record: PluginRecord, reason: str, *, trace: str = "", breaks_contract: bool = False) -> None:
        record.state, record.reason, record.traceback = PluginState.FAILED, reason, trace
        record.breaks_contract = breaks_contract
        log.error("plugin_failed", plugin=record.name, distribution=record.distribution, reason=reason)

    def _call(self, name: str, hook: str, call: Callable[[], Any]) -> Any:
        try:
            return call_with_deadline(call, self.config.deadline_seconds)
        except HungError as error:
            self._fail(self.records[name], f"{hook} {error}")
        except BaseException as error:  # noqa: BLE001 - isolation: a hook may raise anything
            self._fail(
                self.records[name], f"{hook} raised {type(error).__name__}: {error}", trace=traceback.format_exc()
            )
        return None

    def _ask(self, name: str, hook: str, implementation: Callable[[], Any]) -> Sequence[Any]:
        answer = self._call(name, hook, implementation)
        if answer is None:
            return ()
        if not isinstance(answer, list | tuple) or not all(
            hasattr(item, "name") or hasattr(item, "kind") for item in answer
        ):
            self._fail(
                self.records[name],
                f"{hook} must return a sequence of registrations, got {type(answer).__name__}",
                breaks_contract=True,
            )
            return ()
        record = self.records[name]
        record.drivers = sorted(
            {*record.drivers, *(f"{hook.removeprefix('register_')}/{_label(item)}" for item in answer)}
        )
        return [self._guarded(name, hook, item) for item in answer]


def _label(registration: Any) -> str:
    return str(getattr(registration, "name", None) or registration.kind)


def _distribution(entry_point: metadata.EntryPoint) -> tuple[str, str]:
    dist = entry_point.dist
    return (dist.name, dist.version) if dist is not None else ("unknown", "0")


def _implementations(module: ModuleType) -> dict[str, Callable[..., Any]]:
    """Return the functions of a plugin module that carry our hookimpl mark, by hook name."""
    marker = f"{hookspecs.PROJECT}_impl"
    return {
        getattr(function, marker).get("specname") or name: function
        for name, function in vars(module).items()
        if inspect.isroutine(function) and isinstance(getattr(function, marker, None), dict)
    }


def _broken_contract(module: ModuleType, record: PluginRecord) -> str:
    """Check a module against the hook specs by pluggy's own rules; return what is wrong, '' when nothing is."""
    if hookspecs.SPEC_VERSION not in record.spec_versions:
        supported = ", ".join(map(str, record.spec_versions))
        return f"supports hook-spec version {supported}; this windlass has {hookspecs.SPEC_VERSION}"
    scratch = pluggy.PluginManager(hookspecs.PROJECT)
    scratch.add_hookspecs(hookspecs)
    try:
        scratch.register(module, name=record.name)
        scratch.check_pending()
    except pluggy.PluginValidationError as error:
        return f"{error}; hooks of this windlass: {', '.join((*REGISTERING_HOOKS, 'on_startup', 'on_shutdown'))}"
    return ""
