"""The agent is killed between any two side effects: a new one goes on, once, and leaves nothing behind."""

import re
from pathlib import Path

import pytest

import windlass_hostagent
from windlass_hostagent.failpoints import NAMES

pytestmark = [pytest.mark.root, pytest.mark.kubectl]

HOOKS = {
    "postStart": {"exec": {"command": ["true"]}},
    "preStop": {"exec": {"command": ["true"]}},
}


def until(machine, done):
    """Wait; when the agent has died meanwhile, start another one. Return how many died."""
    deaths = 0
    while not machine.wait(lambda: done() or not machine.agent_runs()) or not machine.agent_runs():
        deaths += 1
        machine.up()
    machine.wait(done)
    return deaths


def survive(machine, victim, name):
    """Kill the agent once at a failpoint in the life of a pod, and look at what there is before and after."""
    before = machine.footprint()
    machine.kill_agent()
    machine.up(failpoints=f"{name}=crash")
    machine.create("victim", victim)
    deaths = until(machine, lambda: machine.is_ready("victim"))
    assert len(machine.containers("victim")) == 2
    assert len(machine.containers("victim", "running")) == 2
    assert machine.main("victim")["restartCount"] == 0
    machine.kubectl("delete", "pod", "victim", "--wait=false")
    deaths += until(machine, lambda: machine.pod("victim") is None)
    assert deaths == 1
    machine.wait(lambda: machine.containers("victim") == [])
    machine.wait_footprint(before)


@pytest.mark.docker
@pytest.mark.parametrize("name", sorted(NAMES))
def test_killed_at(machine, sleeper, name):
    """N58: exactly one set of containers, never restarted; nothing leaks."""
    survive(machine, sleeper(lifecycle=HOOKS), name)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_killed_at_without_a_daemon(bare_machine, sleeper, name):
    """N58, with the process runtime."""
    survive(bare_machine, sleeper("host", lifecycle=HOOKS), name)


def test_every_failpoint_is_tried():
    """N58: a failpoint that no test passes is a hole."""
    source = Path(windlass_hostagent.__file__).parent
    assert {n for p in source.rglob("*.py") for n in re.findall(r'fail_point\("([^"]+)"\)', p.read_text())} == NAMES


@pytest.mark.docker
def test_what_runs_goes_on_while_the_agent_is_down(machine, sleeper):
    """N59: the same containers with the same start, and a status that catches up."""
    machine.create("stays", sleeper())
    machine.create("ends", sleeper(command=["sh", "-c", "sleep 3"]), restartPolicy="Never")
    machine.wait(lambda: machine.is_ready("stays"))
    machine.wait(lambda: machine.pod("ends")["status"]["phase"] == "Running")
    before = machine.main("stays")
    machine.kill_agent()
    machine.wait(lambda: len(machine.containers("ends", "running")) == 1)
    machine.up()
    machine.wait(lambda: machine.pod("ends")["status"]["phase"] == "Succeeded")
    assert machine.main("stays") == before
    for name in ("stays", "ends"):
        machine.kubectl("delete", "pod", name, "--timeout=60s")
