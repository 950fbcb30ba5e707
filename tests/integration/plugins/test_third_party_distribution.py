"""A third party's distribution is built, installed into a fresh environment, used there, and uninstalled."""

import json
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[3] / "examples/plugins/require-labels"


def run(*command, check=True, **kwargs):
    result = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, timeout=300, **kwargs
    )
    assert not check or result.returncode == 0, result.stdout + result.stderr
    return result


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """An environment of its own; windlass and what it depends on are seen through this one's site-packages."""
    root = tmp_path_factory.mktemp("fresh")
    run(sys.executable, "-m", "venv", root)
    site = next((root / "lib").glob("python3*/site-packages"))
    (site / "windlass-under-test.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    return root / "bin"


def inventory(fresh):
    output = run(fresh / "python", "-m", "windlass.cli", "plugins", "list", "-o", "json").stdout
    return {plugin["metadata"]["name"]: plugin for plugin in json.loads(output)}


USE = """
import sys
from windlass.config import load_config
from windlass.plugin.manager import PluginManager
from pathlib import Path
manager = PluginManager(load_config(Path(sys.argv[1])).plugins)
manager.load(); manager.check()
plugin = manager.driver("register_admission_plugins", "RequireLabels", {})
print(plugin._labels)
"""


def test_build_install_use_uninstall(fresh, tmp_path):
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q", "-w", tmp_path, EXAMPLE)
    wheel = next(tmp_path.glob("*.whl"))
    assert "require-labels" not in inventory(fresh)

    run(fresh / "pip", "install", "--no-deps", "-q", wheel)
    plugin = inventory(fresh)["require-labels"]
    assert plugin["status"]["state"] == "loaded"
    assert plugin["status"]["drivers"] == ["admission_plugins/RequireLabels"]
    config = tmp_path / "windlass.toml"
    config.write_text('[plugins.config.require-labels]\nlabels = ["team", "cost-centre"]\n')
    assert "cost-centre" in run(fresh / "python", "-c", USE, config).stdout
    config.write_text("[plugins.config.require-labels]\nlabel = []\n")
    assert "plugin require-labels" in run(fresh / "python", "-c", USE, config, check=False).stderr
    assert run(fresh / "python", "-m", "windlass.cli", "plugins", "info", "require-labels").stdout.startswith("Name:")

    run(fresh / "pip", "uninstall", "-y", "-q", "windlass-require-labels")
    assert "require-labels" not in inventory(fresh)


def test_its_own_tests_pass_with_windlass_installed():
    run(sys.executable, "-m", "pytest", "-q", EXAMPLE / "tests", cwd=EXAMPLE)
