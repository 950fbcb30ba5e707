"""W26: watchers that take a byte a second, and what they cost the others."""

import os
import ssl
import threading
import time
from contextlib import ExitStack
from pathlib import Path

WATCHERS = 200
EVENTS = 150
EVENT_BYTES = 60_000
GUARD_SECONDS = 180
ESTABLISHED = "01"


class Sippers:
    """Clients that read one byte per second from each of their connections."""

    def __init__(self, connections):
        self._connections = connections
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._sip)
        self.sips = 0

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_exc):
        self._stopped.set()
        self._thread.join()

    def _sip(self):
        while not self._stopped.wait(1):
            for connection in self._connections:
                connection.settimeout(0)
                try:
                    self.sips += len(connection.recv(1))
                except (OSError, ssl.SSLError, ValueError):
                    continue


def connections_of(port):
    """How many established connections the server on this port has."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    local = f"0100007F:{port:04X}"
    return sum(fields[1] == local and fields[3] == ESTABLISHED for fields in map(str.split, lines))


def test_watchers_of_a_byte_a_second_are_cut_off(api, configmaps):
    """W26: memory holds events once, not per watcher; a fast watcher gets each; the slow are really closed."""
    api.request("POST", configmaps, {"metadata": {"name": "big"}}).expect(201)
    fast = api.watch(configmaps, f"resourceVersion={api.revision()}")

    def grown():
        memory = api.rss_kib()
        for number in range(EVENTS):
            data = {"k": os.urandom(EVENT_BYTES // 2).hex(), "n": str(number)}
            api.patch(f"{configmaps}/big", {"data": data}).expect(200)
            assert fast.next()["object"]["data"]["n"] == str(number)
        return api.rss_kib() - memory

    with ExitStack() as stack:
        stack.callback(fast.close)
        alone = grown()
        since = api.revision()
        slow = [api.watch(configmaps, f"resourceVersion={since}", receive_buffer=2048) for _ in range(WATCHERS)]
        for watcher in slow:
            stack.callback(watcher.close)
        sippers = stack.enter_context(Sippers([watcher.connection for watcher in slow]))
        before = connections_of(api.port)
        beside = grown()
        # A watcher's own copy of what it has not taken would be EVENTS * EVENT_BYTES, 1.8 GB together.
        assert beside < alone + WATCHERS * 1024
        assert before > WATCHERS
        guard = time.monotonic() + GUARD_SECONDS
        while connections_of(api.port) > before - WATCHERS:
            assert time.monotonic() < guard, f"{connections_of(api.port)} of {before} are still open"
            time.sleep(0.2)
        assert sippers.sips > WATCHERS
        api.patch(f"{configmaps}/big", {"data": {"n": "last"}}).expect(200)
        assert fast.next()["object"]["data"]["n"] == "last"
