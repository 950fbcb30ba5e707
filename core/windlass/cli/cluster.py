"""How a cluster on this machine was started: written by `up`, read by `down` and `status`."""

import ipaddress
import json
from dataclasses import asdict, dataclass

from windlass.auth.kubeconfig import write_kubeconfig
from windlass.auth.pki import CertificateAuthority, CertificateRequest, write_private
from windlass.cli.datadir import DataDir
from windlass.cli.hosts import Underlay

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
    """The choices of `windlass up`. `nodes` above 0: that many hosts on the range `underlay`, named node1 and so on."""

    store: str
    runtime: str
    port: int
    node_name: str
    node_ip: str
    pod_cidr: str
    config: str = ""
    nodes: int = 0
    underlay: str = ""
    cluster_cidrs: tuple[str, ...] = ()
    max_pods: int = 110

    def underlay_of(self, tag: str) -> Underlay | None:
        """Return the hosts' common link; None when there are no hosts."""
        return Underlay(tag, ipaddress.IPv4Network(self.underlay)) if self.nodes else None

    @property
    def address(self) -> str:
        """Where the API server listens: for hosts at this machine's end of their link."""
        underlay = self.underlay_of("")
        return underlay.address if underlay else "127.0.0.1"

    @property
    def server(self) -> str:
        """The API server's URL."""
        return f"https://{self.address}:{self.port}"

    def identities(self) -> list[tuple[str, str]]:
        """Return name and address of every node."""
        underlay = self.underlay_of("")
        hosts = underlay.hosts(self.nodes) if underlay else ()
        return [(host.name, host.ip) for host in hosts] or [(self.node_name, self.node_ip)]

    def save(self, data_dir: DataDir) -> None:
        """Keep it in the data directory."""
        write_private(data_dir.cluster_file, json.dumps(asdict(self)).encode())

    @classmethod
    def load(cls, data_dir: DataDir) -> "Cluster | None":
        """Read it back; None when there is no cluster here."""
        try:
            known = json.loads(data_dir.cluster_file.read_text())
        except FileNotFoundError:
            return None
        return cls(**{**known, "cluster_cidrs": tuple(known.get("cluster_cidrs", ()))})


def issue_identities(data_dir: DataDir, cluster: Cluster) -> None:
    """Make the CA, every certificate and every kubeconfig that the processes of this machine need."""
    authority = CertificateAuthority(data_dir.pki)
    nodes = cluster.identities()
    own = cluster.address if cluster.nodes else cluster.node_ip
    authority.issue("apiserver", CertificateRequest("kube-apiserver", hosts=(*API_HOSTS, own)))
    authority.issue("apiserver-kubelet-client", CertificateRequest("system:apiserver", ("system:masters",)))
    users = {
        "admin": CertificateRequest("admin", ("system:masters",)),
        "manager": CertificateRequest("system:kube-controller-manager", ("system:masters",)),
    }
    for node, address in nodes:
        users[f"node-{node}"] = CertificateRequest(f"system:node:{node}", ("system:nodes",), (node, address))
    for user, request in users.items():
        certificate, key = authority.issue(user, request)
        write_kubeconfig(
            data_dir.kubeconfig(user),
            server=cluster.server,
            ca=authority.certificate_path,
            certificate=certificate,
            key=key,
        )
