"""What a host agent owes a pod does not depend on the store: these tests run over one of them."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    doubled = [
        item
        for item in items
        if here in item.path.parents
        and getattr(item, "callspec", None)
        and item.callspec.params.get("store") == "zookeeper"
    ]
    if doubled:
        config.hook.pytest_deselected(items=doubled)
        items[:] = [item for item in items if item not in doubled]


class Pods:
    """Pods of one namespace, as a user sees them."""

    def __init__(self, cluster: Any, namespace: str) -> None:
        self.cluster = cluster
        self.namespace = namespace

    def kubectl(self, *arguments: str, check: bool = True, text: str | None = None) -> str:
        return str(self.cluster.kubectl("-n", self.namespace, *arguments, check=check, text=text))

    def create(self, name: str, *containers: dict[str, Any], **spec: Any) -> None:
        body = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": {"app": name}},
            "spec": {"terminationGracePeriodSeconds": 5, "containers": list(containers), **spec},
        }
        self.kubectl("create", "-f", "-", text=json.dumps(body))

    def get(self, name: str) -> Any:
        return json.loads(self.kubectl("get", "pod", name, "-o", "json"))

    def status(self, name: str) -> Any:
        return self.get(name)["status"]

    def main(self, name: str) -> Any:
        """The status of the first container."""
        return (self.status(name).get("containerStatuses") or [{"state": {}, "restartCount": 0, "ready": False}])[0]

    def until(self, probe: Callable[[], Any], timeout: float = 90.0) -> Any:
        return self.cluster.wait(probe, timeout)

    def until_phase(self, name: str, phase: str) -> Any:
        self.kubectl("wait", f"pod/{name}", f"--for=jsonpath={{.status.phase}}={phase}", "--timeout=90s")
        return self.status(name)

    def until_ready(self, name: str) -> Any:
        self.kubectl("wait", f"pod/{name}", "--for=condition=Ready", "--timeout=90s")
        return self.status(name)

    def events(self, name: str) -> set[tuple[str, str]]:
        found = json.loads(
            self.kubectl("get", "events", "--field-selector", f"involvedObject.name={name}", "-o", "json")
        )
        return {(e["reason"], e["message"]) for e in found["items"]}

    def logs(self, name: str, *arguments: str) -> str:
        return self.kubectl("logs", name, *arguments, check=False)


def shell(name: str, script: str, **fields: Any) -> dict[str, Any]:
    """A busybox container that runs a script."""
    return {"name": name, "image": "busybox:local", "command": ["sh", "-c", script], **fields}


@pytest.fixture
def pods(cluster: Any, namespace: str) -> Pods:
    return Pods(cluster, namespace)


@pytest.fixture
def pods_of() -> type[Pods]:
    """For tests that choose their cluster themselves."""
    return Pods


@pytest.fixture(name="shell")
def shell_fixture() -> Callable[..., dict[str, Any]]:
    return shell


RECORDER = """
busybox mkdir -p /www/cgi-bin
printf '#!/bin/sh\\necho "$REQUEST_METHOD $QUERY_STRING" > /proc/1/fd/1\\nprintf "\\\\r\\\\nok"\\n' > /www/cgi-bin/write
busybox chmod 755 /www/cgi-bin/write
exec httpd -f -p 8080 -h /www
"""


@pytest.fixture
def recorder(pods: Pods) -> Callable[[], str]:
    """A server pod that logs what is asked of it; call it for its address."""
    pods.create("recorder", shell("main", RECORDER, readinessProbe={"tcpSocket": {"port": 8080}}))

    def address() -> str:
        pods.until(lambda: pods.status("recorder").get("podIP"))
        pods.until_ready("recorder")
        return str(pods.status("recorder")["podIP"])

    return address


@pytest.fixture
def process_pods(process_cluster: Any) -> Iterator[Pods]:
    """The same without a daemon: pods of the machine's own file system."""
    name = f"t-{os.urandom(4).hex()}"
    process_cluster.kubectl("create", "namespace", name)
    yield Pods(process_cluster, name)
    process_cluster.kubectl("delete", "namespace", name, "--wait=false")
