import pytest

from windlass.auth.authenticators import CertificateAuthenticator, TokenFileAuthenticator
from windlass.errors import ConfigError, UnauthorizedError
from windlass.plugin.interfaces.authn import Credentials


def certificate(*pairs):
    return {"subject": tuple(((key, value),) for key, value in pairs)}


def test_cn_is_the_user_and_each_o_a_group():
    user = CertificateAuthenticator().authenticate(
        Credentials(certificate(("organizationName", "a"), ("organizationName", "b"), ("commonName", "eve")))
    )
    assert (user.name, tuple(user.groups)) == ("eve", ("a", "b", "system:authenticated"))


def test_no_certificate_is_no_opinion_and_a_nameless_one_is_refused():
    assert CertificateAuthenticator().authenticate(Credentials()) is None
    with pytest.raises(UnauthorizedError, match="no common name"):
        CertificateAuthenticator().authenticate(Credentials(certificate(("organizationName", "a"))))


def test_tokens_name_user_and_groups(tmp_path):
    path = tmp_path / "tokens.csv"
    path.write_text('s3cret,ann,7,"dev,ops"\n# comment\nplain,bob,8\n')
    authenticator = TokenFileAuthenticator(path)
    ann = authenticator.authenticate(Credentials(bearer_token="s3cret"))
    assert (ann.name, ann.uid, tuple(ann.groups)) == ("ann", "7", ("dev", "ops", "system:authenticated"))
    assert authenticator.authenticate(Credentials(bearer_token="other")) is None
    assert "s3cret" not in repr(vars(authenticator))


def test_a_bad_token_file_names_the_line(tmp_path):
    path = tmp_path / "tokens.csv"
    path.write_text("only-a-token\n")
    with pytest.raises(ConfigError, match="line 1"):
        TokenFileAuthenticator(path)


def test_a_huge_token_is_refused(tmp_path):
    """S47: 1 MB header."""
    (tmp_path / "t").write_text("a,b,c\n")
    with pytest.raises(UnauthorizedError, match="longer than"):
        TokenFileAuthenticator(tmp_path / "t").authenticate(Credentials(bearer_token="x" * 1_000_000))
