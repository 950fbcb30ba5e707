"""Which targets a proxy has, and which headers pass (S51)."""

import pytest

from windlass.api.proxy_rules import ProxyName, is_proxyable, parse_name, pod_origin, request_headers, response_headers
from windlass.errors import BadRequestError, UnavailableError


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("web", ("", "web", "")), ("web:80", ("", "web", "80")), ("https:web:443", ("https", "web", "443")),
        (":web:80", ("", "web", "80")), ("http:web:", ("http", "web", "")),
    ],
)
def test_names(text, name):
    assert parse_name(text) == ProxyName(*name)


@pytest.mark.parametrize("text", ["ftp:web:80", "a:b:c:d", ":80", "https::443"])
def test_bad_names(text):
    with pytest.raises(BadRequestError):
        parse_name(text)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "169.254.169.254", "::ffff:169.254.169.254", "fe80::1", "224.0.0.1",
        "ff02::1", "0.0.0.0", "::", "255.255.255.255", "localhost", "metadata.internal", "", "10.0.0.1/8", "0x7f.1",
    ],
)
def test_addresses_that_are_no_pods(address):
    """S51."""
    assert not is_proxyable(address)
    pod = {"status": {"podIP": address}, "spec": {}}
    with pytest.raises((BadRequestError, UnavailableError)):
        pod_origin(pod, parse_name("web:80"))


def test_origins():
    pod = {"status": {"podIP": "10.1.2.3"}, "spec": {"containers": [{}, {"ports": [{"containerPort": 8080}]}]}}
    assert pod_origin(pod, parse_name("web")) == "http://10.1.2.3:8080"
    assert pod_origin(pod, parse_name("https:web:8443")) == "https://10.1.2.3:8443"
    assert pod_origin({"status": {"podIP": "fd00::5"}, "spec": {}}, parse_name("web")) == "http://[fd00::5]"
    for port in ("http", "0", "65536", "8 0", "80@evil", "٣"):
        with pytest.raises(BadRequestError):
            pod_origin(pod, ProxyName("", "web", port))


def test_what_the_caller_shows_stays_here():
    """S51: neither credentials nor hop-by-hop headers reach a pod."""
    raw = [
        (b"Host", b"api:6443"), (b"Authorization", b"Bearer secret"), (b"Impersonate-User", b"root"), (b"X-Remote-User", b"root"),
        (b"Connection", b"close, X-Private"), (b"X-Private", b"1"), (b"Upgrade", b"h2c"), (b"Transfer-Encoding", b"chunked"),
        (b"X-Forwarded-For", b"1.1.1.1"), (b"Windlass-Fence", b"x"), (b"Accept", b"text/html"), (b"Cookie", b"theme=dark"),
        (b"Sec-WebSocket-Protocol", b"base64url.bearer.authorization.k8s.io.c2VjcmV0"),
    ]
    sent = request_headers(raw, ("192.0.2.1", 5), "/api/v1/namespaces/d/pods/web/proxy/x")
    assert sent == [
        ("accept", "text/html"), ("cookie", "theme=dark"), ("x-forwarded-proto", "https"), ("x-forwarded-for", "192.0.2.1"),
        ("x-forwarded-host", "api:6443"), ("x-forwarded-uri", "/api/v1/namespaces/d/pods/web/proxy/x"),
    ]


def test_what_comes_back():
    pairs = [
        ("Content-Type", "text/html"), ("Content-Length", "5"), ("Set-Cookie", "session=1"), ("Date", "today"),
        ("Connection", "X-Hop"), ("X-Hop", "1"), ("Location", "/elsewhere"), ("X-Bad", "a\x01b"), ("Keep-Alive", "5"),
    ]
    assert response_headers(pairs) == [("content-length", "5"), ("location", "/elsewhere")]
