"""Probes of real containers, of all four sorts."""

import asyncio
import struct
import threading
from contextlib import contextmanager

import h2.config
import h2.connection
import h2.events
import pytest

pytestmark = [pytest.mark.docker, pytest.mark.root]

RUN = "trap 'exit 0' TERM; while :; do sleep 0.1; done"
FAST = {"periodSeconds": 1, "failureThreshold": 2}


def test_a_container_that_stays_healthy_is_left_alone(pods, shell):
    """C275."""
    liveness = {"exec": {"command": ["cat", "/tmp/health"]}, "initialDelaySeconds": 1, **FAST}
    pods.create("healthy", shell("main", f"echo ok > /tmp/health; {RUN}", livenessProbe=liveness))
    pods.create("clock", shell("main", "sleep 6"), restartPolicy="Never")
    pods.until_phase("clock", "Succeeded")
    assert pods.main("healthy")["restartCount"] == 0
    assert "Unhealthy" not in {reason for reason, _ in pods.events("healthy")}


def test_a_container_that_falls_ill_is_restarted(pods, shell):
    """C277, C280."""
    script = (
        f"busybox mkdir /www; echo ok > /www/healthz; httpd -p 8080 -h /www; sleep 3; busybox rm /www/healthz; {RUN}"
    )
    liveness = {"httpGet": {"path": "/healthz", "port": 8080}, "initialDelaySeconds": 1, **FAST}
    pods.create("ill", shell("main", script, livenessProbe=liveness))
    pods.until(lambda: pods.main("ill")["restartCount"] >= 1)
    counts = [pods.main("ill")["restartCount"]]
    while counts[-1] < 2:
        pods.until(lambda: pods.main("ill")["restartCount"] != counts[-1])
        counts.append(pods.main("ill")["restartCount"])
    assert counts == sorted(counts)
    told = pods.events("ill")
    assert ("Unhealthy", "Liveness probe failed: HTTP probe failed with statuscode: 404") in told
    assert ("Killing", "Container main failed liveness probe, will be restarted") in told


def test_ready_comes_after_the_initial_delay_and_goes_with_the_probe(pods, shell):
    """C281."""
    readiness = {"exec": {"command": ["cat", "/tmp/ready"]}, "initialDelaySeconds": 3, **FAST}
    script = "echo ok > /tmp/ready; sleep 8; busybox rm /tmp/ready; " + RUN
    pods.create("slow", shell("main", script, readinessProbe=readiness))
    status = pods.until_ready("slow")
    ready = next(c for c in status["conditions"] if c["type"] == "Ready")
    started = status["containerStatuses"][0]["state"]["running"]["startedAt"]
    assert seconds(ready["lastTransitionTime"]) - seconds(started) >= 3 - 1  # whole seconds on the wire
    pods.kubectl("wait", "pod/slow", "--for=condition=Ready=false", "--timeout=60s")
    assert pods.main("slow")["restartCount"] == 0


def seconds(text):
    hours, minutes, rest = text.partition("T")[2].rstrip("Z").split(":")
    return int(hours) * 3600 + int(minutes) * 60 + int(rest)


def test_a_startup_probe_holds_the_others_back(pods, shell):
    startup = {"exec": {"command": ["cat", "/tmp/up"]}, "periodSeconds": 1, "failureThreshold": 60}
    main = shell(
        "main",
        f"sleep 3; echo ok > /tmp/up; {RUN}",
        startupProbe=startup,
        livenessProbe={"exec": {"command": ["cat", "/tmp/up"]}, "periodSeconds": 1, "failureThreshold": 1},
    )
    pods.create("starts", main)
    pods.until_ready("starts")
    assert (pods.main("starts")["started"], pods.main("starts")["restartCount"]) == (True, 0)


def test_tcp_and_named_ports(pods, shell):
    main = shell(
        "main",
        f"httpd -p 8080 -h /; {RUN}",
        ports=[{"name": "web", "containerPort": 8080}],
        livenessProbe={"tcpSocket": {"port": "web"}, **FAST},
        readinessProbe={"httpGet": {"path": "/etc/passwd", "port": "web"}, **FAST},
    )
    pods.create("named", main)
    pods.until_ready("named")
    assert pods.main("named")["restartCount"] == 0


class Health:
    """A gRPC health service on the node, for a pod in the node's network."""

    def __init__(self):
        self.calls = 0
        self.port = 0
        self.handlers = []

    async def serve(self, reader, writer):
        self.handlers.append(asyncio.current_task())
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        connection.initiate_connection()
        try:
            while data := await reader.read(65536):
                for event in connection.receive_data(data):
                    if isinstance(event, h2.events.StreamEnded):
                        self.answer(connection, event.stream_id)
                writer.write(connection.data_to_send())
        except OSError:
            return  # the prober hangs up as soon as it has its answer
        finally:
            writer.close()

    def answer(self, connection, stream):
        self.calls += 1
        connection.send_headers(stream, [(":status", "200"), ("content-type", "application/grpc")])
        connection.send_data(stream, b"\0" + struct.pack(">I", 2) + b"\x08\x01")
        connection.send_headers(stream, [("grpc-status", "0")], end_stream=True)


@contextmanager
def health_service():
    health, loop, ready, stop = Health(), asyncio.new_event_loop(), threading.Event(), asyncio.Event()

    async def listen():
        server = await asyncio.start_server(health.serve, "0.0.0.0", 0)
        health.port = server.sockets[0].getsockname()[1]
        ready.set()
        async with server:
            await stop.wait()
        await asyncio.gather(*health.handlers, return_exceptions=True)

    def run():
        loop.run_until_complete(listen())
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    ready.wait()
    try:
        yield health
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()


def test_grpc_healthy(pods, shell):
    """C274."""
    with health_service() as health:
        probe = {"grpc": {"port": health.port}, **FAST}
        pods.create("grpc", shell("main", RUN, livenessProbe=probe, readinessProbe=probe), hostNetwork=True)
        pods.until_ready("grpc")
        pods.until(lambda: health.calls >= 6)
        assert pods.main("grpc")["restartCount"] == 0


def test_grpc_to_a_wrong_port(pods, shell):
    """C278."""
    pods.create("grpc", shell("main", RUN, livenessProbe={"grpc": {"port": 2333}, **FAST}))
    pods.until(lambda: pods.main("grpc")["restartCount"] >= 1)


def test_hostile_commands_are_bounded(pods, shell):
    """N73: endless output, a fork storm and a command that never ends; the node goes on."""
    endless = {"exec": {"command": ["sh", "-c", "while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done"]}, **FAST}
    storm = {"exec": {"command": ["sh", "-c", "while :; do sleep 100 & done"]}, **FAST}
    hangs = {"exec": {"command": ["sleep", "1000"]}, **FAST}
    for name, probe in (("endless", endless), ("storm", storm), ("hangs", hangs)):
        limits = {"limits": {"memory": "32Mi", "cpu": "200m"}}
        pods.create(name, shell("main", RUN, readinessProbe=probe, resources=limits))
    pods.create("well", shell("main", RUN, readinessProbe={"exec": {"command": ["true"]}, **FAST}))
    pods.until_ready("well")
    for name in ("endless", "hangs"):
        pods.until(lambda name=name: any("timed out" in m for r, m in pods.events(name) if r == "Unhealthy"))
        assert not pods.main(name)["ready"]
    for name in ("endless", "storm", "hangs", "well"):
        pods.kubectl("delete", "pod", name, "--timeout=60s")
