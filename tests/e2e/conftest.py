"""Whole clusters: real processes started by `windlass up`, a real Docker daemon, an unmodified kubectl."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from windlass.testing.dockerd import PrivateDockerd
from windlass.testing.ports import free_port
from windlass.testing.zookeeper import Ensemble

COMMAND_TIMEOUT = 240


@dataclass
class Cluster:
    """A running cluster and the commands that talk to it."""

    data_dir: Path
    port: int
    environment: dict[str, str]
    store: str = "sqlite"
    runtime: str = "docker"
    extra: list[str] = field(default_factory=list)
    gateway: str = "10.244.0.1"

    def windlass(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, "-m", "windlass.cli", *arguments, check=check)

    def up(self) -> str:
        return self.windlass(
            "up",
            "--data-dir",
            str(self.data_dir),
            "--port",
            str(self.port),
            "--store",
            self.store,
            "--runtime",
            self.runtime,
            "--node-name",
            "node1",
            *self.extra,
        ).stdout

    def down(self, *arguments: str) -> None:
        self.windlass("down", "--data-dir", str(self.data_dir), *arguments)

    def run(
        self, *command: str, check: bool = True, text: str | None = None, timeout: float = COMMAND_TIMEOUT
    ) -> subprocess.CompletedProcess[str]:
        result = subprocess.run(
            command, capture_output=True, text=True, check=False, input=text, env=self.environment, timeout=timeout
        )
        assert not check or result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
        return result

    def kubectl(self, *arguments: str, check: bool = True, text: str | None = None) -> str:
        result = self.run("kubectl", *arguments, check=check, text=text)
        return result.stdout if check else result.stdout + result.stderr

    def get(self, *arguments: str) -> Any:
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def process(self, name: str) -> int:
        return int(json.loads((self.data_dir / "run" / f"{name}.json").read_text())["pid"])

    def wait(self, probe: Callable[[], Any], timeout: float = 120.0) -> Any:
        """Wait for something that only a command can tell."""
        deadline = time.monotonic() + timeout
        while not (value := probe()):
            assert time.monotonic() < deadline, f"not within {timeout} s: {probe}"
            time.sleep(0.1)
        return value


@pytest.fixture(scope="session")
def dockerd() -> Iterator[PrivateDockerd]:
    """A daemon of our own with the image busybox:local."""
    with PrivateDockerd.temporary() as daemon:
        daemon.import_busybox()
        yield daemon


def _cluster(root: Path, dockerd: PrivateDockerd | None, **options: Any) -> Cluster:
    data_dir = root / "data"
    environment = {
        **os.environ,
        "KUBECONFIG": str(data_dir / "admin.kubeconfig"),
        "HOME": str(root),
        "KUBECTL_COMMAND_HEADERS": "false",
    }
    if dockerd is not None:
        environment["DOCKER_HOST"] = dockerd.endpoint
    return Cluster(data_dir, free_port(), environment, **options)


def _own_network(root: Path, name: str, second_octet: int) -> tuple[str, dict[str, Any]]:
    """Return a bridge's name and the options of a cluster that uses it: other clusters may run on this machine."""
    bridge = f"wl{name}{os.getpid() % 100_000}"
    config = root / "windlass.toml"
    config.write_text(f'[plugins.config.windlass-network-bridge]\nbridge = "{bridge}"\n')
    subnet = f"10.{second_octet}.{os.getpid() % 256}"
    extra = ["--pod-cidr", f"{subnet}.0/24", "--config", str(config)]
    return bridge, {"extra": extra, "gateway": f"{subnet}.1"}


def _running(cluster: Cluster) -> Iterator[Cluster]:
    try:
        cluster.up()
        yield cluster
    finally:
        logs = {
            path.name: path.read_text(errors="replace")[-3000:] for path in (cluster.data_dir / "logs").glob("*.log")
        }
        for name, text in logs.items():
            print(f"--- {name}\n{text}")
        cluster.down("--purge")
        assert not cluster.data_dir.exists()


@pytest.fixture(scope="session")
def ensemble(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ensemble]:
    """A real ensemble of three JVMs."""
    ensemble = Ensemble(tmp_path_factory.mktemp("zk"), size=3)
    ensemble.start()
    try:
        yield ensemble
    finally:
        ensemble.stop()


@pytest.fixture(scope="session", params=["sqlite", pytest.param("zookeeper", marks=pytest.mark.zookeeper)])
def store(request: pytest.FixtureRequest) -> str:
    """Everything over one store, then everything over the other: pytest sorts the tests by it."""
    return str(request.param)


def _store_url(request: pytest.FixtureRequest, store: str, root: Path) -> str:
    return store if store == "sqlite" else f"zookeeper://{request.getfixturevalue('ensemble').hosts}/{root.name}"


@pytest.fixture(scope="session")
def hollow_cluster(
    request: pytest.FixtureRequest, store: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """Pods pretended. One cluster per store for all modules."""
    root = tmp_path_factory.mktemp(f"hollow-{store}")
    yield from _running(_cluster(root, None, runtime="hollow", store=_store_url(request, store, root)))


@pytest.fixture(scope="session")
def cluster(
    request: pytest.FixtureRequest, store: str, tmp_path_factory: pytest.TempPathFactory, dockerd: PrivateDockerd
) -> Iterator[Cluster]:
    """Real containers in a Docker daemon of our own. One cluster per store for all modules."""
    root = tmp_path_factory.mktemp(store)
    _, network = _own_network(root, "d", 246)
    yield from _running(_cluster(root, dockerd, store=_store_url(request, store, root), **network))


@pytest.fixture(scope="module")
def process_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Real containers without a daemon."""
    root = tmp_path_factory.mktemp("process")
    bridge, network = _own_network(root, "p", 245)
    yield from _running(_cluster(root, None, runtime="process", **network))
    links = subprocess.run(["ip", "-o", "link"], check=True, capture_output=True, text=True).stdout
    assert f" {bridge}:" not in links


@pytest.fixture(scope="module", params=["process", pytest.param("docker", marks=pytest.mark.docker)])
def hosts_cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three hosts on this machine, each a network namespace with an agent (and a Docker daemon) of its own."""
    root = tmp_path_factory.mktemp(f"hosts-{request.param}")
    config = root / "windlass.toml"
    subnet = f"10.{200 + os.getpid() % 40}.0.0/16"
    config.write_text(f'[plugins.config.windlass-controllers]\ncluster_cidrs = ["{subnet}"]\n')
    extra = ["--nodes", "3", "--config", str(config)]
    yield from _running(_cluster(root, None, runtime=request.param, extra=extra))


@pytest.fixture
def namespace(request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace for one test, deleted afterwards."""
    cluster = next(
        request.getfixturevalue(name)
        for name in ("cluster", "hollow_cluster", "process_cluster", "hosts_cluster")
        if name in request.fixturenames
    )
    name = f"t-{os.urandom(4).hex()}"
    cluster.kubectl("create", "namespace", name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def manifest(tmp_path: Path) -> Callable[..., str]:
    """Write a Deployment manifest and return its path."""

    def write(name: str = "web", replicas: int = 3, image: str = "busybox:local", **container: Any) -> str:
        body = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": {"app": name}},
                "template": {
                    "metadata": {"labels": {"app": name}},
                    "spec": {
                        "terminationGracePeriodSeconds": 1,
                        "containers": [
                            {
                                "name": "main",
                                "image": image,
                                "command": [
                                    "sh",
                                    "-c",
                                    "trap 'exit 0' TERM; echo started; httpd -p 8080 -h /; while :; do sleep 1; done",
                                ],
                                "resources": {
                                    "requests": {"cpu": "10m", "memory": "8Mi"},
                                    "limits": {"cpu": "100m", "memory": "32Mi"},
                                },
                                **container,
                            }
                        ],
                    },
                },
            },
        }
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(body))
        return str(path)

    return write


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.kubectl)
