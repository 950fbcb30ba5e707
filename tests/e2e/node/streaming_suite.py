"""exec, cp, attach, port-forward, debug and logs with an unmodified kubectl, and the Python client's streams.

Run on each runtime by a module that gives the fixtures `cluster` and `image`.
"""

import gc
import hashlib
import json
import os
import pty
import re
import select
import socket
import subprocess
import time
import urllib.request
import warnings
from contextlib import contextmanager

import kubernetes
import pytest
from kubernetes.stream import portforward, stream

PATIENCE = 120
SETUP = "test -e /bin/sha256sum || /bin/busybox --install -s /bin"
SERVE = "mkdir -p /www && echo hello from the pod > /www/index.html && busybox httpd -p 8080 -h /www"
SCRIPT = f"{SETUP}; {SERVE}; echo started; trap 'exit 0' TERM; while :; do sleep 1; done"


def pod(name, image, command=SCRIPT, **container):
    main = {"name": "main", "image": image, "imagePullPolicy": "Never", "command": ["/bin/sh", "-c", command], **container}
    return {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [main]},
    }


def run_pod(cluster, namespace, image, name="web", **options):
    cluster.kubectl("-n", namespace, "apply", "-f", "-", text=json.dumps(pod(name, image, **options)))
    cluster.kubectl("-n", namespace, "wait", "--for=condition=Ready", f"pod/{name}", "--timeout=120s")


@pytest.fixture
def web(cluster, namespace, image):
    run_pod(cluster, namespace, image)
    cluster.wait(lambda: "started" in cluster.kubectl("-n", namespace, "logs", "web"))
    return ["-n", namespace, "exec", "web"]


@contextmanager
def background(cluster, *arguments, **options):
    process = subprocess.Popen(
        ["kubectl", *arguments], env=cluster.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()  # not SIGINT: a shell in the background has that ignored
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        process.stdout.close()


def in_terminal(cluster, *arguments, says, until, size=(37, 111)):
    """Run kubectl in a terminal of its own; type each of `says` when its prompt has been seen."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe("kubectl", ["kubectl", *arguments], cluster.environment)
    import fcntl
    import struct
    import termios

    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
    seen, pending, deadline = b"", list(says), time.monotonic() + PATIENCE
    try:
        while time.monotonic() < deadline:
            ready, _, _ = select.select([terminal], [], [], 1)
            if ready:
                try:
                    data = os.read(terminal, 65536)
                except OSError:
                    break
                if not data:
                    break
                seen += data
            if pending and pending[0][0] in seen:
                os.write(terminal, pending.pop(0)[1])
            if not pending and until and until in seen:
                break
    finally:
        os.close(terminal)
        _, status = os.waitpid(pid, 0)
    return seen.decode(errors="replace"), os.waitstatus_to_exitcode(status)


def forwarded_port(process):
    line = process.stdout.readline().decode()
    found = re.search(r"127\.0\.0\.1:(\d+) ->", line)
    assert found, line
    return int(found[1])


class TestExec:
    def test_output_and_exit_code(self, cluster, web):
        ok = cluster.run("kubectl", *web, "--", "sh", "-c", "echo out; echo err >&2")
        assert (ok.stdout, ok.stderr) == ("out\n", "err\n")
        failed = cluster.run("kubectl", *web, "--", "sh", "-c", "echo before; exit 7", check=False)
        assert (failed.returncode, failed.stdout) == (7, "before\n")
        assert "command terminated with exit code 7" in failed.stderr

    def test_a_command_that_is_not_there(self, cluster, web):
        failed = cluster.run("kubectl", *web, "--", "/no/such/command", check=False)
        assert failed.returncode != 0
        assert "no such file" in (failed.stderr + failed.stdout).lower() or "not found" in failed.stderr + failed.stdout

    def test_stdin_ends_where_the_input_ends(self, cluster, web):
        """Version 5 of the protocol can end stdin: `wc` answers only then."""
        data = "x" * 100_000 + "\n"
        assert cluster.kubectl(*web, "-i", "--", "wc", "-c", text=data).strip() == str(len(data))

    def test_many_words_and_no_shell_in_between(self, cluster, web):
        words = [f"word {n} $HOME \"'" for n in range(150)]
        assert cluster.kubectl(*web, "--", "printf", "%s\\n", *words).splitlines() == words

    def test_large_output_is_whole(self, cluster, web):
        done = subprocess.run(
            ["kubectl", *web, "--", "sh", "-c", "dd if=/dev/zero bs=1M count=64 2>/dev/null"],
            env=cluster.environment, capture_output=True, check=True, timeout=PATIENCE,
        )
        assert len(done.stdout) == 64 * 1024 * 1024
        assert not done.stdout.strip(b"\0")

    def test_terminal(self, cluster, web):
        """-it: a prompt, a window size, a job ended by ^C, and the shell's exit code."""
        seen, code = in_terminal(
            cluster, *web, "-it", "--", "sh",
            says=[
                (b"#", b"stty size; tty; sleep 1000\r"), (b"/dev/pts", b"\x03"),
                (b"^C", b"echo again $((40+2)); exit 5\r"),
            ],
            until=b"",
        )
        assert "37 111" in seen, seen
        assert "again 42" in seen, seen
        assert code == 5

    def test_the_process_ends_with_its_client(self, cluster, web):
        with background(cluster, *web, "--", "sleep", "98765") as process:
            cluster.wait(lambda: "98765" in cluster.kubectl(*web, "--", "busybox", "ps"))
            process.kill()
        cluster.wait(lambda: "98765" not in cluster.kubectl(*web, "--", "busybox", "ps"))

    def test_refusals_say_why(self, cluster, web, namespace):
        wrong = cluster.run("kubectl", *web, "-c", "other", "--", "true", check=False)
        assert wrong.returncode != 0
        assert "container not found" in wrong.stderr or "container other is not valid" in wrong.stderr
        gone = cluster.run("kubectl", "-n", namespace, "exec", "gone", "--", "true", check=False)
        assert 'pods "gone" not found' in gone.stderr


class TestCopy:
    def test_both_ways(self, cluster, web, namespace, tmp_path):
        """cp is exec with tar: bytes arrive unchanged."""
        source, back = tmp_path / "source", tmp_path / "back"
        (source / "deep").mkdir(parents=True)
        (source / "deep" / "random").write_bytes(os.urandom(3_000_000))
        (source / "with space").write_text("text")
        cluster.kubectl("-n", namespace, "cp", str(source), "web:/tmp/copied")
        digest = hashlib.sha256((source / "deep" / "random").read_bytes()).hexdigest()
        assert digest in cluster.kubectl(*web, "--", "sha256sum", "/tmp/copied/deep/random")
        cluster.kubectl("-n", namespace, "cp", "web:/tmp/copied", str(back))
        assert (back / "deep" / "random").read_bytes() == (source / "deep" / "random").read_bytes()
        assert (back / "with space").read_text() == "text"

    def test_a_hostile_tar_stays_in_its_place(self, cluster, web, namespace, tmp_path):
        """N70: the pod's tar names files outside; kubectl writes nothing there, and our stream carries what it says."""
        hostile = (
            "mkdir -p /evil/a && cd /evil && echo x > escaped && ln -s /etc a/link && "
            "printf '#!/bin/sh\\ncd /evil/a && exec /bin/busybox tar cf - ../escaped link\\n' > /evil/tar && chmod +x /evil/tar && "
            "rm /bin/tar && cp /evil/tar /bin/tar"
        )
        cluster.kubectl(*web, "--", "sh", "-c", hostile)
        target = tmp_path / "target"
        target.mkdir()
        cluster.run("kubectl", "-n", namespace, "cp", "web:/evil/a", str(target / "a"), check=False)
        assert not (tmp_path / "escaped").exists()
        assert [path for path in tmp_path.rglob("*") if path.is_symlink()] == []


class TestAttach:
    def test_a_running_container(self, cluster, namespace, image):
        ticking = "n=0; while :; do n=$((n+1)); echo tick $n; sleep 0.2; done"
        run_pod(cluster, namespace, image, "ticker", command=f"{SETUP}; {ticking}")
        with background(cluster, "-n", namespace, "attach", "ticker") as process:
            lines = [process.stdout.readline() for _ in range(4)]
        assert any(re.match(rb"tick \d+", line) for line in lines), lines

    def test_with_a_terminal(self, cluster, namespace, image):
        shell = f"{SETUP}; exec sh"
        run_pod(cluster, namespace, image, "shell", command=shell, stdin=True, tty=True)
        seen, _ = in_terminal(
            cluster, "-n", namespace, "attach", "-it", "shell",
            says=[(b"", b"\r"), (b"#", b"echo $((6*7)) attached; stty size\r"), (b"42 attached", b"exit\r")], until=b"",
        )
        assert "42 attached" in seen, seen


class TestPortForward:
    def test_many_connections_and_a_large_transfer(self, cluster, web, namespace, tmp_path):
        """A page again and again, at the same time, and 64 MiB with their checksum."""
        cluster.kubectl(*web, "--", "sh", "-c", "dd if=/dev/urandom of=/www/large bs=1M count=64 2>/dev/null")
        digest = cluster.kubectl(*web, "--", "sha256sum", "/www/large").split()[0]
        with background(cluster, "-n", namespace, "port-forward", "pod/web", ":8080", "--address=127.0.0.1") as process:
            port = forwarded_port(process)
            for _ in range(20):
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=PATIENCE) as answer:
                    assert answer.read() == b"hello from the pod\n"
            # Each to a file: connections share one stream, so a reader that waits for another one holds both up.
            files = [tmp_path / str(number) for number in range(3)]
            got = [subprocess.Popen(["curl", "-sSf", "-o", str(file), f"http://127.0.0.1:{port}/large"]) for file in files]
            assert [each.wait(PATIENCE) for each in got] == [0, 0, 0]
            assert {hashlib.sha256(file.read_bytes()).hexdigest() for file in files} == {digest}
            assert process.poll() is None

    def test_a_port_where_nobody_listens(self, cluster, web, namespace):
        with background(cluster, "-n", namespace, "port-forward", "pod/web", ":9", "--address=127.0.0.1") as process:
            port = forwarded_port(process)
            with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as client:
                try:
                    assert client.recv(1) == b""
                except ConnectionResetError:
                    pass
            said = b""
            while b"port 9" not in said:
                line = process.stdout.readline()
                assert line, said
                said += line

    def test_through_a_service(self, cluster, web, namespace):
        cluster.kubectl("-n", namespace, "expose", "pod", "web", "--port=80", "--target-port=8080")
        with background(cluster, "-n", namespace, "port-forward", "svc/web", ":80", "--address=127.0.0.1") as process:
            port = forwarded_port(process)
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=PATIENCE) as answer:
                assert answer.read() == b"hello from the pod\n"


class TestLogs:
    def test_follow_several_pods(self, cluster, namespace, image):
        for name in ("one", "two"):
            body = pod(name, image, command=f"n=0; while :; do n=$((n+1)); echo {name} says $n; busybox sleep 0.2; done")
            body["metadata"]["labels"] = {"group": "talkers"}
            cluster.kubectl("-n", namespace, "apply", "-f", "-", text=json.dumps(body))
        cluster.kubectl("-n", namespace, "wait", "--for=condition=Ready", "pod", "-l", "group=talkers", "--timeout=120s")
        with background(cluster, "-n", namespace, "logs", "-f", "--prefix", "-l", "group=talkers", "--tail=1") as process:
            seen = b""
            while not (b"[pod/one/main] one says" in seen and b"[pod/two/main] two says" in seen):
                line = process.stdout.readline()
                assert line, seen
                seen += line


class TestProxy:
    METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD")

    def test_pods_answer_through_the_api(self, cluster, web, namespace):
        path = f"/api/v1/namespaces/{namespace}/pods"
        assert cluster.kubectl("get", "--raw", f"{path}/web:8080/proxy/") == "hello from the pod\n"
        assert cluster.kubectl("get", "--raw", f"{path}/http:web:8080/proxy/index.html") == "hello from the pod\n"
        refused = cluster.run("kubectl", "get", "--raw", f"{path}/web:9/proxy/", check=False)
        assert "error trying to reach" in refused.stderr

    def test_nodes_show_their_agent(self, cluster, web, namespace):
        """S51: and nothing else on the node."""
        pods = json.loads(cluster.kubectl("get", "--raw", "/api/v1/nodes/node1/proxy/pods"))
        assert "web" in [item["metadata"]["name"] for item in pods["items"]]
        refused = cluster.run("kubectl", "get", "--raw", "/api/v1/nodes/node1:2181/proxy/", check=False)
        assert "is not its host agent's" in refused.stderr


class TestDebug:
    def test_an_ephemeral_container(self, cluster, web, namespace, image):
        """C242: by kubectl, with the target's processes in sight; the pod runs on."""
        seen, _ = in_terminal(
            cluster, "-n", namespace, "debug", "web", "-it", f"--image={image}", "--image-pull-policy=Never", "--target=main",
            "--profile=general", "--", "/bin/busybox", "sh",
            says=[(b"#", b"/bin/busybox ps; echo $((20+1)) seen\r"), (b"21 seen", b"exit\r")], until=b"",
        )
        assert "21 seen" in seen, seen
        assert "httpd" in seen, seen
        spec = cluster.get("-n", namespace, "pod", "web")["spec"]
        assert [c["targetContainerName"] for c in spec["ephemeralContainers"]] == ["main"]
        assert cluster.kubectl(*web, "--", "echo", "still here") == "still here\n"


class TestPythonClient:
    @pytest.fixture
    def core(self, cluster):
        configuration = kubernetes.client.Configuration()
        kubernetes.config.load_kube_config(str(cluster.data_dir / "admin.kubeconfig"), client_configuration=configuration)
        with kubernetes.client.ApiClient(configuration) as client:
            yield kubernetes.client.CoreV1Api(client)
        with warnings.catch_warnings():  # the client leaves its sockets to the garbage collector
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()

    def test_exec(self, core, web, namespace):
        said = stream(
            core.connect_get_namespaced_pod_exec, "web", namespace, command=["sh", "-c", "echo hi; echo bad >&2"],
            stdin=False, stdout=True, stderr=True, tty=False,
        )
        assert sorted(said.split()) == ["bad", "hi"]

    def test_interactive(self, core, web, namespace):
        shell = stream(
            core.connect_get_namespaced_pod_exec, "web", namespace, command=["sh"],
            stdin=True, stdout=True, stderr=True, tty=False, _preload_content=False,
        )
        shell.write_stdin("echo $((1+2))\n")
        assert shell.readline_stdout(timeout=PATIENCE) == "3"
        shell.write_stdin("exit 4\n")
        shell.run_forever(timeout=PATIENCE)
        assert shell.returncode == 4
        shell.close()

    def test_port_forward(self, core, web, namespace):
        forward = portforward(core.connect_get_namespaced_pod_portforward, "web", namespace, ports="8080")
        connection = forward.socket(8080)
        connection.settimeout(PATIENCE)
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        received = b""
        while data := connection.recv(4096):
            received += data
        assert received.endswith(b"hello from the pod\n")
        assert forward.error(8080) is None
        connection.close()
