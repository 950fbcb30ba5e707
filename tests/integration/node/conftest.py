"""A cluster of one node over a Docker daemon of the tests' own, whose agent, daemon and machine are made to fail."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from windlass.testing.dockerd import PrivateDockerd

WAIT_SECONDS = 120.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Machine:
    """The node's machine: API server and manager go on, agent and daemon may come and go."""

    data_dir: Path
    dockerd: PrivateDockerd
    endpoint: str
    port: int = field(default_factory=free_port)

    @property
    def environment(self) -> dict[str, str]:
        kubeconfig = str(self.data_dir / "admin.kubeconfig")
        return {**os.environ, "KUBECONFIG": kubeconfig, "HOME": str(self.data_dir.parent), "DOCKER_HOST": self.endpoint}

    def run(self, *command: str, check: bool = True, text: str | None = None, **environment: str) -> str:
        result = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            input=text,
            env={**self.environment, **environment},
            timeout=WAIT_SECONDS,
        )
        assert not check or result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
        return result.stdout if check else result.stdout + result.stderr

    def up(self, failpoints: str = "") -> None:
        """Start what does not run; the agent with the failpoints armed."""
        options = ["--data-dir", str(self.data_dir), "--port", str(self.port), "--runtime", "docker"]
        windlass = [sys.executable, "-m", "windlass.cli", "up", "--node-name", "node1", "--pod-cidr", "10.246.0.0/24"]
        self.run(*windlass, *options, WINDLASS_FAILPOINTS=failpoints)

    def down(self) -> None:
        self.run(sys.executable, "-m", "windlass.cli", "down", "--data-dir", str(self.data_dir), "--purge", check=False)

    def record(self, name: str) -> dict[str, int]:
        found: dict[str, int] = json.loads((self.data_dir / "run" / f"{name}.json").read_text())
        return found

    def agent_runs(self) -> bool:
        try:
            stat = Path(f"/proc/{self.record('hostagent')['pid']}/stat").read_text()
        except OSError:
            return False
        return stat.rsplit(")", 1)[1].split()[0] not in "ZX"

    def kill_agent(self) -> None:
        os.kill(self.record("hostagent")["pid"], signal.SIGKILL)
        self.wait(lambda: not self.agent_runs())

    def kubectl(self, *arguments: str, check: bool = True, text: str | None = None) -> str:
        return self.run("kubectl", *arguments, check=check, text=text)

    def create(self, name: str, *containers: dict[str, Any], **spec: Any) -> None:
        body = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name},
            "spec": {"terminationGracePeriodSeconds": 2, "containers": list(containers), **spec},
        }
        self.kubectl("create", "-f", "-", text=json.dumps(body))

    def pod(self, name: str) -> Any:
        """The pod, None when there is none."""
        text = self.kubectl("get", "pod", name, "-o", "json", "--ignore-not-found")
        return json.loads(text) if text else None

    def main(self, name: str) -> Any:
        return ((self.pod(name) or {}).get("status", {}).get("containerStatuses") or [{}])[0]

    def is_ready(self, name: str) -> bool:
        conditions = (self.pod(name) or {}).get("status", {}).get("conditions") or ()
        return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)

    def node_condition(self) -> Any:
        node = json.loads(self.kubectl("get", "node", "node1", "-o", "json"))
        return next(c for c in node["status"]["conditions"] if c["type"] == "Ready")

    def containers(self, name: str, *states: str) -> list[str]:
        """Names of the daemon's containers of a pod, sandbox included, in these states (or all)."""
        found = json.loads(f"[{','.join(self._ps(name))}]")
        return [c["Names"] for c in found if not states or c["State"] in states]

    def _ps(self, name: str) -> list[str]:
        label = f"label=io.kubernetes.pod.name={name}"
        return self.dockerd.docker("ps", "-a", "--format", "{{json .}}", "--filter", label).splitlines()

    def wait(self, probe: Callable[[], Any], timeout: float = WAIT_SECONDS) -> Any:
        deadline = time.monotonic() + timeout
        while not (value := probe()):
            assert time.monotonic() < deadline, f"not within {timeout} s: {probe}\n{self.agent_log()}"
            time.sleep(0.1)
        return value

    def agent_log(self) -> str:
        return (self.data_dir / "logs/hostagent.log").read_text(errors="replace")[-4000:]

    def footprint(self) -> dict[str, list[str]]:
        """What pods leave on a machine when they leave something: links, addresses, directories."""
        links = self.run("ip", "-o", "link").splitlines()
        agent = self.data_dir / "hostagent" if (self.data_dir / "hostagent").exists() else self.data_dir
        return {
            "links": sorted(line.split()[1].split("@")[0] for line in links),
            "files": sorted(
                str(p.relative_to(agent))
                for pattern in ("**/pods/*", "**/ipam/**/*")
                for p in agent.glob(pattern)
                if "lock" not in p.name and p.is_file() | (p.parent.name == "pods")
            ),
        }


def sleeper(**fields: Any) -> dict[str, Any]:
    script = "trap 'exit 0' TERM; while :; do sleep 0.1; done"
    return {"name": "main", "image": "busybox:local", "command": ["sh", "-c", script], **fields}


@pytest.fixture(name="sleeper")
def sleeper_fixture() -> Callable[..., dict[str, Any]]:
    return sleeper


@pytest.fixture(scope="session")
def dockerd() -> Iterator[PrivateDockerd]:
    with PrivateDockerd.temporary() as daemon:
        daemon.import_busybox()
        yield daemon


def running(machine: Machine) -> Iterator[Machine]:
    try:
        machine.up()
        yield machine
    finally:
        print(machine.agent_log())
        machine.down()


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, dockerd: PrivateDockerd) -> Iterator[Machine]:
    yield from running(Machine(tmp_path_factory.mktemp("machine") / "data", dockerd, dockerd.endpoint))
