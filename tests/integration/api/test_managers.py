"""Managers that are frozen, held up from within, and killed: another goes on, and nothing is done twice."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

LEASE_SECONDS = 2
GUARD_SECONDS = 120
LEASE = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/windlass-manager"
REPLICAS = 200
DEPLOYMENT = {
    "metadata": {"name": "many"},
    "spec": {
        "replicas": REPLICAS,
        "selector": {"matchLabels": {"app": "many"}},
        "template": {
            "metadata": {"labels": {"app": "many"}},
            "spec": {"containers": [{"name": "main", "image": "busybox:local"}]},
        },
    },
}
HOLDER = """
    import asyncio, ctypes, os
    from windlass.plugin.hookspecs import hookimpl
    from windlass.plugin.interfaces.controller import ControllerRegistration

    class Holder:
        async def run(self):
            while not os.path.exists(os.environ["HOLD"]):
                await asyncio.sleep(0.02)
            os.unlink(os.environ["HOLD"])
            ctypes.PyDLL(None).sleep(%d)  # a C call that keeps the interpreter's lock
            await asyncio.Event().wait()

    @hookimpl
    def register_controllers():
        return [ControllerRegistration("holder", lambda context: Holder())]
"""


def until(probe):
    """Ask until the answer is true; the guard only catches a hang."""
    guard = time.monotonic() + GUARD_SECONDS
    while not (value := probe()):
        assert time.monotonic() < guard, "nothing happened"
        time.sleep(0.05)
    return value


class ManagerProcess:
    """A real `windlass manager`."""

    def __init__(self, api, root, name, environment):
        self.log = root / f"{name}.log"
        command = [sys.executable, "-m", "windlass.cli", "manager", "--port", "0"]
        options = ["--kubeconfig", str(api.data_dir.kubeconfig("manager")), "--lease-seconds", str(LEASE_SECONDS)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *options], stdout=log, stderr=log, env={**os.environ, **environment}
            )

    def events(self):
        """Names of what it has logged, in order."""
        lines = self.log.read_text(errors="replace").splitlines()
        return [json.loads(line).get("event") for line in lines if line.startswith("{")]

    def wait(self, event):
        def look():
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            return event in self.events()

        until(look)

    def kill(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait(30)


@pytest.fixture
def managers(api, tmp_path):
    started = []

    def start(name, **environment):
        started.append(ManagerProcess(api, tmp_path, name, environment))
        return started[-1]

    yield start
    for manager in started:
        manager.kill()
    api.request("DELETE", LEASE)


@pytest.fixture
def holder(tmp_path):
    """An installed distribution with a controller that keeps the interpreter's lock when told to; its environment."""
    (tmp_path / "holder_plugin.py").write_text(textwrap.dedent(HOLDER % (3 * LEASE_SECONDS)))
    info = tmp_path / "holder-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: holder\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[windlass]\nholder = holder_plugin\n")
    return {"PYTHONPATH": str(tmp_path), "HOLD": str(tmp_path / "hold")}


def names(api, path):
    return [item["metadata"]["name"] for item in api.request("GET", path).expect(200)["items"]]


@pytest.mark.parametrize("how", ["stopped", "holds-the-lock"])
def test_a_frozen_leader_does_nothing_twice(api, namespace, managers, holder, how):
    """R09, R10: frozen in the middle of a rollout; the stand-by finishes it; the old leader's writes are refused."""
    pods = f"/api/v1/namespaces/{namespace}/pods"
    since = api.revision()
    old = managers("old", **holder)
    old.wait("leading")
    held = api.request("GET", LEASE).expect(200)["spec"]
    new = managers("new")
    api.request("POST", f"/apis/apps/v1/namespaces/{namespace}/deployments", DEPLOYMENT).expect(201)
    until(lambda: len(names(api, pods)) >= 20)
    if how == "stopped":
        old.process.send_signal(signal.SIGSTOP)
    else:
        with open(holder["HOLD"], "w"):
            pass
    new.wait("leading")
    old.process.send_signal(signal.SIGCONT)
    old.wait("leading_ended")
    until(lambda: len(names(api, pods)) >= REPLICAS)
    claim = f"kube-system/windlass-manager/{held['holderIdentity']}/{held['leaseTransitions']}"
    stale = {"metadata": {"name": "stale"}}
    refused = api.request(
        "POST", f"/api/v1/namespaces/{namespace}/configmaps", stale, headers={"Windlass-Fence": claim}
    )
    assert "fenced off" in refused.expect(409)["message"]
    stream = api.watch(pods, f"resourceVersion={since}")
    seen = stream.take(REPLICAS)
    while {event["object"]["metadata"]["uid"] for event in seen if event["type"] == "ADDED"} != uids(api, pods):
        seen.append(stream.next())
    stream.close()
    kinds = Counter(event["type"] for event in seen)
    assert kinds["ADDED"] == REPLICAS
    assert kinds["DELETED"] == 0


def uids(api, path):
    return {item["metadata"]["uid"] for item in api.request("GET", path).expect(200)["items"]}


def test_a_namespace_of_thousands_goes_though_managers_are_killed(api, namespace, managers):
    """R13: 5,000 objects; SIGKILL in the middle; whoever comes next goes on where it was."""
    configmaps = f"/api/v1/namespaces/{namespace}/configmaps"
    with ThreadPoolExecutor(8) as writers:
        list(writers.map(lambda part: fill(api, configmaps, part), range(8)))
    assert left(api, configmaps) == 5_000
    api.request("DELETE", f"/api/v1/namespaces/{namespace}").expect(200)
    manager = managers("first")
    until(lambda: left(api, configmaps) < 4_500)
    manager.kill()
    assert left(api, configmaps) > 0, "killed too late to be in the middle"
    managers("last")
    until(lambda: api.request("GET", f"/api/v1/namespaces/{namespace}").status == 404)
    assert left(api, configmaps) == 0


def left(api, path):
    listed = api.request("GET", f"{path}?limit=1")
    if listed.status == 404:
        return 0
    return len(listed.json["items"]) + listed.json["metadata"].get("remainingItemCount", 0)


def fill(api, path, part):
    """Make an eighth of the objects over one connection."""
    with api.connect() as connection:
        for number in range(625):
            body = json.dumps({"metadata": {"name": f"c{part}-{number}"}}).encode()
            fields = {"Host": "api", "Content-Type": "application/json", "Content-Length": str(len(body))}
            connection.sendall(api.head("POST", path, fields) + body)
            api.read_answer(connection).expect(201)
