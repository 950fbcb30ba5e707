"""Bodies that are too big, malformed or made to cost: refused with a Status, and nothing is stored."""

import gzip
import json
import zlib

import pytest

GIB = 1 << 30
RSS_GROWTH_KIB = 16 * 1024
JSON = {"Host": "api", "Connection": "close", "Content-Type": "application/json"}


@pytest.fixture
def unchanged(api, configmaps):
    """Whatever the test sends: memory is bounded, the server lives, and the store is as it was."""
    api.request("POST", configmaps, {"metadata": {"name": "kept"}, "data": {"list": "x"}}).expect(201)
    before, memory = api.revision(), api.rss_kib()
    yield
    assert api.revision() == before
    assert api.rss_kib() - memory < RSS_GROWTH_KIB
    api.request("GET", "/healthz", user="").expect(200)


def zeros(size: int) -> bytes:
    """A gzip stream that unpacks to `size` zero bytes, made without unpacking: one block over and over."""
    block = 1 << 24
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(bytes(block)) + packer.flush(zlib.Z_FULL_FLUSH)
    return gzip.compress(b"")[:10] + packed * (size // block)


def test_a_gibibyte_by_content_length_is_refused_unread(api, configmaps, unchanged):
    """A34: 413 by the head alone."""
    answer = api.raw(api.head("POST", configmaps, {**JSON, "Content-Length": str(GIB)}))
    assert answer.expect(413)["reason"] == "RequestEntityTooLarge"


def test_a_gibibyte_in_chunks_is_refused_while_it_streams(api, configmaps, unchanged):
    """A34: the answer comes long before the end, and the server stops reading."""
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    sent = 0
    with api.connect() as connection:
        connection.sendall(api.head("POST", configmaps, {**JSON, "Transfer-Encoding": "chunked"}))
        connection.settimeout(30)
        try:
            while sent < GIB // 8:
                connection.sendall(chunk)
                sent += len(chunk)
        except OSError:
            assert sent < GIB // 16
    api.request("GET", configmaps).expect(200)


def test_chunks_over_the_bound_get_413(api, configmaps, unchanged):
    """A34: a client that stops to listen is told."""
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    api.raw(api.head("POST", configmaps, {**JSON, "Transfer-Encoding": "chunked"}) + chunk * 60).expect(413)


def test_a_gzip_bomb_is_not_unpacked(api, configmaps, unchanged):
    """A34: a MiB that unpacks to a GiB."""
    bomb = zeros(GIB)
    assert len(bomb) < 2 << 20
    api.request("POST", configmaps, bomb, headers={"Content-Encoding": "gzip"}).expect(413)


@pytest.mark.parametrize(
    ("body", "encoding", "status"),
    [
        (b"not gzip", "gzip", 400),
        (gzip.compress(b"{}")[:-9], "gzip", 400),
        (b"{}", "br", 415),
        (b"{}", "gzip, gzip", 415),
    ],
)
def test_encodings_that_are_not_so(api, configmaps, unchanged, body, encoding, status):
    """A34: 400 for broken gzip, 415 for encodings that nobody offered."""
    api.request("POST", configmaps, body, headers={"Content-Encoding": encoding}).expect(status)


def test_a_gzip_body_is_read(api, configmaps):
    """A34: the bound does not cost what it protects."""
    body = gzip.compress(json.dumps({"metadata": {"name": "packed"}}).encode())
    api.request("POST", configmaps, body, headers={"Content-Encoding": "gzip"}).expect(201)


@pytest.mark.parametrize("length", ["12", "-1", "x", "1e3", "+50", "50, 51"])
def test_wrong_lengths(api, configmaps, unchanged, length):
    """A34: a length that is not the body's makes no object; if it is answered, then as a client's error."""
    body = b'{"metadata": {"name": "wrong-length"}}'
    with api.connect() as connection:
        connection.sendall(api.head("POST", configmaps, {**JSON, "Content-Length": length}) + body)
        answer = api.read_answer(connection)
    assert 400 <= answer.status < 500


def test_a_body_that_ends_early_makes_no_object(api, configmaps, unchanged):
    """A34: the client goes away in the middle of its body."""
    with api.connect() as connection:
        body = b'{"metadata": {"name": "early"}}'
        connection.sendall(api.head("POST", configmaps, {**JSON, "Content-Length": str(len(body) + 10)}) + body)


def test_no_body_at_all(api, configmaps, unchanged):
    """A34: neither length nor body."""
    api.raw(api.head("POST", configmaps, JSON)).expect(400, 411)
    api.raw(api.head("PUT", f"{configmaps}/kept", JSON)).expect(400, 411)


@pytest.mark.parametrize("media_type", ["text/plain", "application/xml", "multipart/form-data; boundary=x", "a" * 500])
def test_wrong_content_types(api, configmaps, unchanged, media_type):
    """A34: 415 before the body is looked at, for writes and patches."""
    body = {"metadata": {"name": "typed"}}
    api.request("POST", configmaps, body, headers={"Content-Type": media_type}).expect(415)
    api.patch(f"{configmaps}/kept", body, media_type).expect(415)


DATA = b'{"metadata": {"name": "evil"}, "data": {"k": %s}}'
HOSTILE_JSON = {
    "nested": b"[" * 200_000,
    "nested-object": DATA % (b'{"a":' * 100_000),
    "balanced": DATA % (b"[" * 200_000 + b"]" * 200_000),
    "huge-integer": DATA % (b"9" * 5000),
    "nan": DATA % b"NaN",
    "infinity": DATA % b"-Infinity",
    "overflow": DATA % b"1e999",
    "surrogate": DATA % b'"\\ud800"',
    "nul": DATA % b'"\x00"',
    "bom": b"\xef\xbb\xbf" + DATA % b'"v"' + b"x",
    "latin1": DATA % b'"\xe9"',
    "two": DATA % b'"v"' + DATA % b'"v"',
    "comment": DATA % b'"v" /* c */',
    "single-quotes": b"{'metadata': {'name': 'evil'}}",
    "scalar": b"17",
    "null": b"null",
    "list": b"[]",
    "string": b'"metadata"',
}


@pytest.mark.parametrize("name", HOSTILE_JSON)
def test_hostile_json(api, configmaps, unchanged, name):
    """A32: 400 that names the place; the same as a patch."""
    for answer in (
        api.request("POST", configmaps, HOSTILE_JSON[name]),
        api.request("PUT", f"{configmaps}/kept", HOSTILE_JSON[name]),
        api.patch(f"{configmaps}/kept", HOSTILE_JSON[name]),
    ):
        answer.expect(400, 422)


def test_duplicate_keys_are_an_error_when_asked_for(api, configmaps, unchanged):
    """A32: fieldValidation=Strict refuses what it would have to choose from."""
    body = b'{"metadata": {"name": "dup"}, "data": {"k": "1", "k": "2"}}'
    said = api.request("POST", f"{configmaps}?fieldValidation=Strict", body).expect(400, 422)
    assert '"k"' in said["message"] or "data.k" in said["message"]


def bomb(levels: int = 9) -> bytes:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(lines).encode()


HOSTILE_YAML = {
    "alias-bomb": bomb(),
    "self-alias": b"metadata: &a\n  name: evil\n  labels: *a\n",
    "python": b"metadata: !!python/object/apply:os.system ['id']",
    "python-name": b"metadata: {name: !!python/name:os.system }",
    "big-scalar": b"metadata: {name: evil}\ndata: {k: " + b"x" * 10_000_000 + b"}",
    "documents": b"---\nmetadata: {name: evil}\n" * 1000,
    "deep": b"a: " + b"[" * 20_000,
    "tab": b"metadata:\n\tname: evil",
    "octal": b"metadata: {name: evil}\ndata: {k: 012}",
    "float": b"metadata: {name: evil}\ndata: {k: 1e3}",
    "no": b"metadata: {name: evil}\ndata: {k: no}",
    "latin1": b"metadata: {name: \xe9vil}",
}


@pytest.mark.parametrize("name", HOSTILE_YAML)
def test_hostile_yaml(api, configmaps, unchanged, name):
    """A33: 400 or 413; a value that is no string in YAML is no string in a ConfigMap either."""
    answer = api.request("POST", configmaps, HOSTILE_YAML[name], headers={"Content-Type": "application/yaml"})
    answer.expect(400, 413, 422)


def doubling(count: int) -> list[dict[str, str]]:
    return [{"op": "copy", "from": "/data", "path": f"/data/c{number}"} for number in range(count)]


JSON_PATCHES = {
    "operations": [{"op": "add", "path": "/data/k", "value": "v"}] * 30_000,
    "hundred-thousand": [{"op": "test"}] * 100_000,
    "doubling": doubling(40),
    "index": [
        {"op": "add", "path": "/metadata/finalizers", "value": []},
        {"op": "add", "path": "/metadata/finalizers/1000000", "value": "x"},
    ],
    "test-missing": [
        {"op": "add", "path": "/data/new", "value": "v"},
        {"op": "test", "path": "/data/none", "value": "x"},
    ],
    "test-differs": [{"op": "remove", "path": "/data/list"}, {"op": "test", "path": "/metadata/name", "value": "x"}],
    "remove-missing": [{"op": "remove", "path": "/data/none"}],
    "into-string": [{"op": "add", "path": "/data/list/-", "value": "x"}],
    "no-operation": [{"op": "explode", "path": "/data"}],
    "no-path": [{"op": "add", "value": "x"}],
    "into-itself": [{"op": "move", "from": "/data", "path": "/data/inner"}],
    "whole": [{"op": "replace", "path": "", "value": []}],
    "scalars": [1, None, "x"],
}


@pytest.mark.parametrize("name", JSON_PATCHES)
def test_hostile_json_patches(api, configmaps, unchanged, name):
    """A35: refused as a whole."""
    answer = api.patch(f"{configmaps}/kept", JSON_PATCHES[name], "application/json-patch+json")
    answer.expect(400, 413, 422)


@pytest.mark.parametrize("media_type", ["application/merge-patch+json", "application/strategic-merge-patch+json"])
def test_deep_merge_patches(api, configmaps, unchanged, media_type):
    """A35: a patch as deep as a recursion limit."""
    for depth in (900, 5_000, 100_000):
        body = b'{"data":' * depth + b"1" + b"}" * depth
        api.patch(f"{configmaps}/kept", body, media_type).expect(400, 413, 422)


def test_objects_that_no_store_takes(api, configmaps, unchanged):
    """R12: 2 MB at once, then 1.2 MB of annotations by patch: refused before the store, others see nothing of it."""
    big = {"metadata": {"name": "big"}, "data": {"k": "x" * 2_000_000}}
    api.request("POST", configmaps, big).expect(413, 422)
    annotations = {"metadata": {"annotations": {f"a{n}": "x" * 100_000 for n in range(12)}}}
    api.patch(f"{configmaps}/kept", annotations).expect(413, 422)
    api.request("GET", f"{configmaps}/kept").expect(200)


def test_an_object_that_grows_by_small_patches_stays_within_the_bound(api, configmaps):
    """R12: each step is small, the sum is not; the last good state stays."""
    api.request("POST", configmaps, {"metadata": {"name": "grows"}}).expect(201)
    statuses = [api.patch(f"{configmaps}/grows", {"data": {f"k{number}": "x" * 200_000}}).status for number in range(7)]
    kept = statuses.count(200)
    assert set(statuses) <= {200, 413, 422}
    assert 3 <= kept < 7
    assert len(api.request("GET", f"{configmaps}/grows").expect(200)["data"]) == kept
