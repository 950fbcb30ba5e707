"""The Docker daemon dies, stops, hangs for one container, or is used behind the agent's back."""

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

pytestmark = [pytest.mark.docker, pytest.mark.root, pytest.mark.kubectl]


@pytest.fixture
def pod(machine, sleeper):
    machine.create("target", sleeper())
    machine.wait(lambda: machine.is_ready("target"))
    yield "target"
    machine.kubectl("delete", "pod", "target", "--timeout=60s", "--ignore-not-found")


def test_the_daemon_stands_still(machine, pod):
    """N61: the node says so, and nothing is started twice when the daemon goes on."""
    assert machine.dockerd.process is not None
    before = machine.main(pod)
    os.kill(machine.dockerd.process.pid, signal.SIGSTOP)
    try:
        machine.wait(lambda: machine.node_condition()["status"] == "False")
        assert "container runtime is down" in machine.node_condition()["message"]
    finally:
        os.kill(machine.dockerd.process.pid, signal.SIGCONT)
    machine.wait(lambda: machine.node_condition()["status"] == "True")
    assert machine.main(pod)["containerID"] == before["containerID"]
    assert len(machine.containers(pod)) == 2


@pytest.mark.parametrize("verb", ["rm -f", "stop -t 0", "kill"])
def test_a_container_is_ended_behind_our_back(machine, pod, verb):
    """N63."""
    container = machine.main(pod)["containerID"].removeprefix("docker://")
    count = machine.main(pod)["restartCount"]
    machine.dockerd.docker(*verb.split(), container)
    machine.wait(lambda: machine.main(pod).get("restartCount") == count + 1 and machine.is_ready(pod))


def test_the_sandbox_is_removed_behind_our_back(machine, pod):
    """N63."""
    (sandbox,) = [name for name in machine.containers(pod) if "POD" in name or "main" not in name]
    machine.dockerd.docker("rm", "-f", sandbox)
    machine.wait(lambda: machine.main(pod).get("restartCount") == 1 and machine.is_ready(pod))
    assert len(machine.containers(pod, "running")) == 2


def test_a_renamed_container_is_still_ours_and_a_foreign_one_is_not(machine, pod):
    """N63."""
    container = machine.main(pod)["containerID"].removeprefix("docker://")
    foreign = machine.dockerd.docker("run", "-d", "--network=none", "busybox:local", "sleep", "1000").strip()
    machine.dockerd.docker("rename", container, "somebody")
    machine.kubectl("delete", "pod", pod, "--timeout=60s")
    machine.wait(lambda: container[:12] not in machine.dockerd.docker("ps", "-aq"))
    machine.kill_agent()
    machine.up()
    assert foreign[:12] in machine.dockerd.docker("ps", "-q")
    machine.dockerd.docker("rm", "-f", foreign)


def test_a_paused_container_does_not_hold_up_its_deletion(machine, pod):
    """N63."""
    container = machine.main(pod)["containerID"].removeprefix("docker://")
    machine.dockerd.docker("pause", container)
    machine.kubectl("delete", "pod", pod, "--timeout=90s")
    machine.wait(lambda: machine.containers(pod) == [])


class HangingProxy:
    """Passes Docker's API on, but never answers an inspect of one container."""

    def __init__(self, path: Path, upstream: Path) -> None:
        self.path, self.upstream = path, upstream
        self.victim = b"nobody"
        self.hung: list[socket.socket] = []
        self._closing = threading.Event()
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(path))
        self._server.listen(256)
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            self._threads.append(threading.Thread(target=self._serve, args=(client,), daemon=True))
            self._threads[-1].start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as upstream:
            upstream.connect(str(self.upstream))
            answers = threading.Thread(target=self._copy, args=(upstream, client), daemon=True)
            answers.start()
            with suppress(OSError):
                self._ask(client, upstream)
            with suppress(OSError):
                upstream.shutdown(socket.SHUT_RDWR)
            answers.join()

    def _ask(self, client: socket.socket, upstream: socket.socket) -> None:
        while data := client.recv(65536):
            if b"/containers/" + self.victim in data and b"/json" in data.split(b"\r\n", 1)[0]:
                self.hung.append(client)
                self._closing.wait()
                return
            upstream.sendall(data)

    def _copy(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End every connection and wait for it: nothing stays open behind a test."""
        self._closing.set()
        self._server.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        self._server.close()
        for thread in self._threads:
            thread.join()


@pytest.fixture
def hanging(machine) -> Iterator[HangingProxy]:
    """The machine's agent behind a proxy."""
    proxy = HangingProxy(machine.dockerd.root / "hang.sock", machine.dockerd.socket)
    machine.kill_agent()
    original, machine.endpoint = machine.endpoint, f"unix://{proxy.path}"
    machine.up()
    yield proxy
    machine.kill_agent()
    machine.endpoint = original
    proxy.close()
    machine.up()


def test_one_container_whose_inspect_hangs_holds_up_its_own_pod_only(machine, hanging, sleeper):
    """N62: others start, run and end; the node stays Ready; also with an agent that has just started."""
    machine.create("hung", sleeper())
    machine.wait(lambda: machine.is_ready("hung"))
    hanging.victim = machine.main("hung")["containerID"].removeprefix("docker://").encode()
    machine.dockerd.docker("kill", hanging.victim.decode())
    machine.wait(lambda: hanging.hung)
    machine.create("well", sleeper())
    machine.wait(lambda: machine.is_ready("well"))
    machine.kill_agent()
    machine.up()
    machine.create("later", sleeper())
    machine.wait(lambda: machine.is_ready("later"))
    machine.kubectl("delete", "pod", "well", "later", "--timeout=60s")
    assert machine.node_condition()["status"] == "True"
    hanging.victim = b"nobody"
    machine.wait(lambda: machine.main("hung").get("restartCount") == 1 and machine.is_ready("hung"))
    machine.kubectl("delete", "pod", "hung", "--timeout=60s")
