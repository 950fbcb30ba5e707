"""Wait for a local cluster to be ready, telling the truth when it will not be."""

import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import datetime

import orjson

from windlass.cli.datadir import DataDir
from windlass.cli.processes import ProcessTable
from windlass.clock import parse_rfc3339
from windlass.errors import WindlassError

POLL_SECONDS = 0.05


class NotReadyError(WindlassError):
    """A part of the cluster ended or did not become ready in time; the message ends with its log's last lines."""


def admin_context(data_dir: DataDir) -> ssl.SSLContext:
    """Return a TLS context that trusts the cluster's CA and presents the administrator."""
    context = ssl.create_default_context(cafile=data_dir.pki / "ca.crt")
    context.load_cert_chain(data_dir.pki / "admin.crt", data_dir.pki / "admin.key")
    return context


def fetch(server: str, path: str, context: ssl.SSLContext, timeout: float = 5.0) -> tuple[int, bytes]:
    """GET a path of the API server; (0, reason) when it does not answer."""
    try:
        with urllib.request.urlopen(server + path, timeout=timeout, context=context) as answer:  # noqa: S310 - https, ours
            return int(answer.status), answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except (OSError, urllib.error.URLError) as error:
        return 0, str(error).encode()


def node_is_alive(server: str, node: str, context: ssl.SSLContext, since: datetime) -> bool:
    """Say whether a Node is Ready and its agent has renewed its Lease after a moment: an older word is not enough."""
    if not node_is_ready(server, node, context):
        return False
    code, body = fetch(server, f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{node}", context)
    renewed = orjson.loads(body).get("spec", {}).get("renewTime") if code == 200 else None
    return renewed is not None and parse_rfc3339(renewed) >= since


def node_is_ready(server: str, node: str, context: ssl.SSLContext) -> bool:
    """Say whether a Node exists with condition Ready=True."""
    code, body = fetch(server, f"/api/v1/nodes/{node}", context)
    if code != 200:
        return False
    conditions = orjson.loads(body).get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def wait_until(probe: Callable[[], bool], processes: ProcessTable, name: str, timeout_seconds: float) -> None:
    """Wait until a probe holds, as long as the process of that name lives. Raises NotReadyError."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        record = processes.get(name)
        if record is None or not record.running:
            raise NotReadyError(f"{name} ended before it was ready; {_tail(processes, name)}")
        if probe():
            return
        if time.monotonic() > deadline:
            raise NotReadyError(f"{name} was not ready within {timeout_seconds:g} s; {_tail(processes, name)}")
        time.sleep(POLL_SECONDS)


def _tail(processes: ProcessTable, name: str) -> str:
    path = processes.log_path(name)
    lines = path.read_text(errors="replace").splitlines()[-5:] if path.exists() else []
    return f"last lines of {path}:\n" + "\n".join(lines)
