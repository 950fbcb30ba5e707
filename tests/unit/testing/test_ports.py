"""Ports that stay free until the server which a test starts has them."""

import socket
from pathlib import Path

from windlass.testing.ports import FIRST, LAST, free_port, free_ports


def test_ports_are_distinct_free_and_never_a_clients():
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert all(FIRST <= port < LAST for port in ports)
    assert int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0]) >= LAST
    with socket.create_server(("127.0.0.1", free_port())) as server:
        assert server.getsockname()[1] not in free_ports(200)
