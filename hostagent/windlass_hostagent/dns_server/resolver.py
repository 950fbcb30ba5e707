"""From names to records, as the Kubernetes DNS specification has it. Pure: reads the view, waits for nothing.

    SERVICE.NAMESPACE.svc.DOMAIN              A, AAAA: cluster IPs; headless: every ready endpoint; ExternalName: CNAME
    HOST.SERVICE.NAMESPACE.svc.DOMAIN         A, AAAA of one endpoint, by its hostname or its address with dashes
    _PORT._PROTOCOL.SERVICE.NAMESPACE.svc...  SRV
    10-0-0-1.NAMESPACE.pod.DOMAIN             A by arithmetic, within the pods' ranges only
    4.3.2.1.in-addr.arpa, ...ip6.arpa         PTR of cluster IPs and endpoints

A name without any record does not exist (NXDOMAIN); one with records of other types, or with names below it, has no data.
"""

from collections.abc import Iterator, Sequence

from windlass_hostagent.dns_server.endpoints import Endpoint, Port, endpoints_of, ports_of
from windlass_hostagent.dns_server.records import (
    NXDOMAIN,
    SERVFAIL,
    SPECIFICATION,
    Address,
    Answer,
    Labels,
    Record,
    Zone,
    address_record,
    is_within,
    labels_of,
    reverse_address,
    undashed,
)
from windlass_hostagent.dns_server.view import SERVICE_NAME, ClusterView, Obj, cluster_ips

SRV_PRIORITY = 0
SRV_WEIGHTS = 100


class Resolver:
    """Answers for one zone and the reverse names of its ranges."""

    def __init__(self, view: ClusterView, zone: Zone) -> None:
        self.zone = zone
        self._view = view
        self._origin = zone.labels

    def is_ours(self, labels: Labels) -> bool:
        """Say whether a name is in the zone."""
        return labels[-len(self._origin) :] == self._origin

    def resolve(self, labels: Labels, kind: str) -> Answer | None:
        """Answer a question; None when the name is nothing of ours and others have to be asked."""
        if self.is_ours(labels):
            if not self._view.ready():
                return Answer(SERVFAIL)
            return _select(self._records(labels, labels[: -len(self._origin)]), kind)
        address = reverse_address(labels)
        if address is None:
            return None
        if not self._view.ready():
            return Answer(SERVFAIL) if self.zone.owns(address) else None
        found = [Record(labels, "PTR", (".".join(name),)) for name in self._names_of(address)]
        if not found and not self.zone.owns(address):
            return None
        return _select((found, []) if found else None, kind)

    # -- the zone; every function returns (records, additional), None when the name does not exist

    def _records(self, name: Labels, rest: Labels) -> "_Found":
        servers = self.zone.servers
        match rest:
            case ():
                return [self.soa(), Record(name, "NS", (".".join(("ns", "dns", *self._origin)),))], []
            case ("dns-version",):
                return [Record(name, "TXT", (SPECIFICATION,))], []
            case ("ns", "dns"):
                return [address_record(name, ip) for ip in servers], []
            case ("dns",) | ("svc",) | ("pod",):
                return [], []
            case (*parts, "svc"):
                return self._service_records(name, tuple(parts))
            case (label, _, "pod"):
                return self._pod_records(name, label)
            case (namespace, "pod"):
                return ([], []) if self._view.has_namespace(namespace) else None
        return None

    def soa(self) -> Record:
        """Return the zone's SOA record. Its serial does not count: nobody may transfer the zone."""
        domain, ttl = self.zone.domain, self.zone.ttl
        return Record(self._origin, "SOA", (f"ns.dns.{domain}", f"hostmaster.{domain}", 1, 7200, 1800, 86400, ttl))

    def _pod_records(self, name: Labels, label: str) -> "_Found":
        address = undashed(label)
        if address is None or not is_within(address, self.zone.pod_ranges):
            return None
        return [address_record(name, str(address))], []

    def _service_records(self, name: Labels, parts: Labels) -> "_Found":
        if len(parts) == 1:
            return ([], []) if self._view.has_namespace(parts[0]) else None
        if not 2 <= len(parts) <= 4:
            return None
        service = self._view.service(parts[-1], parts[-2])
        if service is None:
            return None
        prefix = parts[:-2]
        if (service.get("spec") or {}).get("type") == "ExternalName":
            return self._alias(name, service) if not prefix else None
        if not prefix:
            return self._whole(name, service)
        if len(prefix) == 2:
            return self._ports(name, service, prefix[0].removeprefix("_"), prefix[1].removeprefix("_"), prefix)
        if prefix[0] in ("_tcp", "_udp", "_sctp"):
            known = any(port.protocol == prefix[0][1:] and port.name for port in self._all_ports(service))
            return ([], []) if known else None
        found = [address_record(name, one.address) for one in self._endpoints(service) if one.host == prefix[0]]
        return (found, []) if found else None

    def _alias(self, name: Labels, service: Obj) -> "_Found":
        target = labels_of(str(service["spec"].get("externalName") or ""))
        return ([Record(name, "CNAME", (".".join(target),))], []) if target else None

    def _whole(self, name: Labels, service: Obj) -> "_Found":
        """Return the addresses, and a SRV record for each port."""
        ips = cluster_ips(service) or [one.address for one in self._endpoints(service)]
        if not ips:
            return None
        records = [address_record(name, ip) for ip in dict.fromkeys(ips)]
        services, additional = self._srv(name, service, None)
        return [*records, *services], additional

    def _ports(self, name: Labels, service: Obj, port: str, protocol: str, prefix: Labels) -> "_Found":
        if not all(label.startswith("_") for label in prefix):
            return None
        found = self._srv(name, service, (port, protocol))
        return found if found[0] else None

    def _all_ports(self, service: Obj) -> list[Port]:
        if cluster_ips(service):
            return list(ports_of(service["spec"].get("ports")))
        return [port for one in self._endpoints(service) for port in one.ports]

    def _srv(self, name: Labels, service: Obj, wanted: tuple[str, str] | None) -> tuple[list[Record], list[Record]]:
        """Return SRV records of the wanted port, of all with None, and their targets' addresses."""
        targets = [
            (target, address, port)
            for target, address, ports in self._targets(service)
            for port in ports
            if wanted is None or (port.name, port.protocol) == wanted
        ]
        weight = max(1, SRV_WEIGHTS // max(1, len({target for target, _, _ in targets})))
        records = {
            Record(name, "SRV", (SRV_PRIORITY, weight, port.number, ".".join(target))): None
            for target, _, port in targets
        }
        additional = {address_record(target, address): None for target, address, _ in targets}
        return list(records), list(additional)

    def _targets(self, service: Obj) -> Iterator[tuple[Labels, str, Sequence[Port]]]:
        own = self._name(service)
        ips = cluster_ips(service)
        for ip in ips:
            yield own, ip, ports_of(service["spec"].get("ports"))
        for one in () if ips else self._endpoints(service):
            yield (one.host, *own), one.address, one.ports

    def _endpoints(self, service: Obj) -> list[Endpoint]:
        meta = service["metadata"]
        return endpoints_of(service, self._view.slices(meta["namespace"], meta["name"]))

    def _name(self, service: Obj) -> Labels:
        meta = service["metadata"]
        return (meta["name"], meta["namespace"], "svc", *self._origin)

    # -- the way back

    def _names_of(self, address: Address) -> list[Labels]:
        """Return the Service's name, else the endpoint's under every headless Service, or Service that names it."""
        text = str(address)
        services = self._view.services_at(text)
        if services:
            return [self._name(service) for service in services]
        found: dict[Labels, None] = {}
        for one in self._view.slices_with(text):
            meta = one["metadata"]
            service = self._view.service(meta["namespace"], (meta.get("labels") or {}).get(SERVICE_NAME) or "")
            if service is None:
                continue
            named = {str(endpoint.get("hostname") or "") for endpoint in one.get("endpoints") or ()}
            for endpoint in endpoints_of(service, [one]):
                if endpoint.address == text and (endpoint.host in named or not cluster_ips(service)):
                    found[endpoint.host, *self._name(service)] = None
        return list(found)


_Found = tuple[list[Record], list[Record]] | None


def _select(found: _Found, kind: str) -> Answer:
    """Choose what a question of that type gets."""
    if found is None:
        return Answer(NXDOMAIN)
    records, additional = found
    alias = next((record for record in records if record.type == "CNAME"), None)
    if alias is not None and kind != "CNAME":
        return Answer(records=[alias], chase=labels_of(str(alias.values[0])))
    chosen = [record for record in records if record.type == kind]
    return Answer(records=chosen, additional=additional if kind == "SRV" else ())
