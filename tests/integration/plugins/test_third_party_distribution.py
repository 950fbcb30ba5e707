"""Windlass and a third party's distribution are built, installed into a fresh environment, used there, and uninstalled."""

import json
import os
import shutil
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples/plugins/require-labels"
SOURCES = ("core", "hostagent", "plugins")
PORT_PROBE = "import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1])"
CONFIG = '[plugins.config.require-labels]\nlabels = ["team", "cost-centre"]\n'


def run(*command, check=True, **kwargs):
    result = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, timeout=580, **kwargs
    )
    assert not check or result.returncode == 0, result.stdout + result.stderr
    return result


class Fresh:
    """A virtual environment that sees nothing of this one: neither its packages nor PYTHONPATH."""

    def __init__(self, root):
        self.root = root
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        run(sys.executable, "-m", "venv", root)

    def python(self, *arguments, check=True):
        return run(self.root / "bin/python", "-I", *arguments, check=check, env=self.environment, cwd=self.root)

    def pip(self, *arguments, check=True):
        return self.python("-m", "pip", "--disable-pip-version-check", *arguments, check=check)

    def windlass(self, *arguments, check=True):
        return run(self.root / "bin/windlass", *arguments, check=check, env=self.environment, cwd=self.root)

    def plugins(self):
        listed = json.loads(self.windlass("plugins", "list", "-o", "json").stdout)
        return {plugin["metadata"]["name"]: plugin for plugin in listed}


def build_wheel(source, target):
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q", "-w", target, source)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """Both wheels, built from copies: a build leaves directories behind."""
    root = tmp_path_factory.mktemp("wheels")
    house = root / "windlass"
    for name in SOURCES:
        shutil.copytree(ROOT / name, house / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, house / name)
    example = root / "example"
    shutil.copytree(EXAMPLE, example, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "build"))
    for source in (house, example):
        build_wheel(source, root)
    return root


@pytest.fixture(scope="module")
def fresh(tmp_path_factory, wheels):
    """Windlass installed from its wheel, with everything it depends on from the package index (or pip's cache)."""
    fresh = Fresh(tmp_path_factory.mktemp("fresh"))
    probe = fresh.pip(
        "download", "-q", "--no-deps", "--retries", "1", "-d", fresh.root / "probe", "pluggy", check=False
    )
    if probe.returncode != 0:
        pytest.skip(f"no package index can be reached: {probe.stderr.strip().splitlines()[-1]}")
    fresh.pip("install", "-q", next(wheels.glob("windlass-*.whl")))
    return fresh


def test_it_is_the_wheel_that_is_used(fresh):
    place = fresh.python("-c", "import windlass, windlass_hostagent; print(windlass.__file__)").stdout
    assert place.startswith(str(fresh.root))
    assert fresh.windlass("version").stdout.startswith("windlass ")
    states = {name: plugin["status"]["state"] for name, plugin in fresh.plugins().items()}
    assert len(states) >= 10
    assert set(states.values()) == {"loaded"}


def post(fresh, port, path, body):
    """POST as the administrator; return (code, answer)."""
    pki = fresh.root / "data/pki"
    context = ssl.create_default_context(cafile=pki / "ca.crt")
    context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
    request = urllib.request.Request(
        f"https://127.0.0.1:{port}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, context=context, timeout=30) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.loads(refused.read())


def test_install_use_uninstall(fresh, wheels):
    assert "require-labels" not in fresh.plugins()
    fresh.pip("install", "-q", "--find-links", wheels, next(wheels.glob("windlass_require_labels-*.whl")))
    plugin = fresh.plugins()["require-labels"]
    assert plugin["status"]["state"] == "loaded"
    assert plugin["status"]["drivers"] == ["admission_plugins/RequireLabels"]
    assert fresh.windlass("plugins", "info", "require-labels").stdout.startswith("Name:")
    uses_it(fresh)

    fresh.pip("uninstall", "-y", "-q", "windlass-require-labels")
    assert "require-labels" not in fresh.plugins()


def uses_it(fresh):
    """A whole cluster of the fresh environment obeys the plugin and its configuration; a wrong one is refused."""
    config, port = fresh.root / "windlass.toml", run(sys.executable, "-c", PORT_PROBE).stdout.strip()
    data = ("--data-dir", fresh.root / "data")
    up = ("up", *data, "--port", port, "--runtime", "hollow", "--store", "memory", "--config", config)
    config.write_text("[plugins.config.require-labels]\nlabel = []\n")
    refused = fresh.windlass(*up, check=False)
    assert refused.returncode == 1
    assert "require-labels" in refused.stderr
    config.write_text(CONFIG)
    try:
        fresh.windlass(*up)
        pod = {
            "metadata": {"name": "p", "labels": {"team": "a"}},
            "spec": {"containers": [{"name": "c", "image": "i"}]},
        }
        code, status = post(fresh, port, "/api/v1/namespaces/default/pods", pod)
        assert (code, "requires the label 'cost-centre'" in status["message"]) == (422, True)
        pod["metadata"]["labels"]["cost-centre"] = "7"
        assert post(fresh, port, "/api/v1/namespaces/default/pods", pod)[0] == 201
    finally:
        fresh.windlass("down", *data, "--purge")


def test_its_own_tests_pass_with_windlass_installed():
    run(sys.executable, "-m", "pytest", "-q", "tests", cwd=EXAMPLE)
