"""Many clients at once: slow ones, greedy ones, ones that all want the same object, ones that make things up."""

import json
import random
import ssl
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

JSON = {"Host": "api", "Content-Type": "application/json"}
MADE_UP = 100_000
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"


@pytest.fixture(scope="module")
def lease(api):
    """The Lease of a node, renewed by its own certificate."""
    api.request("POST", LEASES, {"metadata": {"name": "one"}}, user="node-one").expect(201)
    return f"{LEASES}/one"


def renew(api, lease: str, number: int) -> None:
    """Renew a Lease as its node."""
    api.patch(lease, {"spec": {"leaseTransitions": number}}, user="node-one").expect(200)


def healthy(api) -> None:
    api.request("GET", "/livez", user="").expect(200)


def is_open(connection) -> bool:
    """Tell whether the server has neither answered nor closed this connection."""
    connection.settimeout(0)
    try:
        connection.recv(1)
    except ssl.SSLWantReadError:
        return True
    except OSError:
        return False
    return False


def test_slow_heads_and_bodies_hold_nobody_up(api, lease, configmaps):
    """A36: 200 connections that dribble a head and 250 that dribble a body; health and heartbeats are answered while they wait."""
    slow = []
    with ExitStack() as stack:
        for number in range(450):
            connection = stack.enter_context(api.connect("admin" if number >= 200 else ""))
            slow.append(connection)
            if number < 200:
                connection.sendall(b"GET /api/v1/pods HTTP/1.1\r\nHost: a")
            else:
                connection.sendall(api.head("POST", configmaps, {**JSON, "Content-Length": "100"}) + b'{"meta')
        for number in range(5):
            healthy(api)
            renew(api, lease, number)
        # More writes than the bound wait for their bodies; one more is told to come back, not left to wait.
        refused = api.request("POST", configmaps, {"metadata": {"name": "one-more"}})
        assert refused.expect(429)["details"]["retryAfterSeconds"] >= 1
        assert int(refused.headers["retry-after"]) >= 1
        assert sum(map(is_open, slow)) > 200
    api.request("GET", configmaps).expect(200)


def test_everybody_lists_everything_and_leases_are_renewed(api, lease, configmaps):
    """A38: 50 clients list without limit, over and over; each is served or told when to come back."""
    with ThreadPoolExecutor(8) as writers:
        body = {"data": {"payload": "x" * 4000}}
        made = writers.map(
            lambda n: api.request("POST", configmaps, {"metadata": {"name": f"c{n}"}, **body}).status, range(500)
        )
        assert set(made) == {201}
    with ThreadPoolExecutor(50) as clients:
        lists = [clients.submit(api.request, "GET", "/api/v1/configmaps") for _ in range(100)]
        for number in range(10):
            renew(api, lease, number)
        answers = [done.result() for done in lists]
    for answer in answers:
        assert answer.status in (200, 429)
        assert len(answer.json["items"]) >= 500 if answer.status == 200 else int(answer.headers["retry-after"]) >= 1


def test_one_object_many_writers(api, configmaps):
    """A40: 64 writers that read and write back: as many versions as successes, the rest told of their conflict."""
    path = f"{configmaps}/counter"
    api.request("POST", configmaps, {"metadata": {"name": "counter"}, "data": {"n": "0"}}).expect(201)

    def increment(writer: int) -> int:
        obj = api.request("GET", path).json
        obj["data"] = {"n": str(int(obj["data"]["n"]) + 1), "writer": str(writer)}
        return api.request("PUT", path, obj).status

    stream = api.watch(configmaps, f"resourceVersion={api.revision()}&timeoutSeconds=60")
    with ThreadPoolExecutor(64) as writers:
        results = Counter(writers.map(increment, range(64)))
    final = api.request("GET", path).json
    assert set(results) <= {200, 409}
    assert results[200] == int(final["data"]["n"]) >= 1
    events = stream.take(results[200])
    stream.close()
    assert [int(event["object"]["data"]["n"]) for event in events] == list(range(1, results[200] + 1))
    assert events[-1]["object"] == final


def test_patches_and_subresources_do_not_clobber_each_other(api, namespace):
    """A40: 32 writers of status, of finalizers and of labels: every one's last word is kept."""
    pods = f"/api/v1/namespaces/{namespace}/pods"
    spec = {"containers": [{"name": "main", "image": "busybox:local"}]}
    api.request("POST", pods, {"metadata": {"name": "p"}, "spec": spec}).expect(201)

    def write(number: int) -> int:
        if number % 2:
            return api.patch(f"{pods}/p", {"metadata": {"labels": {f"l{number}": "set"}}}).status
        condition = {"type": f"example.com/c{number}", "status": "True"}
        strategic = "application/strategic-merge-patch+json"
        return api.patch(f"{pods}/p/status", {"status": {"conditions": [condition]}}, strategic).status

    with ThreadPoolExecutor(32) as writers:
        done = list(writers.map(write, range(32)))
    pod = api.request("GET", f"{pods}/p").json
    conditions = {condition["type"] for condition in pod["status"]["conditions"]}
    for number, status in enumerate(done):
        assert status in (200, 409)
        if status == 200:
            assert f"l{number}" in pod["metadata"]["labels"] if number % 2 else f"example.com/c{number}" in conditions
    assert done.count(200) >= 8


def series(api) -> set[str]:
    """Names and labels of the counted requests, without values, answers' codes or the buckets' numbers."""
    text = api.request("GET", "/metrics").expect(200).decode()
    return {line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")}


class KeptConnection:
    """Sends requests one after the other, anew on another connection when the server has closed this one."""

    def __init__(self, api):
        self._api = api
        self._connection = None

    def __enter__(self):
        return self.talk

    def __exit__(self, *_exc):
        self._close()

    def _close(self):
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def talk(self, verb: str, request: bytes) -> int:
        """Return the answer's status."""
        kept = self._connection is not None
        try:
            return self._exchange(verb, request)
        except (OSError, ConnectionError):
            self._close()
            if not kept:
                raise
            return self._exchange(verb, request)

    def _exchange(self, verb: str, request: bytes) -> int:
        if self._connection is None:
            self._connection = self._api.connect()
        self._connection.sendall(request)
        answer = self._api.read_answer(self._connection, bodiless=verb == "HEAD")
        if answer.headers.get("connection") == "close" or (answer.status >= 400 and "content-length" not in answer.headers):
            self._close()
        return answer.status


def test_made_up_requests_make_no_series(api, configmaps):
    """A37: paths, verbs, names, agents and queries that clients make up grow no metric."""

    def make_up(dice, talk) -> None:
        word = "".join(dice.choices("abcdefghij%/.-_~", k=dice.randrange(1, 30)))
        path = dice.choice(["/", "/api/v1/", "/apis/", "/healthz/", f"{configmaps}/", "/api/v1/namespaces/"]) + word
        verb = dice.choice(["GET", "PUT", "DELETE", "POST", "PATCH", "OPTIONS", "TRACE", "HEAD", "PROPFIND"])
        agent = {"User-Agent": f"agent-{word}", "X-Forwarded-For": word}
        body = b"{}" if verb in {"PATCH", "PUT", "POST"} else b""
        fields = {**JSON, **agent, "Content-Length": str(len(body))} if body else {"Host": "api", **agent}
        status = talk(verb, api.head(verb, f"{path}?{word}={word}", fields) + body)
        assert status < 500, (verb, path)

    def speak(number: int, count: int) -> None:
        dice = random.Random(number)
        with KeptConnection(api) as talk:
            for _ in range(count):
                make_up(dice, talk)

    def round_of(count: int) -> set[str]:
        with ThreadPoolExecutor(4) as clients:
            list(clients.map(lambda number: speak(count + number, count // 4), range(4)))
        return series(api)

    seen = round_of(300)
    after = round_of(600)
    assert not any(word in line for line in after for word in ("agent-", "%", "~"))
    labels = {line.partition("{")[2] for line in after}
    verbs = {part for line in labels for part in line.split(",") if part.startswith("verb=")}
    assert len(verbs) <= 10, verbs
    assert len(after - seen) < 40
    settled = round_of(MADE_UP)
    assert len(settled - after) <= 4, settled - after


BAD_NAMES = [
    ("%2F", 400), ("..%2F..%2Fescape", 400), ("%2e%2e", 400), ("..", 400), (".", 400), ("a%00b", 400), ("a%0ab", 400),
    ("%25", 400), ("%ff%fe", 400), ("x" * 300, 404), ("x" * 5000, 400), ("%E2%80%AEevil", 404), ("UPPER", 404),
    ("a%20b", 404), ("a%5Cb", 404), ("zookeeper", 404), ("caf%C3%A9", 404), ("a%252Fb", 400),
]  # fmt: skip


@pytest.mark.parametrize(("name", "status"), BAD_NAMES)
def test_names_in_paths(api, configmaps, name, status):
    """A39: 400 or 404 with every verb, and nothing is made or reached outside."""
    before = api.revision()
    assert api.request("GET", f"{configmaps}/{name}").expect(400, 404)["code"] == status
    api.request("DELETE", f"{configmaps}/{name}").expect(400, 404)
    api.patch(f"{configmaps}/{name}", {"data": {}}).expect(400, 404)
    api.request("PUT", f"{configmaps}/{name}", {"metadata": {"name": "x"}}).expect(400, 404, 422)
    api.request("GET", f"/api/v1/namespaces/{name}/configmaps").expect(200, 400, 404)
    api.request("POST", f"/api/v1/namespaces/{name}/configmaps", {"metadata": {"name": "x"}}).expect(400, 403, 404, 422)
    assert api.revision() == before


@pytest.mark.parametrize(
    "name",
    ["a/b", "..", ".", "", "a\nb", "x" * 300, "\u202eevil", "UPPER", "a b", "a%2Fb", "-a", "a-", "a..b", "ａ", 7, None],
)
def test_names_in_bodies(api, configmaps, name):
    """A39: 422 (or 400) that names the field; generateName and namespace are held to the same."""
    before = api.revision()
    said = api.request("POST", configmaps, {"metadata": {"name": name}}).expect(400, 422)
    assert "name" in json.dumps(said)
    if isinstance(name, str) and name not in ("", "a-"):
        api.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}}).expect(400, 422)
        api.request("POST", configmaps, {"metadata": {"name": "x", "namespace": name}}).expect(400, 422)
        api.request("POST", configmaps, {"metadata": {"generateName": f"{name}/"}}).expect(400, 422)
    assert api.revision() == before


@pytest.mark.parametrize("path", ["//api/v1/pods", "/api//v1/pods", "/api/v1/namespaces//pods", "/api/v1/pods//"])
def test_empty_segments(api, path):
    """A39: `//` is not collapsed into another resource."""
    api.request("GET", path).expect(404)


def test_bytes_that_are_no_http(api):
    """A39: garbage in the request line is refused or cut off, and the server lives."""
    for garbage in (
        b"\x00\x01\x02\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /api v1 HTTP/1.1\r\n\r\n",
        b"A" * 100_000,
    ):
        with api.connect() as connection:
            connection.sendall(garbage)
            try:
                said = connection.recv(4096)
            except OSError:
                said = b""
        assert said == b"" or said.startswith(b"HTTP/1.1 4"), said
    healthy(api)


DEPLOYMENT = {
    "metadata": {"name": "d"},
    "spec": {
        "selector": {"matchLabels": {"a": "b"}},
        "template": {
            "metadata": {"labels": {"a": "b"}},
            "spec": {"containers": [{"name": "main", "image": "busybox:local"}]},
        },
    },
}


def test_dry_run_changes_nothing(api, namespace):
    """A41: every verb with dryRun=All answers as if it had happened, and the store's revision stays."""
    core, apps = f"/api/v1/namespaces/{namespace}", f"/apis/apps/v1/namespaces/{namespace}"
    pod = {"metadata": {"name": "p"}, "spec": DEPLOYMENT["spec"]["template"]["spec"]}
    config = api.request("POST", f"{core}/configmaps", {"metadata": {"name": "c"}, "data": {"k": "v"}}).expect(201)
    api.request("POST", f"{core}/pods", pod).expect(201)
    deployment = api.request("POST", f"{apps}/deployments", DEPLOYMENT).expect(201)
    before = api.revision()
    writes = [
        ("POST", f"{core}/configmaps", {"metadata": {"name": "new"}}),
        ("PUT", f"{core}/configmaps/c", {**config, "data": {"k": "other"}}),
        ("PATCH", f"{core}/configmaps/c", {"data": {"k": "other"}}),
        ("DELETE", f"{core}/configmaps/c", None),
        ("DELETE", f"{core}/configmaps", None),
        ("POST", f"{core}/pods/p/binding", {"target": {"kind": "Node", "name": "n"}}),
        ("POST", f"{core}/pods/p/eviction", {"metadata": {"name": "p", "namespace": namespace}}),
        ("PATCH", f"{core}/pods/p/status", {"status": {"phase": "Running"}}),
        ("DELETE", f"{core}/pods/p", None),
        ("PATCH", f"{apps}/deployments/d/scale", {"spec": {"replicas": 7}}),
        ("PUT", f"{apps}/deployments/d/status", {**deployment, "status": {"replicas": 3}}),
        ("POST", "/api/v1/namespaces", {"metadata": {"name": "dry-namespace"}}),
        ("DELETE", f"/api/v1/namespaces/{namespace}", None),
    ]
    for verb, path, body in writes:
        headers = {"Content-Type": "application/merge-patch+json"} if verb == "PATCH" else {}
        api.request(verb, f"{path}?dryRun=All", body, headers=headers).expect(200, 201)
        assert api.revision() == before, (verb, path)
    api.request("DELETE", f"{core}/configmaps/c", {"dryRun": ["All"]}).expect(200)
    assert api.revision() == before
    api.request("POST", f"{core}/configmaps?dryRun=Some", {"metadata": {"name": "new"}}).expect(400, 422)
    assert api.request("GET", f"{core}/configmaps/c").expect(200) == config
