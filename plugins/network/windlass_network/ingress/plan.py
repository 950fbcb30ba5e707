"""From Ingresses to sites: hosts, paths by precedence, TLS, canaries. Pure.

The oldest Ingress wins where two want the same path of the same host; the other's owner is told. Whatever is wrong with
one rule, path or certificate leaves out just that.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from windlass_network.ingress.backends import Backends
from windlass_network.ingress.model import (
    Certificate,
    Cluster,
    IngressPlan,
    Location,
    Obj,
    Problem,
    Site,
    annotation,
)

HOST = re.compile(r"(\*\.)?([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\.)*[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
PATH = re.compile(r"/[\x21\x23-\x5b\x5d-\x7e\u00a1-\uffff]*")
"""No control character, space, quote or backslash: what cannot leave the quotes that it is written in."""
SIZE = re.compile(r"\d{1,9}[kKmMgG]?")
READ = Callable[[Obj], Certificate]


@dataclass(slots=True)
class _Host:
    locations: dict[tuple[str, bool], Location] = field(default_factory=dict)
    default: Location | None = None
    certificate: str = ""
    redirect: bool = False


class _Planner:
    def __init__(self, cluster: Cluster, read: READ) -> None:
        self._cluster = cluster
        self._read = read
        self._backends = Backends(cluster)
        self._hosts: dict[str, _Host] = {}
        self._certificates: dict[str, Certificate] = {}
        self._default: Location | None = None

    def plan(self) -> IngressPlan:
        canaries = [one for one in self._cluster.ingresses if annotation(one, "canary") == "true"]
        for ingress in self._cluster.ingresses:
            if ingress not in canaries:
                self._take(ingress)
        for ingress in canaries:
            self._take_canary(ingress)
        sites = [self._site(host, found) for host, found in sorted(self._hosts.items())]
        if "" not in self._hosts:
            sites.insert(0, Site("", [self._default] if self._default else []))
        problems = list({(id(p.obj), p.reason, p.message): p for p in self._backends.problems}.values())
        return IngressPlan(sites, self._backends.upstreams, self._certificates, problems)

    def _tell(self, ingress: Obj, reason: str, message: str) -> None:
        self._backends.problems.append(Problem(ingress, reason, message))

    def _take(self, ingress: Obj) -> None:
        spec = ingress.get("spec") or {}
        default = None
        if spec.get("defaultBackend"):
            default = self._location(ingress, "/", spec["defaultBackend"], exact=False)
            self._default = self._default or default
        for host, location in self._paths(ingress):
            entry = self._hosts.setdefault(host, _Host())
            known = entry.locations.setdefault((location.path, location.exact), location)
            if known is not location:
                self._tell(ingress, "DuplicatePath", f"{host or '*'}{location.path} belongs to an older Ingress")
            entry.default = entry.default or default
        self._take_tls(ingress)

    def _paths(self, ingress: Obj) -> Iterator[tuple[str, Location]]:
        for rule in (ingress.get("spec") or {}).get("rules") or ():
            host = str(rule.get("host") or "")
            if host and not HOST.fullmatch(host):
                self._tell(ingress, "InvalidHost", f"host {host!r} is left out: it is no DNS name")
                continue
            for one in (rule.get("http") or {}).get("paths") or ():
                path = str(one.get("path") or "/")
                if not PATH.fullmatch(path) or not path.isprintable():
                    self._tell(ingress, "InvalidPath", f"path {path!r} is left out: it is no path")
                    continue
                exact = one.get("pathType") == "Exact"
                path = path if exact else path.rstrip("/") or "/"
                yield host, self._location(ingress, path, one.get("backend") or {}, exact=exact)

    def _location(self, ingress: Obj, path: str, backend: Obj, *, exact: bool) -> Location:
        size = annotation(ingress, "proxy-body-size") or "1m"
        if not SIZE.fullmatch(size):
            self._tell(ingress, "InvalidAnnotation", f"proxy-body-size {size!r} is no size")
            size = "1m"
        return Location(path, exact, self._backends.find(ingress, backend), body_size=size)

    def _take_canary(self, ingress: Obj) -> None:
        text = annotation(ingress, "canary-weight") or "0"
        if not text.isascii() or not text.isdigit() or not 0 <= int(text) <= 100:
            self._tell(ingress, "InvalidAnnotation", f"canary-weight {text!r} is no share of a hundred")
            return
        for host, location in self._paths(ingress):
            entry = self._hosts.get(host)
            key = (location.path, location.exact)
            if entry is None or key not in entry.locations:
                self._tell(ingress, "CanaryAlone", f"{host or '*'}{location.path} has no Ingress but this canary")
            elif location.backend is not None:
                main = entry.locations[key]
                entry.locations[key] = replace(main, canary=location.backend, weight=int(text))

    def _take_tls(self, ingress: Obj) -> None:
        spec = ingress.get("spec") or {}
        redirect = annotation(ingress, "ssl-redirect") != "false"
        for tls in spec.get("tls") or ():
            key = f"{ingress['metadata']['namespace']}/{tls.get('secretName') or ''}"
            if not self._load(ingress, key):
                continue
            for host in tls.get("hosts") or [rule.get("host") or "" for rule in spec.get("rules") or ()]:
                entry = self._hosts.get(host)
                if entry is not None and host and not entry.certificate:
                    entry.certificate, entry.redirect = key, redirect

    def _load(self, ingress: Obj, key: str) -> bool:
        if key in self._certificates:
            return True
        secret = self._cluster.secrets.get(key)
        wrong = "" if secret is not None else "there is no such Secret of type kubernetes.io/tls"
        try:
            if secret is not None:
                self._certificates[key] = self._read(secret)
        except ValueError as error:
            wrong = str(error)
        if wrong:
            self._tell(ingress, "BadCertificate", f"secret {key}: {wrong}; its hosts are served without TLS")
        return not wrong

    def _site(self, host: str, entry: _Host) -> Site:
        locations = dict(entry.locations)
        fallback = entry.default or self._default
        if fallback is not None:
            locations.setdefault(("/", False), fallback)
        ordered = [locations[key] for key in sorted(locations)]
        return Site(host, ordered, entry.certificate, entry.redirect)


def plan_ingress(cluster: Cluster, read: READ) -> IngressPlan:
    """Plan all sites. `read` checks a TLS Secret and raises ValueError when it is unfit."""
    return _Planner(cluster, read).plan()


def group_slices(slices: Mapping[str, Obj]) -> dict[str, list[Obj]]:
    """Return EndpointSlices by their Service's key."""
    found: dict[str, list[Obj]] = {}
    for one in slices.values():
        name = (one["metadata"].get("labels") or {}).get("kubernetes.io/service-name")
        if name:
            found.setdefault(f"{one['metadata']['namespace']}/{name}", []).append(one)
    return found
