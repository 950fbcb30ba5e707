"""A real ZooKeeper ensemble on loopback, for tests: one to five JVMs that can be killed, frozen and started again.

Needs Java and Debian's package `zookeeper` (jars in /usr/share/java).
"""

import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from windlass.testing.ports import free_ports

JARS = Path("/usr/share/java")
MAIN = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
NAMES = (
    "zookeeper", "zookeeper-jute", "slf4j-api", "slf4j-nop", "netty-all", "netty-buffer", "netty-codec", "netty-common",
    "netty-handler", "netty-transport", "netty-resolver", "snappy-java", "metrics-core", "jackson-core",
    "jackson-databind", "jackson-annotations", "commons-cli", "json-simple", "jline2", "log4j-1.2",
)  # fmt: skip
START_SECONDS = 60.0
POLL_SECONDS = 0.05


@dataclass
class Server:
    """One JVM of the ensemble."""

    number: int
    directory: Path
    client_port: int
    process: "subprocess.Popen[bytes] | None" = field(default=None)

    @property
    def host(self) -> str:
        """`127.0.0.1:port` for clients."""
        return f"127.0.0.1:{self.client_port}"

    def start(self) -> None:
        """Start the JVM; does not wait for it."""
        classpath = ":".join(str(JARS / f"{name}.jar") for name in NAMES)
        command = [
            "java", "-Xmx256m", "-Xms64m", "-XX:+UseSerialGC", "-Dzookeeper.admin.enableServer=false",
            "-Dzookeeper.4lw.commands.whitelist=*", "-Dzookeeper.serverCnxnFactory=org.apache.zookeeper.server.NIOServerCnxnFactory",
            "-cp", classpath, MAIN, str(self.directory / "zoo.cfg"),
        ]  # fmt: skip
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)  # noqa: S603

    def signal(self, number: signal.Signals) -> None:
        """Send a signal: SIGSTOP, SIGCONT, SIGKILL."""
        if self.process is not None and self.process.poll() is None:
            os.kill(self.process.pid, number)

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        self.signal(signal.SIGKILL)
        if self.process is not None:
            self.process.wait(10)
            self.process = None

    def mode(self) -> str:
        """Return `leader`, `follower`, `standalone`, or '' when it does not serve."""
        try:
            with socket.create_connection(("127.0.0.1", self.client_port), timeout=1) as connection:
                connection.sendall(b"srvr")
                answer = b""
                while chunk := connection.recv(4096):
                    answer += chunk
        except OSError:
            return ""
        for line in answer.decode(errors="replace").splitlines():
            if line.startswith("Mode: "):
                return line.removeprefix("Mode: ")
        return ""


class Ensemble:
    """Servers 1..size. `hosts` is the connection string."""

    def __init__(self, directory: Path, size: int = 1, tick_ms: int = 500) -> None:
        ports = free_ports(size * 3)
        peers = [
            f"server.{number}=127.0.0.1:{ports[size + 2 * number - 2]}:{ports[size + 2 * number - 1]}"
            for number in range(1, size + 1)
        ]
        self.servers: list[Server] = []
        for number in range(1, size + 1):
            home = directory / f"zk{number}"
            (home / "data").mkdir(parents=True)
            (home / "data" / "myid").write_text(str(number))
            settings = [
                f"tickTime={tick_ms}", "initLimit=20", "syncLimit=10", f"dataDir={home / 'data'}",
                "clientPortAddress=127.0.0.1", f"clientPort={ports[number - 1]}", "maxClientCnxns=0",
                "autopurge.purgeInterval=1", "autopurge.snapRetainCount=3", "standaloneEnabled=true",
                "minSessionTimeout=1000", "maxSessionTimeout=60000",
            ]  # fmt: skip
            (home / "zoo.cfg").write_text("\n".join([*settings, *(peers if size > 1 else ())]) + "\n")
            self.servers.append(Server(number, home, ports[number - 1]))

    @property
    def hosts(self) -> str:
        """Connection string of all servers."""
        return ",".join(server.host for server in self.servers)

    def start(self) -> None:
        """Start every server and wait until the ensemble serves."""
        for server in self.servers:
            server.start()
        self.wait_serving()

    def wait_serving(self, timeout: float = START_SECONDS) -> None:
        """Wait until every running server has a role."""
        deadline = time.monotonic() + timeout
        running = [server for server in self.servers if server.process is not None]
        while not all(server.mode() for server in running):
            if time.monotonic() > deadline:
                tails = "\n".join((s.directory / "log").read_text(errors="replace")[-1000:] for s in running)
                raise TimeoutError(f"the ensemble did not serve within {timeout} s\n{tails}")
            time.sleep(POLL_SECONDS)

    def leader(self) -> Server:
        """Return the leading server."""
        return next(server for server in self.servers if server.mode() in ("leader", "standalone"))

    def stop(self) -> None:
        """Kill every server."""
        for server in self.servers:
            server.kill()
