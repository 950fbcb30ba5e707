"""The configuration of nginx as text. Pure: the same plan gives the same text."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from windlass_network.ingress.model import Backend, IngressPlan, Location, Site

KEEPALIVE = 64
HTTP_HEADERS = (
    "proxy_http_version 1.1;",
    "proxy_set_header Host $http_host;",
    "proxy_set_header X-Real-IP $remote_addr;",
    "proxy_set_header X-Forwarded-For $remote_addr;",
    "proxy_set_header X-Forwarded-Host $http_host;",
    "proxy_set_header X-Forwarded-Proto $scheme;",
    "proxy_set_header Upgrade $http_upgrade;",
    "proxy_set_header Connection $connection_upgrade;",
    "proxy_request_buffering off;",
    "proxy_max_temp_file_size 0;",
)


@dataclass(frozen=True, slots=True)
class Listen:
    """Where nginx listens."""

    address: str = ""
    http_port: int = 80
    https_port: int = 443

    def at(self, port: int) -> str:
        """Write an address with a port."""
        if ":" in self.address:
            return f"[{self.address}]:{port}"
        return f"{self.address}:{port}" if self.address else str(port)


def file_stem(certificate: str) -> str:
    """Name a certificate's files."""
    return hashlib.sha256(certificate.encode()).hexdigest()[:32]


def render(plan: IngressPlan, listen: Listen, *, workers: int = 2) -> str:
    """Write the whole configuration; paths are relative to nginx's prefix."""
    lines = [
        "daemon off;",
        "pid nginx.pid;",
        f"worker_processes {workers};",
        "worker_shutdown_timeout 60s;",
        "error_log stderr warn;",
        "events { worker_connections 4096; }",
        "http {",
        *_indent(_http(plan, listen)),
        "}",
    ]
    return "\n".join(lines) + "\n"


def _indent(lines: Iterable[str]) -> Iterator[str]:
    return (f"  {line}" for line in lines)


def _http(plan: IngressPlan, listen: Listen) -> Iterator[str]:
    yield "access_log off;"
    yield "server_tokens off;"
    yield "server_names_hash_bucket_size 512;"
    yield "server_names_hash_max_size 16384;"
    yield "keepalive_requests 10000;"
    yield "proxy_connect_timeout 5s;"
    for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"):
        yield f"{kind}_temp_path temp/{kind};"
    yield "map $http_upgrade $connection_upgrade { default upgrade; '' ''; }"
    for name, addresses in sorted(plan.upstreams.items()):
        if addresses:
            yield from _upstream(name, addresses)
    for site in plan.sites:
        for location in site.locations:
            if location.backend and location.canary:
                yield from _split(location.backend, location.canary, location.weight)
    if any(site.certificate for site in plan.sites):
        yield f"server {{ listen {listen.at(listen.https_port)} ssl default_server; ssl_reject_handshake on; }}"
    for site in plan.sites:
        yield from _servers(site, listen)


def _upstream(name: str, addresses: Sequence[str]) -> Iterator[str]:
    yield f"upstream {name} {{"
    yield from _indent(f"server {address} max_fails=2 fail_timeout=2s;" for address in addresses)
    yield f"  keepalive {KEEPALIVE};"
    yield "}"


def _variable(main: Backend, canary: Backend, weight: int) -> str:
    digest = hashlib.sha256(f"{main.upstream}|{canary.upstream}|{weight}".encode()).hexdigest()[:16]
    return f"$split_{digest}"


def _split(main: Backend, canary: Backend, weight: int) -> Iterator[str]:
    share = f" {weight}% {canary.upstream};" if 0 < weight < 100 else ""
    rest = canary.upstream if weight == 100 else main.upstream
    yield f'split_clients "$request_id" {_variable(main, canary, weight)} {{{share} * {rest}; }}'


def _server_name(host: str) -> str:
    """Write a host: a wildcard stands for exactly one label, as Kubernetes has it."""
    if not host:
        return '""'
    if host.startswith("*."):
        return '"~^[^.]+\\.' + host[2:].replace(".", "\\.") + '$"'
    return f'"{host}"'


def _servers(site: Site, listen: Listen) -> Iterator[str]:
    default = "" if site.host else " default_server"
    yield "server {"
    yield f"  listen {listen.at(listen.http_port)}{default};"
    yield f"  server_name {_server_name(site.host)};"
    if site.certificate and site.redirect:
        port = "" if listen.https_port == 443 else f":{listen.https_port}"
        yield f"  return 308 https://$host{port}$request_uri;"
    else:
        yield from _indent(_locations(site))
    yield "}"
    if site.certificate:
        stem = file_stem(site.certificate)
        yield "server {"
        yield f"  listen {listen.at(listen.https_port)} ssl http2;"
        yield f"  server_name {_server_name(site.host)};"
        yield f"  ssl_certificate certificates/{stem}.crt;"
        yield f"  ssl_certificate_key certificates/{stem}.key;"
        yield "  ssl_protocols TLSv1.2 TLSv1.3;"
        yield from _indent(_locations(site))
        yield "}"


def _locations(site: Site) -> Iterator[str]:
    """Write the paths: exact ones first, then prefixes by whole elements, where nginx takes the longest."""
    exact = {location.path for location in site.locations if location.exact}
    for location in site.locations:
        if location.exact:
            yield from _location(f'= "{location.path}"', location)
        elif location.path == "/":
            yield from _location('"/"', location)
        else:
            if location.path not in exact:
                yield from _location(f'= "{location.path}"', location)
            yield from _location(f'"{location.path}/"', location)
    if not any(location.path == "/" and not location.exact for location in site.locations):
        yield 'location "/" { return 404; }'


def _location(match: str, location: Location) -> Iterator[str]:
    yield f"location {match} {{"
    yield f"  client_max_body_size {location.body_size};"
    backend = location.backend
    if backend is None:
        yield "  return 503;"
    elif backend.protocol == "grpc":
        yield f"  grpc_pass grpc://{_target(backend, location)};"
    else:
        yield from _indent(HTTP_HEADERS)
        yield f"  proxy_pass {backend.protocol}://{_target(backend, location)};"
    yield "}"


def _target(backend: Backend, location: Location) -> str:
    if location.canary is None:
        return backend.upstream
    return _variable(backend, location.canary, location.weight)
