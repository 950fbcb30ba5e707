"""What a process does not use it does not import: every megabyte counts four times in an idle cluster."""

import subprocess
import sys

import pytest

HEAVY = "docker requests pyroute2 aiohttp numpy kazoo falcon uvicorn cryptography rich windlass_runtime.docker.driver"
CASES = {
    "plugins": (
        "from windlass.plugin.manager import PluginManager; m = PluginManager(); m.load(); m.drivers('register_runtimes')",
        HEAVY,
    ),
    "apiserver": ("import windlass.api.worker", "docker requests pyroute2 aiohttp numpy kazoo cryptography rich"),
    "arbiter": ("import windlass.api.server", f"{HEAVY} structlog windlass.api.app"),
    "manager": ("import windlass.controlplane.main", "docker requests pyroute2 kazoo falcon uvicorn cryptography rich"),
    "hostagent": ("import windlass_hostagent.main", "docker requests pyroute2 numpy kazoo cryptography rich"),
    "command": ("import windlass.cli.main", HEAVY),
}


@pytest.mark.parametrize("name", CASES)
def test_nothing_heavy_is_imported(name):
    program, heavy = CASES[name]
    program += f"; import sys; print([name for name in {heavy.split()} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout == "[]\n", done.stderr
