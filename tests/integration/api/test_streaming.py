"""kubectl's and the Python client's streams through a real API server and a real agent's server, over mutual TLS.

The containers are processes of this machine; what a real runtime does with streams is its own suite's to show.
"""

import asyncio
import gc
import hashlib
import importlib.util
import json
import os
import pty
import re
import select
import shutil
import socket
import ssl
import subprocess
import threading
import time
import urllib.request
import warnings
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import kubernetes
import pytest
from kubernetes.stream import portforward, stream
from prometheus_client import CollectorRegistry

from windlass.clock import SystemClock
from windlass_hostagent.node.care import no_volumes
from windlass_hostagent.pods.observation import LABEL_NAME, LABEL_NAMESPACE, LABEL_UID
from windlass_hostagent.server.app import build_app
from windlass_hostagent.server.https import bind, make_config, serve
from windlass_hostagent.stats.collector import StatsCollector

PATIENCE = 60
PODS = "/api/v1/namespaces/default/pods"
pytestmark = pytest.mark.kubectl
spec = importlib.util.spec_from_file_location("local_runtime", Path(__file__).with_name("local_runtime.py"))
local_runtime = importlib.util.module_from_spec(spec)
spec.loader.exec_module(local_runtime)


class Agent(threading.Thread):
    """An agent's server in a loop of its own."""

    def __init__(self, api, labels):
        super().__init__(daemon=True)
        pki = api.data_dir.pki
        self.runtime = local_runtime.LocalRuntime(labels)
        root, clock = api.data_dir.root, SystemClock()
        stats = StatsCollector(
            node_name="one", data_dir=root, runtime=self.runtime, clock=clock, pods=self.pods, volumes=no_volumes
        )
        app = build_app(self.runtime, self, clock, CollectorRegistry(), stats, root)
        self.config = make_config(app, (pki / "node-one.crt", pki / "node-one.key", pki / "ca.crt"))
        self.listener = bind("127.0.0.1", 0)
        self.port = self.listener.getsockname()[1]
        self.loop = asyncio.new_event_loop()

    def pods(self):
        return [{"metadata": {"name": "web"}}]

    def run(self):
        self.serving = self.loop.create_task(serve(self.config, self.listener))
        try:
            self.loop.run_until_complete(self.serving)
        except asyncio.CancelledError:
            pass
        finally:
            rest = asyncio.all_tasks(self.loop)
            for task in rest:
                task.cancel()
            if rest:
                self.loop.run_until_complete(asyncio.wait(rest))
            self.loop.run_until_complete(asyncio.sleep(0))
            self.loop.close()

    def stop(self):
        self.loop.call_soon_threadsafe(self.serving.cancel)
        self.join(PATIENCE)
        self.listener.close()

    def until_idle(self):
        deadline = time.monotonic() + PATIENCE
        while self.runtime.open:
            assert time.monotonic() < deadline, self.runtime.open
            time.sleep(0.05)


@pytest.fixture(scope="module")
def agent(api):
    api.request("POST", "/api/v1/nodes", {"metadata": {"name": "one"}}).expect(201)
    containers = [{"name": name, "image": "i"} for name in ("main", "ended")]
    body = {"metadata": {"name": "web"}, "spec": {"nodeName": "one", "containers": containers}}
    made = api.request("POST", PODS, body).expect(201)
    labels = {LABEL_NAME: "web", LABEL_NAMESPACE: "default", LABEL_UID: made["metadata"]["uid"]}
    agent = Agent(api, labels)
    agent.start()
    status = {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": agent.port}},
    }
    api.patch("/api/v1/nodes/one/status", {"status": status}).expect(200)
    api.patch(f"{PODS}/web/status", {"status": {"phase": "Running", "podIP": "127.0.0.1"}}).expect(200)
    yield agent
    agent.stop()


@pytest.fixture
def environment(api):
    return {**os.environ, "KUBECONFIG": str(api.data_dir.root / "admin.kubeconfig"), "HOME": str(api.data_dir.root)}


@pytest.fixture
def kubectl(agent, environment):
    def call(*arguments, check=True, data=None):
        done = subprocess.run(
            ["kubectl", *arguments], env=environment, capture_output=True, check=False, timeout=PATIENCE, input=data
        )
        assert not check or done.returncode == 0, done.stderr
        return done

    yield call
    agent.until_idle()


@pytest.fixture
def execute(kubectl):
    return partial(kubectl, "exec", "web", "-c", "main")


class TestExec:
    def test_output_exit_code_and_errors(self, execute):
        done = execute("--", "sh", "-c", "echo out; echo err >&2; exit 7", check=False)
        assert (done.returncode, done.stdout) == (7, b"out\n")
        assert done.stderr.startswith(b"err\n")
        assert b"exit code 7" in done.stderr
        assert b"failed to start" in execute("--", "/no/such", check=False).stderr

    def test_stdin_and_its_end(self, execute):
        data = os.urandom(2_000_000)
        done = execute("-i", "--", "sha256sum", data=data)
        assert done.stdout.split()[0].decode() == hashlib.sha256(data).hexdigest()

    def test_large_output(self, execute):
        assert execute("--", "head", "-c", "30000000", "/dev/zero").stdout == bytes(30_000_000)

    def test_three_hundred_words(self, execute):
        words = [f"{n} $x '" for n in range(300)]
        assert execute("--", "printf", "%s\\n", *words).stdout.decode().splitlines() == words

    def test_terminal(self, agent, environment):
        pid, terminal = pty.fork()
        if pid == 0:
            os.execvpe("kubectl", ["kubectl", "exec", "-it", "web", "-c", "main", "--", "bash", "--norc"], environment)
        local_runtime.fcntl.ioctl(terminal, local_runtime.termios.TIOCSWINSZ, local_runtime.struct.pack("HHHH", 41, 123, 0, 0))
        seen, steps = b"", [(b"$" if os.geteuid() else b"#", b"stty size; echo $((40+2)); exit 5\r")]
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if select.select([terminal], [], [], 1)[0]:
                try:
                    seen += os.read(terminal, 4096)
                except OSError:
                    break
            if steps and steps[0][0] in seen:
                os.write(terminal, steps.pop(0)[1])
        os.close(terminal)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 5
        assert b"41 123" in seen, seen
        assert b"42" in seen
        agent.until_idle()

    def test_a_killed_client_ends_its_process(self, agent, environment):
        """Also one that does not read its stdin while the client has more for it."""
        for command, stdin in ((["sleep", "1000"], False), (["sleep", "1000"], True)):
            source = subprocess.Popen(["cat", "/dev/zero"], stdout=subprocess.PIPE) if stdin else None
            client = subprocess.Popen(
                ["kubectl", "exec", *(["-i"] if stdin else []), "web", "-c", "main", "--", *command],
                env=environment, stdin=source.stdout if source else subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            )
            deadline = time.monotonic() + PATIENCE
            while not agent.runtime.open:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            client.kill()
            client.wait(PATIENCE)
            if source:
                source.stdout.close()
                source.kill()
                source.wait(PATIENCE)
            agent.until_idle()

    def test_refusals_are_told(self, kubectl, execute):
        assert b'pods "gone" not found' in kubectl("exec", "gone", "--", "true", check=False).stderr
        ended = kubectl("exec", "web", "-c", "ended", "--", "true", check=False)
        assert b'container "ended" in pod "web" is not running' in ended.stderr


class TestCopyAttachForward:
    def test_cp_both_ways(self, kubectl, tmp_path):
        there = Path("/tmp") / f"cp-{os.urandom(4).hex()}"
        source = tmp_path / "source"
        source.mkdir()
        (source / "random").write_bytes(os.urandom(1_000_000))
        try:
            kubectl("cp", "-c", "main", str(source), f"web:{there}")
            assert (there / "random").read_bytes() == (source / "random").read_bytes()
            kubectl("cp", "-c", "main", f"web:{there}", str(tmp_path / "back"))
            assert (tmp_path / "back" / "random").read_bytes() == (source / "random").read_bytes()
        finally:
            shutil.rmtree(there, ignore_errors=True)

    def test_attach(self, kubectl):
        assert kubectl("attach", "-i", "web", "-c", "main", data=b"hello\n").stdout == b"attached\nhello\n"

    def test_port_forward(self, kubectl, environment, files):
        with forward(environment, files.port) as (port, process):
            for _ in range(30):
                assert fetch(port, "small") == b"small"
            wanted = hashlib.sha256(files.large).digest()
            results = []
            threads = [threading.Thread(target=lambda: results.append(fetch(port, "large"))) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(PATIENCE)
            assert [hashlib.sha256(result).digest() for result in results] == [wanted] * 4
            assert process.poll() is None

    def test_a_port_where_nobody_listens(self, kubectl, environment):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            closed = probe.getsockname()[1]
        with forward(environment, closed) as (port, process):
            with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as client:
                try:
                    assert client.recv(1) == b""
                except ConnectionResetError:
                    pass
            said = b""
            while b"refused" not in said:
                line = process.stdout.readline()
                assert line, said
                said += line

    def test_a_client_that_does_not_read(self, kubectl, environment, files):
        """One stuck connection is no reason for the others to wait, as long as its share of the buffers lasts."""
        with forward(environment, files.port) as (port, _):
            assert fetch(port, "small") == b"small"
            with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as stuck:
                stuck.sendall(b"GET /small HTTP/1.0\r\n\r\n")
                assert fetch(port, "small") == b"small"


@contextmanager
def forward(environment, remote):
    process = subprocess.Popen(
        ["kubectl", "port-forward", "pod/web", f":{remote}", "--address=127.0.0.1"],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )
    try:
        line = process.stdout.readline().decode()
        found = re.search(r"127\.0\.0\.1:(\d+) ->", line)
        assert found, line + process.stdout.read().decode()
        yield int(found[1]), process
    finally:
        process.terminate()
        process.wait(PATIENCE)
        process.stdout.close()


def fetch(port, name):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{name}", timeout=PATIENCE) as answer:
        return answer.read()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_arguments):
        """Say nothing."""


@pytest.fixture
def files(tmp_path):
    """A web server that listens on loopback, as a pod might."""
    (tmp_path / "small").write_bytes(b"small")
    large = os.urandom(20_000_000)
    (tmp_path / "large").write_bytes(large)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    server.port, server.large = server.server_address[1], large
    yield server
    server.shutdown()
    server.server_close()


class TestPythonClient:
    @pytest.fixture
    def core(self, api, agent):
        configuration = kubernetes.client.Configuration()
        path = str(api.data_dir.root / "admin.kubeconfig")
        kubernetes.config.load_kube_config(path, client_configuration=configuration)
        with kubernetes.client.ApiClient(configuration) as client:
            yield kubernetes.client.CoreV1Api(client)
        with warnings.catch_warnings():  # the client leaves its sockets to the garbage collector
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()
        agent.until_idle()

    def test_exec(self, core):
        command = ["sh", "-c", "echo hi; echo bad >&2"]
        said = stream(
            core.connect_get_namespaced_pod_exec, "web", "default", container="main", command=command,
            stdin=False, stdout=True, stderr=True, tty=False,
        )
        assert sorted(said.split()) == ["bad", "hi"]

    def test_interactive(self, core):
        shell = stream(
            core.connect_get_namespaced_pod_exec, "web", "default", container="main", command=["sh"],
            stdin=True, stdout=True, stderr=True, tty=False, _preload_content=False,
        )
        shell.write_stdin("echo $((1+2))\n")
        assert shell.readline_stdout(timeout=PATIENCE) == "3"
        shell.write_stdin("exit 4\n")
        shell.run_forever(timeout=PATIENCE)
        assert shell.returncode == 4
        shell.close()

    def test_port_forward(self, core, files):
        forwarded = portforward(core.connect_get_namespaced_pod_portforward, "web", "default", ports=str(files.port))
        connection = forwarded.socket(files.port)
        connection.settimeout(PATIENCE)
        connection.sendall(b"GET /small HTTP/1.0\r\n\r\n")
        received = b""
        while data := connection.recv(4096):
            received += data
        assert received.endswith(b"small")
        assert forwarded.error(files.port) is None
        connection.close()


STREAMS = (f"{PODS}/web/exec?command=id&stdout=1&container=main", f"{PODS}/web/attach?stdout=1", f"{PODS}/web/portforward")
UPGRADE = {
    "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol": "v5.channel.k8s.io",
}
SPDY = {"Connection": "Upgrade", "Upgrade": "SPDY/3.1", "X-Stream-Protocol-Version": "v4.channel.k8s.io"}


class TestWhoMay:
    @pytest.mark.parametrize("path", STREAMS)
    def test_nobody_and_strangers_are_refused(self, api, agent, path):
        """S46, S49: over WebSocket, POST and SPDY alike, with a Status as the handshake's answer."""
        api.issue("eve", "eve", ())
        for user, code in (("", 401), ("eve", 403)):
            assert api.request("GET", path, user=user, headers=UPGRADE).expect(code)["kind"] == "Status"
            assert api.request("POST", path, user=user, headers=SPDY).expect(code)
            assert api.request("POST", path, user=user).expect(code)

    def test_spdy_is_refused_in_words(self, api, agent):
        said = api.request("POST", STREAMS[0], headers=SPDY).expect(400)
        assert "SPDY is not served" in said["message"]
        assert "v5.channel.k8s.io" in said["message"]

    def test_unknown_subprotocols_are_refused(self, api, agent):
        said = api.request("GET", STREAMS[0], headers={**UPGRADE, "Sec-WebSocket-Protocol": "v9.x"}).expect(400)
        assert "v9.x" in said["message"]

    @pytest.mark.parametrize("path", ["/exec/default/web/main?command=id&stdout=1", "/attach/default/web/main?stdout=1", "/portForward/default/web"])
    def test_the_agent_lets_in_nobody_else(self, api, agent, path):
        """S46: no certificate 401, a node's 403; the URL's names are labels and never paths."""
        for user, code in (("", 401), ("node-one", 403), ("apiserver-kubelet-client", 101)):
            context = ssl.create_default_context(cafile=api.data_dir.pki / "ca.crt")
            if user:
                context.load_cert_chain(api.data_dir.pki / f"{user}.crt", api.data_dir.pki / f"{user}.key")
            protocol = "SPDY/3.1+portforward.k8s.io" if "portForward" in path else "v5.channel.k8s.io"
            head = api.head("GET", path, {"Host": "agent", **UPGRADE, "Sec-WebSocket-Protocol": protocol})
            plain = socket.create_connection(("127.0.0.1", agent.port), timeout=PATIENCE)
            with context.wrap_socket(plain, server_hostname="127.0.0.1") as connection:
                connection.sendall(head)
                assert int(connection.recv(4096).split()[1]) == code, user

    def test_a_token_as_a_subprotocol_is_no_subprotocol(self, api, agent):
        protocols = "base64url.bearer.authorization.k8s.io.bm90LWEtdG9rZW4, v5.channel.k8s.io"
        headers = {**UPGRADE, "Sec-WebSocket-Protocol": protocols}
        assert api.request("GET", STREAMS[0], user="", headers=headers).status == 401


class TestNodeProxy:
    def test_the_agent_through_the_api(self, api, agent):
        base = "/api/v1/nodes/one/proxy"
        assert api.request("GET", f"{base}/pods").expect(200)["kind"] == "PodList"
        assert api.request("GET", f"{base}/healthz").body == b"ok"
        assert api.request("GET", f"{base}/none").status == 404
        assert api.request("GET", base).status == 301
        assert "is not its host agent's" in api.request("GET", "/api/v1/nodes/one:2181/proxy/").expect(400)["message"]

    def test_a_large_upload_goes_through_without_staying(self, api, agent):
        """What `windlass images import` sends: far beyond the bound of a body, chunked, and nothing of it is kept here."""
        chunk, count = os.urandom(1 << 20), 200
        before, hashed = api.rss_kib(), hashlib.sha256()
        fields = {"Host": "api", "Transfer-Encoding": "chunked", "Connection": "close"}
        with api.connect() as connection:
            connection.sendall(api.head("POST", "/api/v1/nodes/one/proxy/images/import", fields))
            for _ in range(count):
                connection.sendall(b"100000\r\n" + chunk + b"\r\n")
                hashed.update(chunk)
            connection.sendall(b"0\r\n\r\n")
            answer = api.read_answer(connection)
        assert answer.status == 200, answer.body
        assert hashed.hexdigest() in answer.body.decode()
        assert api.rss_kib() - before < 60 * 1024

    def test_a_loopback_pod_is_no_target(self, api, agent):
        """S51."""
        assert api.request("GET", f"{PODS}/web:2181/proxy/").expect(400)["message"] == "address not allowed"

    def test_only_who_may(self, api, agent):
        api.issue("eve", "eve", ())
        assert api.request("GET", "/api/v1/nodes/one/proxy/pods", user="eve").expect(403)
        assert api.request("POST", "/api/v1/nodes/one/proxy/images/import", b"x", user="").expect(401)


def test_hostile_text_reaches_no_terminal(api, agent, kubectl):
    """S55: ESC, CR, NUL, bidi and newlines in a pod's status and annotations; our own log keeps to one record per line."""
    hostile = "\x1b[31mred\rback\u202eflip\nPOD  forged  line"
    body = {"metadata": {"annotations": {"note": hostile}}, "status": {"phase": "Running", "reason": hostile}}
    api.patch(f"{PODS}/web/status", body).expect(200)
    try:
        table = kubectl("get", "pods", "web", "--no-headers").stdout
        assert b"\x1b" not in table
        assert len(table.splitlines()) == 1, table
        described = kubectl("describe", "pod", "web").stdout
        assert b"\x1b" not in described
        forged = f"{PODS}/web/exec?command=%0A%7B%22forged%22%3A1%7D&stdout=1&container=none%0A%1B"
        assert api.request("POST", forged).status in (400, 404)
        for line in api.log_file.read_text().splitlines():
            assert line.startswith("{"), line
            assert "\x1b" not in line
    finally:
        api.patch(f"{PODS}/web/status", {"status": {"reason": None}}).expect(200)


def test_debug_adds_an_ephemeral_container(api, agent, kubectl):
    """What kubectl debug sends is a strategic merge patch of `pods/ephemeralcontainers`."""
    done = kubectl("debug", "web", "--image=busybox:local", "--target=main", "--container=dbg", "--", "true")
    assert done.returncode == 0
    spec = api.request("GET", f"{PODS}/web/ephemeralcontainers").expect(200)["spec"]
    assert [(c["name"], c["targetContainerName"]) for c in spec["ephemeralContainers"]] == [("dbg", "main")]
    assert json.loads(kubectl("get", "--raw", "/api/v1").stdout)["kind"] == "APIResourceList"
