"""The binding cycle of one pod: permit, pre_bind, bind."""

import asyncio
from typing import TYPE_CHECKING

from windlass.apis.resources import PODS
from windlass.clock import Clock
from windlass.errors import ConflictError, ForbiddenError, InvalidError, NotFoundError
from windlass.logs import get_logger
from windlass.plugin.interfaces.scheduler import SUCCESS, Code, PluginStatus, PodInfo
from windlass.scheduler.columns import NodeTable
from windlass.scheduler.framework import Framework

if TYPE_CHECKING:
    from windlass.client.client import Client

logger = get_logger(__name__)

PERMIT_TIMEOUT_SECONDS = 60.0
SETTLE_ATTEMPTS = 5


class Binder:
    """Takes an assumed pod to its node. Never raises for what plugins, the network or the API server do."""

    def __init__(self, framework: Framework, table: NodeTable, client: "Client", clock: Clock) -> None:
        self._framework = framework
        self._table = table
        self._client = client
        self._clock = clock

    async def bind(self, pod: PodInfo, node_name: str) -> PluginStatus:
        """Run the cycle; anything but SUCCESS means that the pod is not known to be bound."""
        if self._framework.has("permit"):
            status = await self._permit(pod, node_name)
            if status.code is not Code.SUCCESS:
                return status
        status = await self._framework.run_async("pre_bind", pod, node_name)
        if status.code is not Code.SUCCESS:
            return status
        if not self._table.has_node(node_name):
            return PluginStatus(Code.ERROR, f'node "{node_name}" not found')
        status = await self._framework.run_async("bind", pod, node_name)
        return await self._post_binding(pod, node_name) if status.code is Code.SKIP else status

    async def _permit(self, pod: PodInfo, node_name: str) -> PluginStatus:
        permit = asyncio.ensure_future(self._framework.run_async("permit", pod, node_name))
        timer = asyncio.ensure_future(self._clock.sleep(PERMIT_TIMEOUT_SECONDS))
        try:
            await asyncio.wait({permit, timer}, return_when=asyncio.FIRST_COMPLETED)
            if permit.done():
                return permit.result()
            return PluginStatus(Code.UNSCHEDULABLE, f"permit took longer than {PERMIT_TIMEOUT_SECONDS:.0f} s")
        finally:
            permit.cancel()
            timer.cancel()
            await asyncio.gather(permit, timer, return_exceptions=True)

    async def _post_binding(self, pod: PodInfo, node_name: str) -> PluginStatus:
        try:
            await self._client.bind(pod.namespace, pod.name, node_name, pod.uid)
        except (NotFoundError, ConflictError, InvalidError, ForbiddenError) as error:
            logger.info("pod was not bound", pod=pod.key, node=node_name, problem=str(error))
            return PluginStatus(Code.ERROR, str(error))
        except Exception as error:  # noqa: BLE001 - whatever happened, the pod must not stay assumed for nothing
            logger.warning("outcome of binding unknown", pod=pod.key, node=node_name, problem=repr(error))
            return await self._settle(pod, node_name, f"binding failed: {error}")
        return SUCCESS

    async def _settle(self, pod: PodInfo, node_name: str, problem: str) -> PluginStatus:
        """Find out whether a bind without answer happened: giving the room away too early would overfill the node."""
        for attempt in range(SETTLE_ATTEMPTS):
            try:
                obj = await self._client.get(PODS, pod.name, pod.namespace)
            except NotFoundError:
                break
            except Exception as error:  # noqa: BLE001 - asked again, then given up with the first problem as the reason
                logger.warning("pod cannot be read", pod=pod.key, problem=repr(error))
                await self._clock.sleep(2.0**attempt)
                continue
            bound = obj["metadata"].get("uid") == pod.uid and obj.get("spec", {}).get("nodeName") == node_name
            return SUCCESS if bound else PluginStatus(Code.ERROR, problem)
        return PluginStatus(Code.ERROR, problem)
