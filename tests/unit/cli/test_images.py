"""`windlass images`: what the user sees of nodes that take an archive, refuse it, or are not there."""

import io
import json
import urllib.error
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from windlass.cli import images
from windlass.cli.cluster import Cluster
from windlass.cli.datadir import DataDir
from windlass.cli.images import ImagesError, human_size, read_answer, rows_of, why

NODES = {"items": [{"metadata": {"name": "n1"}}, {"metadata": {"name": "n2"}}]}
IMAGES = {"items": [{"id": "sha256:0123456789abcdef", "names": ["app:1"], "sizeBytes": 1_980_000}]}


@pytest.fixture
def run(tmp_path, monkeypatch):
    Cluster("sqlite", "process", 6443, "n1", "127.0.0.1", "10.0.0.0/24").save(DataDir(tmp_path))
    monkeypatch.setattr(images, "admin_context", lambda _data_dir: None)
    answers = {"/api/v1/nodes": (200, json.dumps(NODES).encode())}
    monkeypatch.setattr(images, "fetch", lambda _server, path, _context, timeout=0: answers[path])
    (tmp_path / "app.tar").write_bytes(b"archive")

    def run(*arguments):
        return CliRunner().invoke(images.images, [*arguments, "--data-dir", str(tmp_path)])

    run.answers = answers
    run.archive = str(tmp_path / "app.tar")
    return run


@pytest.fixture
def nodes(monkeypatch):
    sent = {}

    def open_url(request, timeout, context):
        node = request.full_url.split("/")[6]
        sent[node] = (request.data.read(), request.headers)
        answer = nodes.answers.get(node, b'{}\n{"images": ["app:1"]}\n')
        if isinstance(answer, Exception):
            raise answer
        return io.BytesIO(answer)

    nodes = SimpleNamespace(answers={}, sent=sent)
    monkeypatch.setattr(images.urllib.request, "urlopen", open_url)
    return nodes


def test_every_node_gets_the_archive(run, nodes):
    done = run("import", run.archive)
    assert done.exit_code == 0
    assert done.stdout == "n1: app:1\nn2: app:1\n"
    assert [body for body, _ in nodes.sent.values()] == [b"archive"] * 2
    assert nodes.sent["n1"][1]["Content-length"] == "7"


def test_one_node_only(run, nodes):
    assert run("import", run.archive, "--node", "n2").stdout == "n2: app:1\n"
    assert list(nodes.sent) == ["n2"]


def test_one_nodes_trouble_is_not_the_others(run, nodes):
    refused = io.BytesIO(b'{"kind": "Status", "message": "no space left on the node\'s disk"}')
    nodes.answers["n1"] = urllib.error.HTTPError("u", 507, "x", {}, refused)
    done = run("import", run.archive)
    assert done.exit_code == 1
    assert done.stdout == "n2: app:1\n"
    assert done.stderr == "n1: no space left on the node's disk\n"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b'{"error": "not an image archive: invalid header"}\n', "not an image archive"),
        (b"{}\n", "ended before the import did"),
        (b"not json\n", "cannot send the archive"),
        (urllib.error.URLError("refused"), "refused"),
        (BrokenPipeError(32, "Broken pipe"), "Broken pipe"),
    ],
)
def test_what_a_node_says_is_shown(run, nodes, answer, message):
    nodes.answers["n1"] = answer
    done = run("import", run.archive, "--node", "n1")
    assert done.exit_code == 1
    assert message in done.stderr


def test_an_unknown_node_is_named(run, nodes):
    done = run("import", run.archive, "--node", "n3")
    assert isinstance(done.exception, ImagesError)
    assert str(done.exception) == 'no node "n3"; there are: n1, n2'
    assert nodes.sent == {}


def test_a_file_that_is_not_there(run):
    assert run("import", "/no/such.tar").exit_code == 2


def test_without_a_cluster(tmp_path):
    (tmp_path / "a.tar").write_bytes(b"")
    done = CliRunner().invoke(images.images, ["import", str(tmp_path / "a.tar"), "--data-dir", str(tmp_path / "none")])
    assert "windlass up" in str(done.exception)


def test_a_cluster_without_nodes_and_one_that_does_not_answer(run):
    run.answers["/api/v1/nodes"] = (200, b'{"items": []}')
    assert str(run("list").exception) == "the cluster has no nodes"
    run.answers["/api/v1/nodes"] = (0, b"connection refused")
    assert "connection refused" in str(run("list").exception)


def test_the_list(run):
    run.answers["/api/v1/nodes/n1/proxy/images"] = (200, json.dumps(IMAGES).encode())
    run.answers["/api/v1/nodes/n2/proxy/images"] = (503, b'{"message": "no connection"}')
    done = run("list")
    assert done.exit_code == 1
    assert done.stdout.splitlines() == ["NODE  IMAGE  ID            SIZE", "n1    app:1  0123456789ab  1.98MB"]
    assert done.stderr == "n2: no connection\n"


@pytest.mark.parametrize(("size", "text"), [(0, "0B"), (999, "999B"), (1500, "1.5kB"), (2_000_000_000, "2GB")])
def test_sizes(size, text):
    assert human_size(size) == text


def test_small_parts():
    assert why(404, b'{"message": "gone"}') == "gone"
    assert why(500, b"") == "status 500"
    assert rows_of("n", [{"id": "x", "names": [], "sizeBytes": 1}]) == [("n", "<none>", "x", "1B")]
    with pytest.raises(ImagesError):
        read_answer(io.BytesIO(b"").readline)
