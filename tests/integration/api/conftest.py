"""A real API server process over SQLite, with the cluster's certificates, and a client that says exactly what is sent."""

import gzip
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from windlass.auth.pki import CertificateAuthority, CertificateRequest
from windlass.cli.cluster import Cluster, issue_identities
from windlass.cli.datadir import DataDir
from windlass.client.transport import HttpTransport
from windlass.testing.ports import free_port

START_SECONDS = 90.0
ANSWER_SECONDS = 60.0
JSON = "application/json"


@dataclass
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def expect(self, *statuses: int) -> Any:
        """Hold the code, and that every error is a Status that says the same."""
        assert self.status in statuses, (self.status, self.body[:600])
        if self.status >= 400:
            said = self.json
            assert said["kind"] == "Status", said
            assert said["status"] == "Failure", said
            assert said["code"] == self.status, said
            assert said["message"], said
            return said
        return self.json if self.body[:1] in (b"{", b"[") else self.body


class Stream:
    """A watch that is read line by line."""

    def __init__(self, connection: socket.socket, leftover: bytes) -> None:
        self.connection = connection
        self._lines = _ChunkedLines(connection, leftover)

    def next(self) -> Any:
        return json.loads(next(self._lines))

    def take(self, count: int) -> list[Any]:
        return [self.next() for _ in range(count)]

    def rest(self) -> list[Any]:
        """Everything until the server ends it, however it does."""
        events = []
        try:
            while True:
                events.append(self.next())
        except (StopIteration, ConnectionError, ssl.SSLError, json.JSONDecodeError):
            return events

    def close(self) -> None:
        self.connection.close()


class _ChunkedLines:
    def __init__(self, connection: socket.socket, leftover: bytes) -> None:
        self._connection = connection
        self._raw = leftover
        self._text = b""

    def __next__(self) -> bytes:
        while b"\n" not in self._text:
            self._text += self._chunk()
        line, _, self._text = self._text.partition(b"\n")
        return line

    def _chunk(self) -> bytes:
        while b"\r\n" not in self._raw:
            self._fill()
        size_text, _, self._raw = self._raw.partition(b"\r\n")
        size = int(size_text, 16)
        while len(self._raw) < size + 2:
            self._fill()
        if size == 0:
            raise StopIteration
        chunk, self._raw = self._raw[:size], self._raw[size + 2 :]
        return chunk

    def _fill(self) -> None:
        more = self._connection.recv(262_144)
        if not more:
            raise StopIteration
        self._raw += more


@dataclass
class ApiServer:
    """The process, and one client connection per request."""

    data_dir: DataDir
    port: int
    store: str = "sqlite"
    options: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    contexts: dict[str, ssl.SSLContext] = field(default_factory=dict)
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "windlass.cli",
                    "apiserver",
                    "--data-dir",
                    str(self.data_dir.root),
                    "--store",
                    self.store,
                    "--bind",
                    f"127.0.0.1:{self.port}",
                    *self.options,
                ],
                env={**os.environ, **self.environment},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._ready():
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.05)

    def _ready(self) -> bool:
        try:
            return self.request("GET", "/readyz").status == 200
        except OSError:
            return False

    @property
    def log_file(self) -> Path:
        return self.data_dir.root.parent / f"apiserver-{self.port}.log"

    def log(self) -> str:
        return self.log_file.read_text(errors="replace")[-4000:]

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)

    def kill(self) -> None:
        """SIGKILL, arbiter and worker at once: both are in the process group that `start` made."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(20)

    def rss_kib(self) -> int:
        """Resident memory of the worker, the only child of the arbiter."""
        return self._number("VmRSS")

    def threads(self) -> int:
        """Threads of the worker."""
        return self._number("Threads")

    def _number(self, name: str) -> int:
        assert self.process is not None
        pid = self.process.pid
        worker = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0]
        found = re.search(rf"{name}:\s+(\d+)", Path(f"/proc/{worker}/status").read_text())
        assert found is not None
        return int(found[1])

    def transport(self, user: str = "admin") -> HttpTransport:
        return HttpTransport(f"https://127.0.0.1:{self.port}", self.context(user))

    def issue(self, user: str, name: str, groups: tuple[str, ...]) -> None:
        CertificateAuthority(self.data_dir.pki).issue(user, CertificateRequest(name, groups))

    def context(self, user: str) -> ssl.SSLContext:
        if user not in self.contexts:
            pki = self.data_dir.pki
            context = ssl.create_default_context(cafile=pki / "ca.crt")
            if user:
                context.load_cert_chain(pki / f"{user}.crt", pki / f"{user}.key")
            self.contexts[user] = context
        return self.contexts[user]

    def connect(self, user: str = "admin", *, receive_buffer: int = 0) -> ssl.SSLSocket:
        plain = socket.socket()
        if receive_buffer:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        plain.settimeout(ANSWER_SECONDS)
        try:
            plain.connect(("127.0.0.1", self.port))
            return self.context(user).wrap_socket(plain, server_hostname="127.0.0.1")
        except BaseException:
            plain.close()
            raise

    def request(
        self, method: str, path: str, body: Any = None, *, user: str = "admin", headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send one request on a connection of its own. The path goes out exactly as given."""
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        fields = {"Host": "api", "Connection": "close", **({"Content-Type": JSON} if body is not None else {})}
        if body is not None or method in ("POST", "PUT", "PATCH"):
            fields["Content-Length"] = str(len(raw))
        return self.raw(head(method, path, {**fields, **(headers or {})}) + raw, user=user)

    def raw(self, data: bytes, *, user: str = "admin", half_close: bool = False) -> Answer:
        """Send bytes and read one answer; a server that refuses may stop reading early."""
        with self.connect(user) as connection:
            with suppress(BrokenPipeError, ConnectionResetError, ssl.SSLError):
                connection.sendall(data)
            if half_close:
                connection.unwrap()
            return read_answer(connection)

    def patch(self, path: str, body: Any, media_type: str = "application/merge-patch+json", **options: Any) -> Answer:
        headers = {"Content-Type": media_type, **options.pop("headers", {})}
        return self.request("PATCH", path, body, headers=headers, **options)

    def watch(self, path: str, query: str = "", *, user: str = "admin", receive_buffer: int = 0) -> Stream:
        connection = self.connect(user, receive_buffer=receive_buffer)
        connection.sendall(head("GET", f"{path}?watch=1&{query}", {"Host": "api"}))
        status, _, rest = read_head(connection)
        if status != 200:
            connection.close()
        assert status == 200, rest
        return Stream(connection, rest)

    @staticmethod
    def head(method: str, path: str, fields: Mapping[str, str]) -> bytes:
        return head(method, path, fields)

    @staticmethod
    def read_answer(connection: socket.socket, *, bodiless: bool = False) -> Answer:
        return read_answer(connection, bodiless=bodiless)

    def revision(self) -> int:
        """The newest revision of the whole store: a consistent list is as new as its last write, of whatever kind."""
        return int(self.request("GET", "/api/v1/configmaps?limit=1").expect(200)["metadata"]["resourceVersion"])


def head(method: str, path: str, fields: Mapping[str, str]) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode()


def read_head(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    received = b""
    while b"\r\n\r\n" not in received:
        more = connection.recv(65536)
        if not more:
            raise ConnectionError(f"closed within the head: {received!r}")
        received += more
    top, _, rest = received.partition(b"\r\n\r\n")
    status, *lines = top.decode("latin-1").split("\r\n")
    fields = {line.partition(":")[0].lower(): line.partition(":")[2].strip() for line in lines}
    return int(status.split()[1]), fields, rest


def read_answer(connection: socket.socket, *, bodiless: bool = False) -> Answer:
    status, fields, rest = read_head(connection)
    if bodiless:
        return Answer(status, fields, b"")
    length = int(fields.get("content-length", "-1"))
    while length < 0 or len(rest) < length:
        more = connection.recv(262_144)
        if not more:
            break
        rest += more
    body = gzip.decompress(rest) if fields.get("content-encoding") == "gzip" else rest
    return Answer(status, fields, body)


def prepared(root: Path) -> ApiServer:
    """A server that is not started yet, with its certificates and kubeconfigs."""
    data_dir = DataDir(root / "data")
    data_dir.prepare()
    port = free_port()
    issue_identities(data_dir, Cluster("sqlite", "hollow", port, "one", "127.0.0.1", "10.244.0.0/24"))
    return ApiServer(data_dir, port)


@contextmanager
def running(root: Path) -> Iterator[ApiServer]:
    server = prepared(root)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """One server for all tests of a module."""
    with running(tmp_path_factory.mktemp("api")) as server:
        yield server


@pytest.fixture(scope="module")
def replicas() -> Iterator[Callable[..., ApiServer]]:
    """Start servers: `replicas(root, store=..., options=...)`; with `beside=` another, on that one's data."""
    started: list[ApiServer] = []

    def start(root: Path, *, beside: ApiServer | None = None, **fields: Any) -> ApiServer:
        server = ApiServer(beside.data_dir, free_port()) if beside is not None else prepared(root)
        started.append(server)
        for name, value in fields.items():
            setattr(server, name, value)
        server.start()
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def namespace(api: ApiServer) -> str:
    """A namespace of the test's own."""
    name = f"t-{os.urandom(4).hex()}"
    api.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}}).expect(201)
    return name


@pytest.fixture
def configmaps(namespace: str) -> str:
    """The path of the ConfigMaps of that namespace."""
    return f"/api/v1/namespaces/{namespace}/configmaps"
