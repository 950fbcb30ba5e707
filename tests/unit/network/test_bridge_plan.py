"""Names, addresses and reservations of the bridge network."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.errors import NetworkDriverError
from windlass_network.bridge.ipam import FileIpam
from windlass_network.bridge.plan import MAX_INTERFACE_NAME, choose_address, host_interface, mac_address, plan_node

RANGE = ipaddress.ip_network("10.0.0.0/29")


@given(st.text(min_size=1))
def test_interface_names_fit_the_kernel_and_repeat(sandbox_id):
    name = host_interface(sandbox_id)
    assert len(name) <= MAX_INTERFACE_NAME
    assert name == host_interface(sandbox_id)


def test_macs_are_local_unicast():
    assert int(mac_address("x")[:2], 16) & 3 == 2


def test_addresses_go_round_and_skip_gateway_and_broadcast():
    taken = []
    while (chosen := choose_address(RANGE, taken, taken[-1] if taken else "")) is not None:
        taken.append(chosen)
    assert taken == [f"10.0.0.{n}" for n in range(2, 7)]


def test_a_freed_address_comes_last():
    assert choose_address(RANGE, {"10.0.0.2"}, "10.0.0.3") == "10.0.0.4"
    assert choose_address(RANGE, {f"10.0.0.{n}" for n in (2, 4, 5, 6)}, "10.0.0.3") == "10.0.0.3"


@pytest.mark.parametrize("text", ["10.0.0.0/31", "nonsense"])
def test_impossible_ranges_are_refused(text):
    with pytest.raises(ValueError):
        plan_node("wl0", [text], [])


def test_reservations_survive_and_are_released(tmp_path):
    """K78."""
    first = FileIpam(tmp_path, RANGE)
    address = first.reserve("a")
    second = FileIpam(tmp_path, RANGE)
    assert second.reserve("a") == address
    assert second.reserve("b") != address
    assert second.release_all_but({"b"}) == ["a"]
    assert first.find("a") is None
    first.release("never")


def test_a_full_range_names_itself(tmp_path):
    ipam = FileIpam(tmp_path, RANGE)
    for number in range(5):
        ipam.reserve(str(number))
    with pytest.raises(NetworkDriverError, match=r"10\.0\.0\.0/29: 5 in use"):
        ipam.reserve("more")
