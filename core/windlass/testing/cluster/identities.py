"""The certificates of an in-process cluster, and the kubeconfig of its administrator."""

from dataclasses import dataclass
from pathlib import Path

from windlass.auth.kubeconfig import write_kubeconfig
from windlass.auth.pki import CertificateAuthority, CertificateRequest

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Identities:
    """Files in DIRECTORY/pki, as the API server and the agents look for them."""

    directory: Path

    @property
    def pki(self) -> Path:
        """CA, certificates and keys."""
        return self.directory / "pki"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.directory / "admin.kubeconfig"

    @property
    def agent_tls(self) -> tuple[Path, Path, Path]:
        """What all agents serve with: certificate, key, and the CA of their clients."""
        return self.pki / "agent.crt", self.pki / "agent.key", self.pki / "ca.crt"

    def issue(self, port: int) -> None:
        """Make everything for an API server on that port."""
        authority = CertificateAuthority(self.pki)
        authority.issue("apiserver", CertificateRequest("kube-apiserver", hosts=(HOST, "localhost")))
        authority.issue("apiserver-kubelet-client", CertificateRequest("system:apiserver", ("system:masters",)))
        authority.issue("agent", CertificateRequest("system:node:agent", ("system:nodes",), (HOST,)))
        certificate, key = authority.issue("admin", CertificateRequest("admin", ("system:masters",)))
        write_kubeconfig(
            self.kubeconfig,
            server=f"https://{HOST}:{port}",
            ca=authority.certificate_path,
            certificate=certificate,
            key=key,
        )
