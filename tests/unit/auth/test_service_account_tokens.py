"""Tokens of service accounts: what is let in, and everything that is not (S47)."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from windlass.auth.node_authorizer import NodeAuthorizer
from windlass.auth.service_accounts.authenticator import MAX_REMEMBERED, ServiceAccountAuthenticator
from windlass.auth.service_accounts.keys import KEY_FILE, key_id_of, load_or_create
from windlass.auth.service_accounts.tokens import ServiceAccountTokens
from windlass.errors import ConfigError, UnauthorizedError, UnavailableError
from windlass.plugin.interfaces.authn import Attributes, Credentials, UserInfo
from windlass.testing.clock import FakeClock

NOW = datetime(2026, 1, 2, tzinfo=UTC)


class Reader:
    """Objects by (resource, namespace, name)."""

    def __init__(self):
        self.objects = {("namespaces", "", "kube-system"): {"metadata": {"uid": "ns"}}}

    def put(self, resource, namespace, name, uid, **spec):
        self.objects[resource, namespace, name] = {
            "metadata": {"name": name, "namespace": namespace, "uid": uid},
            "spec": spec,
        }

    def get(self, resource, namespace, name):
        return self.objects.get((resource, namespace, name))

    def list(self, resource, namespace=""):
        return [o for (r, n, _), o in self.objects.items() if r == resource and namespace in ("", n)]


class Box:
    def __init__(self, pki):
        self.clock = FakeClock(NOW)
        self.reader = Reader()
        self.reader.put("serviceaccounts", "ns", "app", "sa-1")
        self.reader.put("pods", "ns", "web", "pod-1", nodeName="n1", serviceAccountName="app")
        self.reader.put("nodes", "", "n1", "node-1")
        self.tokens = ServiceAccountTokens(pki, self.clock)
        self.authenticator = ServiceAccountAuthenticator(self.tokens, self.reader)

    def token(self, audiences=(), seconds=3600, **bound):
        private = {"serviceaccount": {"name": "app", "uid": "sa-1"}, **bound}
        return self.tokens.issue("ns", "app", private, audiences=audiences, seconds=seconds)[0]

    def user(self, token, audiences=()):
        return self.authenticator.authenticate(Credentials(None, token, audiences))


POD = {"pod": {"name": "web", "uid": "pod-1"}, "node": {"name": "n1", "uid": "node-1"}}


@pytest.fixture
def box(tmp_path):
    return Box(tmp_path)


@pytest.fixture(scope="module")
def noise_box(tmp_path_factory):
    return Box(tmp_path_factory.mktemp("pki"))


def raw(header, claims, signature=b"x"):
    parts = [json.dumps(header).encode(), json.dumps(claims).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def claims_of(token):
    return jwt.decode(token, options={"verify_signature": False})


def test_a_token_names_its_account_pod_and_node(box):
    user = box.user(box.token(**POD))
    assert (user.name, user.uid) == ("system:serviceaccount:ns:app", "sa-1")
    assert set(user.groups) == {"system:serviceaccounts", "system:serviceaccounts:ns", "system:authenticated"}
    assert user.extra["authentication.kubernetes.io/pod-name"] == ["web"]
    assert user.extra["authentication.kubernetes.io/node-name"] == ["n1"]


def test_other_tokens_are_left_to_others(box):
    for token in ("", "plain", "a.b.c", "..", raw({"alg": "none"}, {"iss": "https://elsewhere"}), "e30.e30.e30"):
        assert box.user(token) is None


def refused(box, token, audiences=()):
    """Nobody is let in: None is 401 when no other authenticator knows the token."""
    try:
        return box.user(token, audiences) is None
    except UnauthorizedError:
        return True


def test_s47_hostile_tokens_are_refused(box):
    """S47: alg none, HS256 with the public key, other audience and issuer, expired, future, kid out of the directory."""
    good = claims_of(box.token(**POD))
    kid = box.tokens.keys.key_id
    public = box.tokens.keys.private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    stranger = ec.generate_private_key(ec.SECP256R1())
    unsigned = raw({"alg": "none", "typ": "JWT", "kid": kid}, good, b"")
    head = raw({"alg": "HS256", "typ": "JWT", "kid": kid}, good).rsplit(".", 1)[0]
    mac = hmac.new(public, head.encode(), hashlib.sha256).digest()
    symmetric = head + "." + base64.urlsafe_b64encode(mac).rstrip(b"=").decode()

    def signed(key=None, headers=None, **changes):
        claims = {k: v for k, v in {**good, **changes}.items() if v is not None}
        return jwt.encode(claims, key or box.tokens.keys.private, algorithm="ES256", headers=headers or {"kid": kid})

    hostile = {
        "none": unsigned,
        "hs256": symmetric,
        "other key": signed(stranger),
        "other key under its own id": signed(stranger, {"kid": key_id_of(stranger.public_key())}),
        "audience": signed(aud=["vault"]),
        "issuer": signed(iss="https://elsewhere"),
        "expired": signed(exp=good["iat"] - 1, iat=good["iat"] - 10, nbf=good["iat"] - 10),
        "future": signed(nbf=good["iat"] + 100, iat=good["iat"] + 100),
        "no expiry": signed(exp=None),
        "no audience": signed(aud=None),
        "text for a time": signed(nbf="soon"),
        "kid traversal": signed(headers={"kid": "../../" + KEY_FILE}),
        "kid absolute": signed(headers={"kid": "/dev/null"}),
        "kid of no text": signed(headers={"kid": ""}),
        "critical": signed(headers={"kid": kid, "crit": ["exp2"]}),
        "subject": signed(sub="system:serviceaccount:kube-system:admin"),
        "no account": signed(**{"kubernetes.io": {"namespace": "ns"}}),
        "account of no object": signed(**{"kubernetes.io": []}),
        "long": "x" * (1 << 20),
        "long header": raw({"alg": "ES256", "kid": "k" * (1 << 20)}, good),
        "cut": signed()[:-2],
    }
    assert {name for name, token in hostile.items() if not refused(box, token)} == set()
    assert box.user(signed()) is not None


@given(st.text(max_size=200), st.integers(0, 2), st.binary(max_size=60))
def test_noise_is_never_let_in_and_never_crashes(noise_box, text, part, data):
    box = noise_box
    parts = box.token(**POD).split(".")
    parts[part] = text
    changed = ".".join(parts)
    assert refused(box, changed) or changed == box.token(**POD)
    assert refused(box, base64.urlsafe_b64encode(data).decode() + "." + text + ".")


@pytest.mark.parametrize("gone", [("pods", "ns", "web"), ("serviceaccounts", "ns", "app")])
def test_a_token_ends_with_what_it_is_bound_to(box, gone):
    """S47: pod gone, at the very next request although the token was good before."""
    token = box.token(**POD)
    assert box.user(token)
    del box.reader.objects[gone]
    with pytest.raises(UnauthorizedError):
        box.user(token)


def test_a_pod_of_the_same_name_is_another_pod(box):
    token = box.token(**POD)
    box.reader.put("pods", "ns", "web", "pod-2", nodeName="n1")
    with pytest.raises(UnauthorizedError, match="earlier"):
        box.user(token)


def test_a_secret_may_be_what_a_token_is_bound_to(box):
    box.reader.put("secrets", "ns", "s", "secret-1")
    token = box.token(secret={"name": "s", "uid": "secret-1"})
    assert box.user(token)
    del box.reader.objects["secrets", "ns", "s"]
    with pytest.raises(UnauthorizedError):
        box.user(token)


def test_a_pods_token_outlives_its_node_object(box):
    token = box.token(**POD)
    del box.reader.objects["nodes", "", "n1"]
    assert box.user(token)


async def test_a_remembered_token_still_expires(box):
    token = box.token(seconds=600)
    assert box.user(token)
    await box.clock.advance(600)
    with pytest.raises(UnauthorizedError, match="expired"):
        box.user(token)


def test_audiences_are_held_apart(box):
    token = box.token(audiences=("vault", "db"))
    assert refused(box, token)
    assert box.user(token, ("vault",)).audiences == ("vault",)
    assert refused(box, token, ("other",))
    assert box.user(token, ("other", "db")).audiences == ("db",)


def test_before_the_caches_are_filled_it_is_503_and_not_401(box):
    token = box.token(**POD)
    box.reader.objects.clear()
    with pytest.raises(UnavailableError):
        box.user(token)


def test_what_is_remembered_is_bounded(box):
    box.authenticator._verified.update({bytes([i % 256, i // 256]): {} for i in range(MAX_REMEMBERED)})
    box.user(box.token())
    assert len(box.authenticator._verified) == MAX_REMEMBERED


def test_keys_are_made_once_private_and_read_again(tmp_path):
    first, second = load_or_create(tmp_path), load_or_create(tmp_path)
    assert first.key_id == second.key_id
    assert (tmp_path / KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [KEY_FILE]


def test_old_keys_still_check(tmp_path):
    box = Box(tmp_path)
    token = box.token(**POD)
    (tmp_path / KEY_FILE).rename(tmp_path / "service-account-2025.key")
    new = Box(tmp_path)
    assert new.tokens.keys.key_id != box.tokens.keys.key_id
    assert new.user(token)
    assert {key["kid"] for key in new.tokens.keys.jwks()["keys"]} == {box.tokens.keys.key_id, new.tokens.keys.key_id}


@pytest.mark.parametrize("content", [b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_broken_key_is_named(tmp_path, content):
    (tmp_path / KEY_FILE).write_bytes(content)
    with pytest.raises(ConfigError, match=KEY_FILE):
        load_or_create(tmp_path)


def test_others_can_check_our_tokens_by_the_published_keys(box):
    published = jwt.PyJWKSet.from_dict(box.tokens.keys.jwks())
    token = box.token()
    key = published[jwt.get_unverified_header(token)["kid"]]
    assert jwt.decode(
        token,
        key,
        algorithms=["ES256"],
        audience=box.tokens.issuer,
        options={"verify_exp": False, "verify_iat": False, "verify_nbf": False},
    )


def decide(box, **attributes):
    user = UserInfo("system:node:n1", ("system:nodes", "system:authenticated"))
    return NodeAuthorizer().authorize(Attributes(user, **attributes), box.reader).allowed


def test_a_node_gets_tokens_of_the_accounts_of_its_own_pods(box):
    box.reader.put("pods", "ns", "far", "pod-9", nodeName="n2", serviceAccountName="other")
    asked = {"verb": "create", "resource": "serviceaccounts", "subresource": "token", "namespace": "ns"}
    assert decide(box, **asked, name="app") is True
    assert decide(box, **asked, name="other") is False
    assert decide(box, **{**asked, "namespace": "kube-system"}, name="app") is False
    assert decide(box, **{**asked, "verb": "get", "subresource": ""}, name="app") is False


@pytest.mark.parametrize(
    ("verb", "name", "selector", "allowed"),
    [
        ("get", "cm", "", True),
        ("watch", "", "metadata.name=cm", True),
        ("list", "", "metadata.name=cm", True),
        ("watch", "", "", False),
        ("list", "", "metadata.name=", False),
        ("list", "", "metadata.name=cm,metadata.name=other", False),
        ("list", "", "metadata.name!=other", False),
        ("watch", "", "metadata.name=other", False),
        ("get", "other", "metadata.name=cm", False),
        ("update", "cm", "", False),
    ],
)
def test_a_node_watches_only_what_its_pods_refer_to(box, verb, name, selector, allowed):
    box.reader.put("pods", "ns", "web", "pod-1", nodeName="n1", volumes=[{"name": "v", "configMap": {"name": "cm"}}])
    asked = {"resource": "configmaps", "namespace": "ns", "verb": verb, "name": name, "field_selector": selector}
    assert decide(box, **asked) is allowed
