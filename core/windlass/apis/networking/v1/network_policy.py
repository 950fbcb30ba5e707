"""Network policies: who may speak to whom."""

import ipaddress
from collections.abc import Mapping
from typing import Any

from windlass.apimachinery import names
from windlass.apimachinery.checks import port_or_name
from windlass.apimachinery.field_errors import forbidden, invalid, invalid_each, required
from windlass.apimachinery.schema import Int, IntOrString, ListOf, Nested, Str
from windlass.apimachinery.scheme import Column, KindDefinition, Obj, Strategy
from windlass.apimachinery.selectors import describe_label_selector
from windlass.apimachinery.table import AGE
from windlass.apis.meta.v1 import ApiObject, LabelSelector
from windlass.apis.meta.validation import validate_label_selector
from windlass.apis.networking.v1.schema import GROUP, NetworkingSchema
from windlass.errors import FieldError

INGRESS = "Ingress"
EGRESS = "Egress"
UNENFORCED = "spec: network policies are stored but not enforced by this version: nothing is closed by them"


class NetworkPolicyPort(NetworkingSchema):
    """A port, or several that follow each other."""

    end_port = Int("Last port, where `port` is the first of several.")
    port = IntOrString("Number or name of the port; none means all.", checks=(port_or_name,))
    protocol = Str("Transport protocol.", default="TCP", enum=("TCP", "UDP", "SCTP"))


class IPBlock(NetworkingSchema):
    """Addresses, by range."""

    cidr = Str("The range.", required=True)
    except_ = ListOf("Ranges within it that are left out.", Str("One of them."), data_key="except", list_type="atomic")


class NetworkPolicyPeer(NetworkingSchema):
    """Who is on the other side: pods by selectors, or addresses."""

    ip_block = Nested("Addresses; excludes the selectors.", IPBlock)
    namespace_selector = Nested("Namespaces; with a pod selector, only those pods there.", LabelSelector)
    pod_selector = Nested("Pods, of the policy's own namespace where no namespaces are selected.", LabelSelector)


class NetworkPolicyIngressRule(NetworkingSchema):
    """Lets some in."""

    from_ = ListOf("Who may come; none means everybody.", NetworkPolicyPeer, data_key="from", list_type="atomic")
    ports = ListOf("To which ports; none means all.", NetworkPolicyPort, list_type="atomic")


class NetworkPolicyEgressRule(NetworkingSchema):
    """Lets the pods out to some."""

    ports = ListOf("To which ports; none means all.", NetworkPolicyPort, list_type="atomic")
    to = ListOf("To whom; none means everybody.", NetworkPolicyPeer, list_type="atomic")


class NetworkPolicySpec(NetworkingSchema):
    """What the policy allows to its pods."""

    egress = ListOf("What they may reach.", NetworkPolicyEgressRule, list_type="atomic")
    ingress = ListOf("What may reach them.", NetworkPolicyIngressRule, list_type="atomic")
    pod_selector = Nested("The pods; an empty selector means all of the namespace.", LabelSelector, required=True)
    policy_types = ListOf("Directions that the policy closes but for its rules.",
                          Str("Ingress or Egress.", enum=(INGRESS, EGRESS)), list_type="atomic")  # fmt: skip


class NetworkPolicy(ApiObject):
    """Closes pods but for what its rules allow."""

    openapi_prefix = NetworkingSchema.openapi_prefix

    spec = Nested("What the policy allows.", NetworkPolicySpec)


class NetworkPolicyStrategy(Strategy):
    """Behaviour of network policies."""

    has_generation = True
    columns = (
        Column(
            "Pod-Selector",
            lambda obj, _now: describe_label_selector((obj.get("spec") or {}).get("podSelector")),
            description="The pods that it is about.",
        ),
        AGE,
    )

    def default(self, obj: Obj) -> None:
        """Close ingress, and egress where there are rules for it, unless told which."""
        spec = obj.setdefault("spec", {})
        if not spec.get("policyTypes"):
            spec["policyTypes"] = [INGRESS, *([EGRESS] if spec.get("egress") else [])]

    def warnings(self, obj: Obj) -> list[str]:  # noqa: ARG002 - true of every policy
        """Say what nothing does yet."""
        return [UNENFORCED]

    def validate(self, obj: Obj) -> list[FieldError]:
        """Check selectors, peers, ports and directions."""
        spec = obj.get("spec") or {}
        found = validate_label_selector(spec.get("podSelector"), "spec.podSelector")
        for direction, side in (("ingress", "from"), ("egress", "to")):
            for index, rule in enumerate(spec.get(direction) or ()):
                path = f"spec.{direction}[{index}]"
                for position, port in enumerate(rule.get("ports") or ()):
                    found += _validate_port(port, f"{path}.ports[{position}]")
                for position, peer in enumerate(rule.get(side) or ()):
                    found += _validate_peer(peer, f"{path}.{side}[{position}]")
        if len(spec.get("policyTypes") or ()) > 2:
            message = "may not specify more than two policyTypes"
            found.append(invalid("spec.policyTypes", spec["policyTypes"], message))
        return found


def _validate_port(port: Mapping[str, Any], path: str) -> list[FieldError]:
    first, last = port.get("port"), port.get("endPort")
    if last is None:
        return []
    if first is None:
        return [required(f"{path}.port", "must be specified when `endPort` is set")]
    if isinstance(first, str):
        return [invalid(f"{path}.endPort", last, "may not be specified when `port` is non-numeric")]
    if last < first:
        return [invalid(f"{path}.endPort", last, "must be greater than or equal to `port`")]
    return invalid_each(f"{path}.endPort", last, names.is_port_number(last))


def _validate_peer(peer: Mapping[str, Any], path: str) -> list[FieldError]:
    block = peer.get("ipBlock")
    selectors = [key for key in ("podSelector", "namespaceSelector") if peer.get(key) is not None]
    if block is None and not selectors:
        return [required(path, "must specify a peer")]
    if block is not None and selectors:
        return [forbidden(path, "may not specify both ipBlock and another peer")]
    if block is not None:
        return _validate_block(block, f"{path}.ipBlock")
    return [error for key in selectors for error in validate_label_selector(peer[key], f"{path}.{key}")]


def _validate_block(block: Mapping[str, Any], path: str) -> list[FieldError]:
    cidr = block.get("cidr") or ""
    if not cidr:
        return [required(f"{path}.cidr")]
    found = invalid_each(f"{path}.cidr", cidr, names.is_cidr(cidr))
    if found:
        return found
    whole = ipaddress.ip_network(cidr, strict=False)
    for index, text in enumerate(block.get("except") or ()):
        where = f"{path}.except[{index}]"
        wrong = names.is_cidr(text)
        if wrong:
            found += invalid_each(where, text, wrong)
            continue
        part = ipaddress.ip_network(text, strict=False)
        if part.version != whole.version or not part.subnet_of(whole) or part == whole:  # type: ignore[arg-type]
            found.append(invalid(where, text, f"must be a strict subset of `cidr` {cidr}"))
    return found


KINDS = (
    KindDefinition(
        group=GROUP,
        version="v1",
        kind="NetworkPolicy",
        plural="networkpolicies",
        singular="networkpolicy",
        namespaced=True,
        schema=NetworkPolicy,
        strategy=NetworkPolicyStrategy(),
        short_names=("netpol",),
    ),
)
