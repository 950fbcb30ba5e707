"""A cluster of one node over a Docker daemon of the tests' own, whose agent, daemon and machine are made to fail."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from windlass.cli.datadir import DataDir
from windlass.testing.dockerd import PrivateDockerd
from windlass.testing.ports import free_port
from windlass_runtime.process.records import Records

WAIT_SECONDS = 120.0


@dataclass
class Machine:
    """The node's machine: API server and manager go on, agent and daemon may come and go."""

    data_dir: Path
    daemon: PrivateDockerd | None
    endpoint: str = ""
    cidr: str = "10.246.0.0/24"
    bridge: str = "wlnode0"
    port: int = field(default_factory=free_port)

    @property
    def dockerd(self) -> PrivateDockerd:
        assert self.daemon is not None
        return self.daemon

    @property
    def environment(self) -> dict[str, str]:
        kubeconfig = str(self.data_dir / "admin.kubeconfig")
        endpoint = {"DOCKER_HOST": self.endpoint} if self.endpoint else {}
        return {**os.environ, "KUBECONFIG": kubeconfig, "HOME": str(self.data_dir.parent), **endpoint}

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
        config = self.data_dir.parent / "windlass.toml"
        config.write_text(f'[plugins.config.windlass-network-bridge]\nbridge = "{self.bridge}"\n')
        options = ["--data-dir", str(self.data_dir), "--port", str(self.port), "--config", str(config)]
        options += ["--runtime", "docker" if self.daemon else "process", "--pod-cidr", self.cidr]
        windlass = [sys.executable, "-m", "windlass.cli", "up", "--node-name", "node1"]
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
        """Names of what the runtime has of a pod, sandbox included, in these states (or all)."""
        found = self._docker_containers(name) if self.daemon else self._process_containers(name)
        return [what for what, state in found if not states or state in states]

    def _docker_containers(self, name: str) -> list[tuple[str, str]]:
        label = f"label=io.kubernetes.pod.name={name}"
        rows = self.dockerd.docker("ps", "-a", "--format", "{{json .}}", "--filter", label).splitlines()
        return [(row["Names"], row["State"]) for row in map(json.loads, rows)]

    def _process_containers(self, name: str) -> list[tuple[str, str]]:
        records = Records(DataDir(self.data_dir).agent("node1") / "process")
        boxes = [(f"sandbox-{s.id}", s.labels, "running" if s.ready else "exited") for s in records.sandboxes()]
        members = [(f"{c.name}-{c.id}", c.labels, str(c.state)) for c in records.containers()]
        return [(n, state) for n, labels, state in [*boxes, *members] if labels["io.kubernetes.pod.name"] == name]

    def wait(self, probe: Callable[[], Any], timeout: float = WAIT_SECONDS) -> Any:
        deadline = time.monotonic() + timeout
        while not (value := probe()):
            assert time.monotonic() < deadline, f"not within {timeout} s: {probe}\n{self.agent_log()}"
            time.sleep(0.1)
        return value

    def wait_footprint(self, wanted: dict[str, list[str]]) -> None:
        """Wait until pods have left what they had found."""
        try:
            self.wait(lambda: self.footprint() == wanted, 30.0)
        except AssertionError:
            assert self.footprint() == wanted

    def agent_log(self) -> str:
        return (self.data_dir / "logs/hostagent.log").read_text(errors="replace")[-4000:]

    def footprint(self) -> dict[str, list[str]]:
        """What pods leave on a machine when they leave something: links, addresses, directories."""
        links = self.run("ip", "-o", "link", "show", "master", self.bridge, check=False).splitlines()
        agent = DataDir(self.data_dir).agent("node1")
        addresses = [
            p for p in agent.glob("network/ipam/**/*") if p.is_file() and "lock" not in p.name and p.name != ".last"
        ]
        return {
            "links": sorted(line.split()[1].split("@")[0] for line in links),
            "files": sorted(str(p.relative_to(agent)) for p in [*agent.glob("pods/*"), *addresses]),
        }


def sleeper(image: str = "busybox:local", **fields: Any) -> dict[str, Any]:
    script = "trap 'exit 0' TERM; while :; do sleep 0.1; done"
    return {"name": "main", "image": image, "imagePullPolicy": "Never", "command": ["sh", "-c", script], **fields}


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
        assert not Path(f"/sys/class/net/{machine.bridge}").exists()


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, dockerd: PrivateDockerd) -> Iterator[Machine]:
    yield from running(Machine(tmp_path_factory.mktemp("machine") / "data", dockerd, dockerd.endpoint))


@pytest.fixture(scope="module")
def bare_machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine without a daemon: the process runtime."""
    root = tmp_path_factory.mktemp("bare")
    yield from running(Machine(root / "data", None, cidr="10.247.0.0/24", bridge="wlnode1"))
