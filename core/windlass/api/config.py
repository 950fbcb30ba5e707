"""Bounds of the API server. Every one of them can be met by a client; none is a tuning knob for correctness."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ApiConfig:
    """Bounds and paths. Times in seconds, sizes in bytes.

    `agent_certificate`/`agent_key`: what the API server shows to host agents (logs); `agent_ca` what it trusts there.
    `stream_idle_seconds`: how long exec, attach and port-forward may be silent in both directions; `proxy_idle_seconds` how
    long a proxied request may make no progress. `host`/`port`: advertised address, '' when unknown.
    `service_cidrs`: where Services' addresses come from, one range per family; () gives none out.
    """

    max_body_bytes: int = 3 * 1024 * 1024
    max_read_requests: int = 400
    max_write_requests: int = 200
    max_watches: int = 10_000
    request_timeout_seconds: float = 60.0
    min_watch_timeout_seconds: float = 1800.0
    bookmark_interval_seconds: float = 60.0
    gzip_threshold_bytes: int = 128 * 1024
    readyz_timeout_seconds: float = 2.0
    agent_certificate: str = ""
    agent_key: str = ""
    agent_ca: str = ""
    stream_idle_seconds: float = 4 * 3600.0
    proxy_idle_seconds: float = 900.0
    host: str = ""
    port: int = 0
    service_cidrs: tuple[str, ...] = ("10.96.0.0/12",)
