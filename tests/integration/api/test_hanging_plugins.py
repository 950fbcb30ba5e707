"""P84 in a running server: a third party's admission plugin that hangs, exits, raises and comes back."""

import textwrap

import pytest

PLUGIN = """
    import os, sys, time
    from windlass.plugin.hookspecs import hookimpl
    from windlass.plugin.registration import DriverRegistration

    class Plugin:
        name = "moody"

        def admit(self, request):
            name = request.name
            if name == "exits":
                sys.exit(3)
            if name == "raises":
                raise ZeroDivisionError("no luck")
            if name == "spoils":
                request.obj.clear()
            if name == "hangs":
                while not os.path.exists(os.environ["RELEASE"]):
                    time.sleep(0.01)

        def validate(self, request):
            pass

    @hookimpl
    def register_admission_plugins():
        return [DriverRegistration("moody", lambda config: Plugin())]
"""


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """The file whose presence lets the plugin go."""
    return tmp_path_factory.mktemp("release") / "go"


@pytest.fixture(scope="module")
def server(replicas, release, tmp_path_factory):
    root = tmp_path_factory.mktemp("moody")
    (root / "moody_plugin.py").write_text(textwrap.dedent(PLUGIN))
    info = root / "moody-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: moody\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[windlass]\nmoody = moody_plugin\n")
    (root / "windlass.toml").write_text("[plugins]\ndeadline_seconds = 6.0\n")
    environment = {"PYTHONPATH": str(root), "RELEASE": str(release)}
    return replicas(root, options=("--config", str(root / "windlass.toml")), environment=environment)


CONFIGMAPS = "/api/v1/namespaces/default/configmaps"


def create(server, name):
    return server.request("POST", CONFIGMAPS, {"metadata": {"name": name}})


def record(server):
    listed = server.request("GET", "/apis/windlass.dev/v1/plugins").expect(200)["items"]
    return next(item for item in listed if item["metadata"]["name"] == "moody")


@pytest.mark.parametrize(
    ("name", "said"), [("exits", "SystemExit: 3"), ("raises", "ZeroDivisionError: no luck"), ("spoils", "")]
)
def test_an_admission_plugin_that_breaks_is_named(server, name, said):
    """P84: the request gets an error that names the plugin; nothing is stored; the next request is served."""
    answer = create(server, name).expect(400, 422, 500)
    assert said in answer["message"]
    assert "moody" in answer["message"] or not said
    server.request("GET", f"{CONFIGMAPS}/{name}").expect(404)
    create(server, f"after-{name}").expect(201)
    assert record(server)["status"]["state"] == "loaded"


def test_an_admission_plugin_that_never_returns(server, release):
    """P84: others are served while it hangs; then it is named in the answer, the log, the list and a metric."""
    with server.connect() as connection:
        body = b'{"metadata": {"name": "hangs"}}'
        fields = {"Host": "api", "Content-Type": "application/json", "Content-Length": str(len(body))}
        connection.sendall(server.head("POST", CONFIGMAPS, fields) + body)
        server.request("GET", "/livez", user="").expect(200)
        create(server, "meanwhile").expect(201)
        server.request("GET", f"{CONFIGMAPS}/meanwhile").expect(200)
        said = server.read_answer(connection).expect(500)["message"]
    assert said == "plugin moody: admit did not return within 6 s"
    status = record(server)["status"]
    assert (status["state"], status["reason"]) == ("failed", "admit did not return within 6 s")
    threads = server.threads()
    for number in range(10):
        refused = create(server, f"no-{number}").expect(500)
        assert "plugin moody has not returned from an earlier call" in refused["message"]
    assert server.threads() <= threads
    assert "plugin_call_failed" in server.log()
    metrics = server.request("GET", "/metrics").expect(200).decode()
    assert 'windlass_plugin_failures_total{hook="admit",plugin="moody"}' in metrics
    server.request("GET", "/readyz").expect(200)
    release.touch()
    while create(server, "again").status != 201:
        continue  # its thread comes back within milliseconds; pytest's own limit catches a hang
