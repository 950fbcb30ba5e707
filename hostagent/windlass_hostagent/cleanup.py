"""`windlass hostagent --cleanup`: leave nothing of this node's pods behind. Needs no API."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from windlass.errors import NetworkDriverError, RuntimeDriverError
from windlass.logs import get_logger
from windlass.plugin.hostfs import mounts
from windlass.plugin.interfaces.network import NetworkDriver, NodeNetworkConfig
from windlass.plugin.interfaces.proxy import ProxyDriver
from windlass.plugin.interfaces.runtime import RuntimeDriver

log = get_logger(__name__)


async def clean_up(
    runtime: RuntimeDriver,
    network: NetworkDriver | None,
    config: NodeNetworkConfig,
    data_dir: Path,
    proxy: ProxyDriver | None = None,
) -> Sequence[str]:
    """Remove every sandbox, the mounts of pods' volumes, the Services' rules and the node's network.

    Files of emptyDirs on the disk stay, for pods that come back. Return what could not be removed, empty when nothing
    is left.
    """
    problems: list[str] = []
    try:
        await runtime.start()
        sandboxes = await runtime.list_pod_sandboxes()
        results = await asyncio.gather(*(runtime.remove_pod_sandbox(s.id) for s in sandboxes), return_exceptions=True)
        problems += [str(result) for result in results if isinstance(result, BaseException)]
        log.info("sandboxes_removed", count=len(sandboxes) - len(problems))
    except RuntimeDriverError as error:
        problems.append(str(error))
    finally:
        await runtime.close()
    try:
        await asyncio.to_thread(mounts.unmount_all, str(data_dir / "pods"))
    except OSError as error:
        problems.append(str(error))
    if proxy is not None:
        try:
            await proxy.teardown()
        except NetworkDriverError as error:
            problems.append(str(error))
    if network is not None:
        try:
            if config.pod_cidrs:
                await network.setup(config)
            await network.gc([])
            await network.teardown()
        except NetworkDriverError as error:
            problems.append(str(error))
    return problems
