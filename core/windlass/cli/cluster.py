"""How a cluster on this machine was started: written by `up`, read by `down` and `status`."""

import json
from dataclasses import asdict, dataclass

from windlass.auth.kubeconfig import write_kubeconfig
from windlass.auth.pki import CertificateAuthority, CertificateRequest, write_private
from windlass.cli.datadir import DataDir

API_HOSTS = (
    "127.0.0.1",
    "::1",
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "10.96.0.1",
)


@dataclass(frozen=True, slots=True)
class Cluster:
    """The choices of `windlass up`."""

    store: str
    runtime: str
    port: int
    node_name: str
    node_ip: str
    pod_cidr: str
    config: str = ""

    @property
    def server(self) -> str:
        """The API server's URL."""
        return f"https://127.0.0.1:{self.port}"

    def save(self, data_dir: DataDir) -> None:
        """Keep it in the data directory."""
        write_private(data_dir.cluster_file, json.dumps(asdict(self)).encode())

    @classmethod
    def load(cls, data_dir: DataDir) -> "Cluster | None":
        """Read it back; None when there is no cluster here."""
        try:
            return cls(**json.loads(data_dir.cluster_file.read_text()))
        except FileNotFoundError:
            return None


def issue_identities(data_dir: DataDir, cluster: Cluster) -> None:
    """Make the CA, every certificate and every kubeconfig that the processes of this machine need."""
    authority = CertificateAuthority(data_dir.pki)
    node = cluster.node_name
    authority.issue("apiserver", CertificateRequest("kube-apiserver", hosts=(*API_HOSTS, cluster.node_ip)))
    authority.issue("apiserver-kubelet-client", CertificateRequest("system:apiserver", ("system:masters",)))
    users = {
        "admin": CertificateRequest("admin", ("system:masters",)),
        "manager": CertificateRequest("system:kube-controller-manager", ("system:masters",)),
        f"node-{node}": CertificateRequest(f"system:node:{node}", ("system:nodes",), (node, cluster.node_ip)),
    }
    for user, request in users.items():
        certificate, key = authority.issue(user, request)
        write_kubeconfig(
            data_dir.kubeconfig(user),
            server=cluster.server,
            ca=authority.certificate_path,
            certificate=certificate,
            key=key,
        )
