import pytest

PORT = {"port": 80}


@pytest.fixture
def services(served):
    return served("v1", "Service")


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"ports": [PORT]}, []),
        ({}, ["spec.ports: Required value"]),
        ({"clusterIP": "None"}, []),
        ({"ports": [PORT, {"port": 81}]}, ["spec.ports[0].name: Required value", "spec.ports[1].name: Required value"]),
        (
            {"ports": [{"name": "a", "port": 80}, {"name": "a", "port": 81}]},
            ['spec.ports[1].name: Duplicate value: "a"'],
        ),
        (
            {"ports": [{"name": "a", "port": 80}, {"name": "b", "port": 80}]},
            ['spec.ports[1]: Duplicate value: {"port":80,"protocol":"TCP"}'],
        ),
        ({"ports": [{"name": "a", "port": 80}, {"name": "b", "port": 80, "protocol": "UDP"}]}, []),
        (
            {"ports": [{"port": 0}]},
            ["spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive"],
        ),
        (
            {"ports": [{"port": 80, "targetPort": 70000}]},
            ["spec.ports[0].targetPort: Invalid value: 70000: must be between 1 and 65535, inclusive"],
        ),
        (
            {"ports": [{"port": 80, "targetPort": "a" * 16}]},
            ['spec.ports[0].targetPort: Invalid value: "aaaaaaaaaaaaaaaa": must be no more than 15 characters'],
        ),
        (
            {"ports": [{"port": 80, "nodePort": 30000}]},
            ["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"],
        ),
        ({"type": "NodePort", "ports": [{"port": 80, "nodePort": 30000}]}, []),
        (
            {
                "type": "NodePort",
                "ports": [{"name": "a", "port": 1, "nodePort": 30000}, {"name": "b", "port": 2, "nodePort": 30000}],
            },
            ["spec.ports[1].nodePort: Duplicate value: 30000"],
        ),
        (
            {"type": "NodePort", "clusterIP": "None", "ports": [PORT]},
            ["spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services"],
        ),
        ({"type": "ExternalName"}, ["spec.externalName: Required value"]),
        ({"type": "ExternalName", "externalName": "Example.com."}, []),
        (
            {"type": "ExternalName", "externalName": "a.b", "clusterIP": "10.0.0.1"},
            ["spec.clusterIPs[0]: Forbidden: may not be set for ExternalName services"],
        ),
        (
            {"ports": [PORT], "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.2"]},
            ['spec.clusterIPs: Invalid value: ["10.0.0.2"]: first value must match `clusterIP`'],
        ),
        (
            {
                "ports": [PORT],
                "sessionAffinity": "ClientIP",
                "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 86401}},
            },
            [
                (
                    "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 86401: "
                    "must be greater than 0 and less than 86400"
                )
            ],
        ),
        (
            {"ports": [PORT], "externalTrafficPolicy": "Local"},
            [
                (
                    'spec.externalTrafficPolicy: Invalid value: "Local": '
                    "may only be set for externally-accessible services"
                )
            ],
        ),
        (
            {"ports": [PORT], "loadBalancerClass": "a/b"},
            ["spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'"],
        ),
        (
            {"ports": [PORT], "type": "Wide"},
            [
                (
                    'spec.type: Unsupported value: "Wide": supported values: '
                    '"ClusterIP", "ExternalName", "LoadBalancer", "NodePort"'
                )
            ],
        ),
    ],
)
def test_rules(services, spec, expected):
    assert services.problems(spec=spec) == expected


def test_a_service_name_is_a_dns_1035_label(services):
    (found,) = services.problems(metadata={"name": "1a"}, spec={"ports": [PORT]})
    assert found.startswith('metadata.name: Invalid value: "1a": a DNS-1035 label must consist of')


def test_defaults(services):
    spec = services.create(spec={"ports": [PORT]})["spec"]
    assert spec == {
        "type": "ClusterIP",
        "sessionAffinity": "None",
        "internalTrafficPolicy": "Cluster",
        "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
        "ports": [{"port": 80, "targetPort": 80, "protocol": "TCP"}],
    }


@pytest.mark.parametrize(
    ("spec", "field", "value"),
    [
        ({"type": "NodePort"}, "externalTrafficPolicy", "Cluster"),
        ({"externalIPs": ["192.0.2.1"]}, "externalTrafficPolicy", "Cluster"),
        ({"type": "LoadBalancer"}, "allocateLoadBalancerNodePorts", True),
        ({"sessionAffinity": "ClientIP"}, "sessionAffinityConfig", {"clientIP": {"timeoutSeconds": 10800}}),
        ({"clusterIP": "None"}, "clusterIPs", ["None"]),
    ],
)
def test_defaults_by_type(services, spec, field, value):
    assert services.create(spec={"ports": [PORT], **spec})["spec"][field] == value


class TestUpdate:
    def test_the_cluster_ip_stays(self, services):
        old = services.create(spec={"ports": [PORT], "clusterIP": "10.0.0.1"})
        moved = {"ports": [PORT], "clusterIP": "10.0.0.2", "clusterIPs": ["10.0.0.2"]}
        assert services.update_problems(old, spec=moved) == [
            'spec.clusterIPs[0]: Invalid value: ["10.0.0.2"]: may not change once set'
        ]

    def test_leaving_out_what_was_given_out_changes_nothing(self, services):
        ports = [{"port": 80, "nodePort": 30080}]
        old = services.create(spec={"type": "NodePort", "ports": ports, "clusterIP": "10.0.0.1"})
        new = services.update(old, spec={"type": "NodePort", "ports": [PORT]})
        assert new["spec"]["clusterIP"] == "10.0.0.1"
        assert new["spec"]["ports"][0]["nodePort"] == 30080

    def test_to_external_name_empties_the_address(self, services):
        """C203, as far as the API goes."""
        old = services.create(spec={"ports": [PORT], "clusterIP": "10.0.0.1"})
        asked = {**old["spec"], "type": "ExternalName", "externalName": "example.com"}
        assert services.update_problems(old, spec=asked) == []
        assert not {"clusterIP", "clusterIPs", "ipFamilies"} & services.update(old, spec=asked)["spec"].keys()

    def test_to_cluster_ip_frees_the_node_port(self, services):
        old = services.create(spec={"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]})
        asked = {**old["spec"], "type": "ClusterIP"}
        assert services.update_problems(old, spec=asked) == []
        assert "nodePort" not in services.update(old, spec=asked)["spec"]["ports"][0]


@pytest.mark.parametrize(
    ("spec", "status", "external", "ports"),
    [
        ({"ports": [PORT]}, {}, "<none>", "80/TCP"),
        ({"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]}, {}, "<none>", "80:30080/TCP"),
        ({"type": "LoadBalancer", "ports": [PORT]}, {}, "<pending>", "80/TCP"),
        (
            {"type": "LoadBalancer", "ports": [PORT]},
            {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}, {"hostname": "lb"}]}},
            "192.0.2.1,lb",
            "80/TCP",
        ),
        ({"type": "ExternalName", "externalName": "example.com"}, {}, "example.com", "<none>"),
        ({"ports": [PORT], "externalIPs": ["192.0.2.9"]}, {}, "192.0.2.9", "80/TCP"),
    ],
)
def test_cells(services, spec, status, external, ports):
    service = services.create(spec={**spec, "selector": {"b": "2", "a": "1"}})
    service["status"].update(status)
    row = {name.upper(): cell for name, cell in services.row(service, wide=True).items()}
    assert list(row) == ["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE", "SELECTOR"]
    assert (row["EXTERNAL-IP"], row["PORT(S)"], row["CLUSTER-IP"]) == (external, ports, "<none>")
    assert row["SELECTOR"] == "a=1,b=2"


def test_selectable_fields(services):
    service = services.create(spec={"clusterIP": "None"})
    fields = services.strategy.selectable_fields(service)
    assert fields == {"spec.clusterIP": "None", "spec.type": "ClusterIP"}
