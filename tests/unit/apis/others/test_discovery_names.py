"""Short names, categories, subresources and printed columns as `kubectl api-resources` and `kubectl get` show them."""

import pytest

from windlass.apimachinery.table import columns_of
from windlass.apis.scheme import builtin_kinds

EXPECTED = {
    "configmaps": (("cm",), (), (), "Name Data Age"),
    "endpoints": (("ep",), (), (), "Name Endpoints Age"),
    "namespaces": (("ns",), (), ("status", "finalize"), "Name Status Age"),
    "secrets": ((), (), (), "Name Type Data Age"),
    "serviceaccounts": (("sa",), (), ("token",), "Name Secrets Age"),
    "services": (("svc",), ("all",), ("status",), "Name Type Cluster-IP External-IP Port(s) Age"),
    "deployments.apps": (("deploy",), ("all",), ("status", "scale"), "Name Ready Up-to-date Available Age"),
    "replicasets.apps": (("rs",), ("all",), ("status", "scale"), "Name Desired Current Ready Age"),
    "controllerrevisions.apps": ((), (), (), "Name Controller Revision Age"),
    "leases.coordination.k8s.io": ((), (), (), "Name Holder Age"),
    "endpointslices.discovery.k8s.io": ((), (), (), "Name AddressType Ports Endpoints Age"),
    "events.events.k8s.io": (("ev",), (), (), "Last Seen Type Reason Object Message"),
    "events": (("ev",), (), (), "Last Seen Type Reason Object Message"),
}
KINDS = {kind.resource.qualified: kind for kind in builtin_kinds()}


@pytest.mark.parametrize("resource", EXPECTED)
def test_a_kind_presents_itself_as_in_kubernetes(resource):
    kind = KINDS[resource]
    shown = " ".join(column.name for column in columns_of(kind) if not column.priority)
    assert (kind.short_names, kind.categories, kind.subresources, shown) == EXPECTED[resource]
    assert kind.singular == kind.kind.lower()


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_wide_columns_come_with_wide_output_only(kind):
    names = [column.name for column in columns_of(kind)]
    assert len(names) == len(set(names))
    assert {column.priority for column in columns_of(kind)} <= {0, 1}
    assert sum(column.format == "name" for column in columns_of(kind)) == 1
