import ssl
import stat

import pytest
import yaml

from windlass.auth.kubeconfig import write_kubeconfig
from windlass.auth.pki import CertificateAuthority, CertificateRequest


@pytest.fixture
def authority(tmp_path):
    return CertificateAuthority(tmp_path / "pki")


def test_files_are_for_their_owner_only(authority, tmp_path):
    """S57."""
    certificate, key = authority.issue("admin", CertificateRequest("admin", ("system:masters",)))
    write_kubeconfig(
        tmp_path / "admin.kubeconfig",
        server="https://127.0.0.1:1",
        ca=authority.certificate_path,
        certificate=certificate,
        key=key,
    )
    for path in (certificate, key, authority.directory / "ca.key", tmp_path / "admin.kubeconfig"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(authority.directory.stat().st_mode) == 0o700


def test_a_second_start_reuses_everything(authority):
    request = CertificateRequest("kube-apiserver", hosts=("127.0.0.1", "localhost"))
    before = [path.read_bytes() for path in authority.issue("apiserver", request)]
    again = CertificateAuthority(authority.directory)
    assert [path.read_bytes() for path in again.issue("apiserver", request)] == before


def test_another_host_name_means_another_certificate(authority):
    certificate, _ = authority.issue("apiserver", CertificateRequest("kube-apiserver", hosts=("127.0.0.1",)))
    before = certificate.read_bytes()
    authority.issue("apiserver", CertificateRequest("kube-apiserver", hosts=("127.0.0.1", "example")))
    assert certificate.read_bytes() != before


def test_openssl_accepts_the_chain(authority):
    certificate, key = authority.issue("apiserver", CertificateRequest("kube-apiserver", hosts=("127.0.0.1",)))
    context = ssl.create_default_context(cafile=authority.certificate_path)
    context.load_cert_chain(certificate, key)
    assert context.get_ca_certs()[0]["subject"] == ((("commonName", "windlass-ca"),),)


def test_an_existing_kubeconfig_keeps_what_its_user_has_added(tmp_path):
    authority = CertificateAuthority(tmp_path / "pki")
    certificate, key = authority.issue("admin", CertificateRequest("admin", ("system:masters",)))
    path = tmp_path / "admin.kubeconfig"
    known = {"server": "https://127.0.0.1:1", "ca": authority.certificate_path, "certificate": certificate, "key": key}
    write_kubeconfig(path, **known)
    document = yaml.safe_load(path.read_text())
    document["contexts"][0]["context"]["namespace"] = "kube-system"
    path.write_text(yaml.safe_dump(document))
    write_kubeconfig(path, **known)
    assert yaml.safe_load(path.read_text()) == document
    write_kubeconfig(path, **{**known, "server": "https://127.0.0.1:2"})
    assert yaml.safe_load(path.read_text())["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:2"
