"""The agent's server over real mutual TLS: who gets in, and what they get (S46)."""

import asyncio
import datetime as dt
import json
import ssl

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from prometheus_client import CollectorRegistry

from windlass.clock import SystemClock
from windlass.plugin.interfaces.runtime import ContainerConfig, SandboxConfig
from windlass_hostagent.node.care import no_volumes
from windlass_hostagent.pods.observation import LABEL_NAME, LABEL_NAMESPACE, LABEL_UID
from windlass_hostagent.server.app import build_app
from windlass_hostagent.server.https import bind, make_config, serve
from windlass_hostagent.stats.collector import StatsCollector
from windlass_runtime.hollow.driver import build

LABELS = {LABEL_NAME: "web", LABEL_NAMESPACE: "default", LABEL_UID: "u1"}


def _issue(path, name, common_name, organisation="", issuer=None):
    key = ec.generate_private_key(ec.SECP256R1())
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organisation:
        attributes.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation))
    subject = x509.Name(attributes)
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    certificate = builder.sign(issuer[1] if issuer else key, hashes.SHA256())
    (path / f"{name}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (path / f"{name}.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate, key


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    path = tmp_path_factory.mktemp("pki")
    authority = _issue(path, "ca", "test-ca")
    _issue(path, "node", "node", issuer=authority)
    _issue(path, "apiserver", "system:apiserver", "system:masters", issuer=authority)
    _issue(path, "stranger", "system:node:other", "system:nodes", issuer=authority)
    return path


def client_context(pki, identity):
    context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
    context.check_hostname = False
    if identity:
        context.load_cert_chain(pki / f"{identity}.crt", pki / f"{identity}.key")
    return context


PODS = [{"metadata": {"name": "web", "namespace": "default", "uid": "u1"}}]


class NoPods:
    def pods(self):
        waiting = [{"name": "main", "state": {"waiting": {"reason": "ImagePullBackOff"}}}]
        slow = {"metadata": {"name": "slow", "namespace": "default"}, "status": {"containerStatuses": waiting}}
        return [{"metadata": {"name": "web"}}, slow]


@pytest.fixture
async def server(pki):
    runtime = build({"output": "one\ntwo", "local_images": ["app"]})
    sandbox = await runtime.run_pod_sandbox(SandboxConfig("web", "default", "u1", labels=LABELS))
    container = await runtime.create_container(sandbox, ContainerConfig("main", 0, "app", labels=LABELS))
    await runtime.start_container(container)
    listener = bind("127.0.0.1", 0)
    collector = StatsCollector(
        node_name="n1", data_dir=pki, runtime=runtime, clock=SystemClock(), pods=lambda: PODS, volumes=no_volumes
    )
    app = build_app(runtime, NoPods(), SystemClock(), CollectorRegistry(), collector, pki)
    config = make_config(app, (pki / "node.crt", pki / "node.key", pki / "ca.crt"))
    task = asyncio.ensure_future(serve(config, listener))
    yield f"https://127.0.0.1:{listener.getsockname()[1]}"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    listener.close()


async def ask(server, pki, identity, path):
    connector = aiohttp.TCPConnector(ssl=client_context(pki, identity))
    async with aiohttp.ClientSession(connector=connector) as session, session.get(server + path) as answer:
        return answer.status, await answer.text()


@pytest.mark.parametrize(
    "path", ["/pods", "/metrics", "/stats/summary", "/containerLogs/default/web/main", "/debug/pprof"]
)
async def test_without_a_certificate_only_health(server, pki, path):
    assert (await ask(server, pki, "", "/healthz")) == (200, "ok")
    assert (await ask(server, pki, "", path))[0] == 401


async def test_another_nodes_certificate_is_refused(server, pki):
    status, body = await ask(server, pki, "stranger", "/pods")
    assert status == 403
    assert '"reason":"Forbidden"' in body


async def test_the_api_server_reads_logs(server, pki):
    assert await ask(server, pki, "apiserver", "/containerLogs/default/web/main") == (200, "one\ntwo\n")
    assert await ask(server, pki, "apiserver", "/containerLogs/default/web/main?tailLines=1") == (200, "two\n")


@pytest.mark.parametrize("name", ["other", "..%2f..%2fetc", "%2e%2e"])
async def test_unknown_containers_are_404(server, pki, name):
    """N69."""
    assert (await ask(server, pki, "apiserver", f"/containerLogs/default/web/{name}"))[0] == 404


async def test_previous_without_one_is_400(server, pki):
    status, body = await ask(server, pki, "apiserver", "/containerLogs/default/web/main?previous=true")
    assert status == 400
    assert "previous terminated container" in body


async def test_bad_parameters_are_400(server, pki):
    assert (await ask(server, pki, "apiserver", "/containerLogs/default/web/main?tailLines=x"))[0] == 400


async def test_pods_and_metrics(server, pki):
    assert '"kind":"PodList"' in (await ask(server, pki, "apiserver", "/pods"))[1]
    assert (await ask(server, pki, "apiserver", "/metrics"))[0] == 200


async def test_the_summary_shows_node_and_pods(server, pki):
    status, text = await ask(server, pki, "apiserver", "/stats/summary")
    assert status == 200
    summary = json.loads(text)
    assert summary["node"]["nodeName"] == "n1"
    assert summary["node"]["memory"]["workingSetBytes"] > 0
    assert [p["podRef"]["name"] for p in summary["pods"]] == ["web"]
    assert [c["name"] for c in summary["pods"][0]["containers"]] == ["main"]


async def test_a_container_that_waits_says_why(server, pki):
    status, body = await ask(server, pki, "apiserver", "/containerLogs/default/slow/main")
    assert status == 400
    assert 'container \\"main\\" in pod \\"slow\\" is waiting to start: ImagePullBackOff' in body
