import pytest

PORT = {"port": 80}


@pytest.fixture
def problems(problems_of):
    return lambda **spec: problems_of("v1", "Service", spec=spec)


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
                "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 86401: "
                "must be greater than 0 and less than 86400"
            ],
        ),
        (
            {"ports": [PORT], "externalTrafficPolicy": "Local"},
            [
                'spec.externalTrafficPolicy: Invalid value: "Local": '
                "may only be set for externally-accessible services"
            ],
        ),
        (
            {"ports": [PORT], "loadBalancerClass": "a/b"},
            ["spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'"],
        ),
        (
            {"ports": [PORT], "type": "Wide"},
            [
                'spec.type: Unsupported value: "Wide": supported values: '
                '"ClusterIP", "ExternalName", "LoadBalancer", "NodePort"'
            ],
        ),
    ],
)
def test_rules(problems, spec, expected):
    assert problems(**spec) == expected


def test_a_service_name_is_a_dns_1035_label(problems_of):
    (found,) = problems_of("v1", "Service", metadata={"name": "1a"}, spec={"ports": [PORT]})
    assert found.startswith('metadata.name: Invalid value: "1a": a DNS-1035 label must consist of')


def test_defaults(build):
    spec = build("v1", "Service", spec={"ports": [PORT]})["spec"]
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
def test_defaults_by_type(build, spec, field, value):
    assert build("v1", "Service", spec={"ports": [PORT], **spec})["spec"][field] == value


class TestUpdate:
    def test_the_cluster_ip_stays(self, build, update_problems):
        service = build("v1", "Service", spec={"ports": [PORT], "clusterIP": "10.0.0.1"})
        found = update_problems(service, lambda o: o["spec"].update(clusterIP="10.0.0.2", clusterIPs=["10.0.0.2"]))
        assert found == ['spec.clusterIPs[0]: Invalid value: ["10.0.0.2"]: may not change once set']

    def test_leaving_out_what_was_given_out_changes_nothing(self, build, kind_of):
        ports = [{"port": 80, "nodePort": 30080}]
        old = build("v1", "Service", spec={"type": "NodePort", "ports": ports, "clusterIP": "10.0.0.1"})
        new = build("v1", "Service", spec={"type": "NodePort", "ports": [PORT]})
        kind_of("v1", "Service").strategy.prepare_for_update(new, old)
        assert new["spec"]["clusterIP"] == "10.0.0.1"
        assert new["spec"]["ports"][0]["nodePort"] == 30080

    def test_to_external_name_empties_the_address(self, build, update_problems):
        service = build("v1", "Service", spec={"ports": [PORT], "clusterIP": "10.0.0.1"})

        def change(new):
            new["spec"].update(type="ExternalName", externalName="example.com")
            changed.append(new)

        changed = []
        assert update_problems(service, change) == []
        assert not {"clusterIP", "clusterIPs", "ipFamilies"} & changed[0]["spec"].keys()

    def test_to_cluster_ip_frees_the_node_port(self, build, update_problems):
        service = build("v1", "Service", spec={"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]})
        assert update_problems(service, lambda o: o["spec"].update(type="ClusterIP")) == []


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
def test_cells(build, cells, spec, status, external, ports):
    service = build("v1", "Service", spec={**spec, "selector": {"b": "2", "a": "1"}})
    service["status"].update(status)
    row = cells(service)
    assert list(row) == ["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE", "SELECTOR"]
    assert (row["EXTERNAL-IP"], row["PORT(S)"], row["CLUSTER-IP"]) == (external, ports, "<none>")
    assert row["SELECTOR"] == "a=1,b=2"


def test_it_says_that_nothing_routes_it_yet(build, kind_of):
    (warning,) = kind_of("v1", "Service").strategy.warnings(build("v1", "Service", spec={"ports": [PORT]}))
    assert "not routed" in warning


def test_selectable_fields(build, kind_of):
    service = build("v1", "Service", spec={"clusterIP": "None"})
    fields = kind_of("v1", "Service").strategy.selectable_fields(service)
    assert fields == {"spec.clusterIP": "None", "spec.type": "ClusterIP"}


class TestEndpoints:
    @pytest.mark.parametrize(
        ("subset", "expected"),
        [
            ({"addresses": [{"ip": "10.0.0.1"}], "ports": [PORT]}, []),
            ({"notReadyAddresses": [{"ip": "10.0.0.1"}]}, []),
            ({}, ["subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`"]),
            (
                {"addresses": [{"ip": "10.0.0.1"}], "ports": [{"name": "a", "port": 1}, {"port": 2}]},
                ["subsets[0].ports[1].name: Required value"],
            ),
            (
                {"addresses": [{"ip": "127.0.0.1"}]},
                [
                    'subsets[0].addresses[0].ip: Invalid value: "127.0.0.1": '
                    "may not be in the loopback range (127.0.0.0/8, ::1/128)"
                ],
            ),
            (
                {"addresses": [{"ip": "169.254.1.1"}]},
                [
                    'subsets[0].addresses[0].ip: Invalid value: "169.254.1.1": '
                    "may not be in the link-local range (169.254.0.0/16, fe80::/10)"
                ],
            ),
            (
                {"addresses": [{"ip": "0.0.0.0"}]},
                ['subsets[0].addresses[0].ip: Invalid value: "0.0.0.0": may not be unspecified (0.0.0.0)'],
            ),
        ],
    )
    def test_rules(self, problems_of, subset, expected):
        assert problems_of("v1", "Endpoints", subsets=[subset]) == expected

    @pytest.mark.parametrize(
        ("count", "shown"),
        [
            (0, "<none>"),
            (1, "10.0.0.0:80"),
            (4, "10.0.0.0:80,10.0.0.1:80,10.0.0.2:80 + 1 more..."),
        ],
    )
    def test_cells(self, build, cells, count, shown):
        addresses = [{"ip": f"10.0.0.{n}"} for n in range(count)]
        endpoints = build("v1", "Endpoints", subsets=[{"addresses": addresses, "ports": [PORT]}])
        assert cells(endpoints) == {"NAME": "web", "ENDPOINTS": shown, "AGE": "5m12s"}
