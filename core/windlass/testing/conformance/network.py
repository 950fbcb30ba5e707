"""What every pod network driver has to do. A driver's tests subclass `NetworkConformance`.

They give it the fixtures `driver` (set up on a node) and `netns` (a function that makes a network namespace and returns
its path), in a place where the driver may change links and routes.
"""

import asyncio
from collections.abc import Callable

import pytest

from windlass.errors import NetworkDriverError
from windlass.plugin.interfaces.network import NetworkDriver, NodePeer, PeerRouting

MakeNamespace = Callable[[], str]


class NetworkConformance:
    """The suite."""

    async def test_status_is_fine_after_setup(self, driver: NetworkDriver) -> None:
        """`status` raises nothing on a node that is set up."""
        await driver.status()

    async def test_add_gives_an_address_and_repeats_it(self, driver: NetworkDriver, netns: MakeNamespace) -> None:
        """`add` is idempotent."""
        path = netns()
        first = await driver.add("sandbox-a", path)
        assert first.ips
        assert await driver.add("sandbox-a", path) == first
        assert await driver.check("sandbox-a", path) == first
        await driver.delete("sandbox-a", path)

    async def test_sandboxes_added_at_once_never_share_an_address(
        self, driver: NetworkDriver, netns: MakeNamespace
    ) -> None:
        """K78: concurrent `add`s give distinct addresses."""
        paths = [netns() for _ in range(8)]
        made = await asyncio.gather(*(driver.add(f"sandbox-{i}", path) for i, path in enumerate(paths)))
        assert len({m.ips for m in made}) == len(paths)
        for i, path in enumerate(paths):
            await driver.delete(f"sandbox-{i}", path)

    async def test_delete_is_fine_with_nothing_there(self, driver: NetworkDriver) -> None:
        """`delete` needs neither the attachment nor the namespace."""
        await driver.delete("never-added", "")
        await driver.delete("never-added", "/proc/1/ns/nothing")

    async def test_check_notices_what_is_absent(self, driver: NetworkDriver, netns: MakeNamespace) -> None:
        """`check` raises for a sandbox that is not attached."""
        path = netns()
        with pytest.raises(NetworkDriverError):
            await driver.check("sandbox-x", path)
        await driver.add("sandbox-x", path)
        await driver.delete("sandbox-x", path)
        with pytest.raises(NetworkDriverError):
            await driver.check("sandbox-x", path)

    async def test_gc_keeps_the_valid_and_removes_the_rest(self, driver: NetworkDriver, netns: MakeNamespace) -> None:
        """K78: `gc` gives back what no valid sandbox holds."""
        kept, lost = netns(), netns()
        attachment = await driver.add("kept", kept)
        await driver.add("lost", lost)
        await driver.gc(["kept"])
        assert await driver.check("kept", kept) == attachment
        with pytest.raises(NetworkDriverError):
            await driver.check("lost", lost)
        await driver.delete("kept", kept)
        await driver.gc([])

    async def test_peers_come_and_go(self, driver: NetworkDriver, netns: MakeNamespace) -> None:
        """A driver with ways to other nodes takes any list of them, again and again, and keeps its own pods."""
        if not isinstance(driver, PeerRouting):
            pytest.skip("this driver knows no peers")
        path = netns()
        attachment = await driver.add("sandbox-p", path)
        one = NodePeer("peer-1", ("192.0.2.101",), ("10.251.1.0/24",))
        two = NodePeer("peer-2", ("192.0.2.102",), ("10.251.2.0/24",))
        for peers in ([one], [one, two], [one, two], [two], []):
            await driver.set_peers(peers)
        nowhere = NodePeer("peer-3", ("127.0.0.1",), ("10.251.3.0/24",))
        await driver.set_peers([nowhere, NodePeer("peer-4", ("192.0.2.104",), attachment.ips)])
        assert await driver.check("sandbox-p", path) == attachment
        await driver.delete("sandbox-p", path)

    async def test_teardown_may_be_repeated(self, driver: NetworkDriver, netns: MakeNamespace) -> None:
        """After `teardown` nothing can be added until the next `setup`."""
        await driver.add("sandbox-t", netns())
        await driver.teardown()
        await driver.teardown()
        with pytest.raises(NetworkDriverError):
            await driver.status()
