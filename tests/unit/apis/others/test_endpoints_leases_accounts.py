import pytest

POD = {"kind": "Pod", "name": "web", "namespace": "default"}


@pytest.fixture
def endpoints(served):
    return served("v1", "Endpoints")


@pytest.fixture
def slices(served):
    return served("discovery.k8s.io/v1", "EndpointSlice")


@pytest.fixture
def leases(served):
    return served("coordination.k8s.io/v1", "Lease")


def subset(*addresses, ports=({"port": 80},)):
    return {"addresses": [{"ip": ip} for ip in addresses], "ports": list(ports)}


@pytest.mark.parametrize(
    ("subsets", "cell"),
    [
        ([], "<none>"),
        ([subset("10.0.0.1")], "10.0.0.1:80"),
        ([subset("10.0.0.1", ports=())], "10.0.0.1"),
        ([subset("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4")], "10.0.0.1:80,10.0.0.2:80,10.0.0.3:80 + 1 more..."),
    ],
)
def test_the_first_addresses_are_shown(endpoints, subsets, cell):
    assert endpoints.row(endpoints.create(subsets=subsets)) == {"Name": "x", "Endpoints": cell, "Age": "60m"}


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        ({}, "subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`"),
        (subset("nope"), 'subsets[0].addresses[0].ip: Invalid value: "nope": must be a valid IP address'),
        (subset("127.0.0.1"), 'subsets[0].addresses[0].ip: Invalid value: "127.0.0.1": may not be in the loopback'),
        (subset("169.254.1.1"), 'subsets[0].addresses[0].ip: Invalid value: "169.254.1.1": may not be in the link'),
        (subset("0.0.0.0"), 'subsets[0].addresses[0].ip: Invalid value: "0.0.0.0": may not be unspecified (0.0.0.0)'),
        (subset("10.0.0.1", ports=[{"port": 1, "name": "a"}, {"port": 2}]), "subsets[0].ports[1].name: Required value"),
        (subset("10.0.0.1", ports=[{"port": 70000}]), "subsets[0].ports[0].port: Invalid value: 70000"),
    ],
)
def test_rules_of_endpoints(endpoints, bad, problem):
    (found,) = endpoints.problems(subsets=[bad])
    assert found.startswith(problem)


def test_a_slice_shows_ports_and_addresses(slices):
    """C190."""
    made = slices.create(addressType="IPv4", ports=[{"port": 80}, {"name": "any"}],
                         endpoints=[{"addresses": ["10.0.0.1"], "targetRef": POD}])  # fmt: skip
    assert slices.row(made) == {
        "Name": "x", "AddressType": "IPv4", "Ports": "80,*", "Endpoints": "10.0.0.1", "Age": "60m",
    }  # fmt: skip
    assert made["ports"][0] == {"name": "", "port": 80, "protocol": "TCP"}
    empty = slices.create(addressType="IPv4", endpoints=[])
    assert (slices.row(empty)["Ports"], slices.row(empty)["Endpoints"]) == ("<unset>", "<unset>")


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"addressType": "IPX"}, 'addressType: Unsupported value: "IPX": supported values: "FQDN", "IPv4", "IPv6"'),
        ({"endpoints": [{"addresses": []}]}, "endpoints[0].addresses: Required value: must contain at least 1 address"),
        ({"endpoints": [{"addresses": ["::2"]}]}, 'endpoints[0].addresses[0]: Invalid value: "::2": must be a valid IPv4'),
        ({"endpoints": [{"addresses": ["127.1.1.1"]}]}, "endpoints[0].addresses[0]: Invalid value"),
        ({"addressType": "FQDN", "endpoints": [{"addresses": ["A b"]}]}, "endpoints[0].addresses[0]: Invalid value"),
        ({"endpoints": [{"addresses": ["10.0.0.1"]}] * 1001}, "endpoints: Too many: 1001: must have at most 1000 items"),
        (
            {"endpoints": [{"addresses": [f"10.0.0.{n}" for n in range(101)]}]},
            "endpoints[0].addresses: Too many: 101: must have at most 100 items",
        ),
        ({"ports": [{"port": 1}, {"port": 2}]}, 'ports[1].name: Duplicate value: ""'),
    ],
)
def test_rules_of_slices(slices, fields, problem):
    (found,) = slices.problems(**{"addressType": "IPv4", "endpoints": [], **fields})
    assert found.startswith(problem)


def test_a_slice_keeps_its_family_and_counts_its_changes(slices):
    old = slices.create(addressType="IPv4", endpoints=[{"addresses": ["10.0.0.1"]}])
    old["metadata"]["generation"] = 1
    kept = {"addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.1"]}]}
    assert slices.update(old, **kept, metadata={"labels": {"a": "b"}, "generation": 1})["metadata"]["generation"] == 1
    moved = {"addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.2"]}]}
    assert slices.update(old, **moved)["metadata"]["generation"] == 2
    assert slices.update_problems(old, addressType="IPv6", endpoints=[]) == [
        'addressType: Invalid value: "IPv6": field is immutable'
    ]


def test_a_lease_shows_its_holder(leases):
    """C254."""
    made = leases.create(spec={"holderIdentity": "a", "renewTime": "2026-01-01T11:59:00.000000Z"})
    assert leases.row(made) == {"Name": "x", "Holder": "a", "Age": "60m"}
    assert leases.row(leases.create())["Holder"] == ""
    assert leases.strategy.allow_create_on_update


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"leaseDurationSeconds": 0}, "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0"),
        ({"leaseTransitions": -1}, "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0"),
        (
            {"preferredHolder": "b"},
            "spec.preferredHolder: Forbidden: may only be specified if `strategy` is defined",
        ),
    ],
)
def test_rules_of_leases(leases, spec, problem):
    assert leases.problems(spec=spec) == [problem]


def test_an_account_shows_how_many_secrets_it_has(served):
    """C155, as far as the API goes."""
    accounts = served("v1", "ServiceAccount")
    made = accounts.create(secrets=[{"name": "a"}, {"name": "b"}], automountServiceAccountToken=False)
    assert accounts.row(made) == {"Name": "x", "Secrets": 2, "Age": "60m"}
    assert accounts.kind.short_names == ("sa",)
