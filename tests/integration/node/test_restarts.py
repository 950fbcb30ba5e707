"""The Docker daemon is killed and comes back; the machine loses power and comes back."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from windlass.testing.dockerd import PrivateDockerd

pytestmark = [pytest.mark.docker, pytest.mark.root, pytest.mark.kubectl, pytest.mark.busybox]


@pytest.fixture(scope="module")
def dockerd():
    """A daemon whose containers outlive it, as where a service manager runs containerd apart."""
    with PrivateDockerd.temporary(separate_containerd=True) as daemon:
        daemon.import_busybox()
        yield daemon


@pytest.fixture
def pod(machine, sleeper):
    machine.create("target", sleeper())
    machine.wait(lambda: machine.is_ready("target"))
    yield "target"
    machine.kubectl("delete", "pod", "target", "--timeout=60s", "--ignore-not-found")


def runs_again(machine, pod, before):
    """The pod is Ready after exactly one more start, with one set of containers and as many addresses as before."""
    machine.wait(lambda: machine.main(pod).get("restartCount") == 1 and machine.is_ready(pod))
    assert machine.main(pod)["containerID"] != before["containerID"]
    assert len(machine.containers(pod, "running")) == 2


def test_the_daemon_is_killed(machine, pod):
    """N60: the pod is back with one restart more, and holds one address."""
    before, footprint = machine.main(pod), machine.footprint()
    machine.dockerd.kill()
    machine.wait(lambda: machine.node_condition()["status"] == "False")
    machine.dockerd.start()
    runs_again(machine, pod, before)
    machine.wait(lambda: machine.node_condition()["status"] == "True")
    after = machine.footprint()
    assert {what: len(names) for what, names in after.items()} == {what: len(names) for what, names in footprint.items()}


def test_the_machine_loses_power(machine, pod):
    """N74: all processes end at once, links and what lies in memory are gone; the cluster starts and converges."""
    before, footprint = machine.main(pod), machine.footprint()
    records = [machine.record(path.stem) for path in (machine.data_dir / "run").glob("*.json")]
    for record in records:
        os.kill(record["pid"], signal.SIGKILL)
    machine.dockerd.power_off()
    subprocess.run(["ip", "link", "delete", machine.bridge], check=True)
    assert not Path(f"/sys/class/net/{machine.bridge}").exists()

    machine.dockerd.start()
    machine.up()
    runs_again(machine, pod, before)
    after = machine.footprint()
    assert {what: len(names) for what, names in after.items()} == {what: len(names) for what, names in footprint.items()}
