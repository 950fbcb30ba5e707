"""The host agent: registers its node, keeps its heartbeat, runs its pods, serves their logs."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Gauge

from windlass.apis.resources import ENDPOINTSLICES, NODES, PODS, SERVICES
from windlass.client.informer import Informer
from windlass.client.recorder import EventRecorder
from windlass.clock import Clock
from windlass.errors import NetworkDriverError, RuntimeDriverError
from windlass.logs import get_logger
from windlass.plugin.interfaces.network import NetworkDriver, NodeAddressing, NodeNetworkConfig, PeerRouting
from windlass.plugin.interfaces.proxy import NodeProxyConfig, ProxyDriver
from windlass.plugin.interfaces.runtime import RuntimeDriver, RuntimeStatus
from windlass.plugin.interfaces.volume import NodeVolumeDriver
from windlass_hostagent.context import AgentContext, NodeCapacity
from windlass_hostagent.dns_server.node_dns import DnsSettings, NodeDns
from windlass_hostagent.fetch import ObjectFetcher
from windlass_hostagent.node.care import CareSettings, NodeCare, no_volumes
from windlass_hostagent.node.fingerprint import read_capacity, read_node_info
from windlass_hostagent.node.lease import NodeLease
from windlass_hostagent.node.peers import NodePeers, pod_cidrs, remember_pod_cidrs
from windlass_hostagent.node.registration import node_object, register_node
from windlass_hostagent.node.reserved import allocatable
from windlass_hostagent.node.status import NodeHealth, NodeStatusReporter, static_status
from windlass_hostagent.pods.dns import ClusterDns
from windlass_hostagent.pods.manager import PodManager
from windlass_hostagent.pods.options import PodOptions
from windlass_hostagent.pods.steps.images import ImagePuller
from windlass_hostagent.pods.steps.node_files import SIMULATED
from windlass_hostagent.pods.volumes.manager import VolumeManager, VolumeNode
from windlass_hostagent.server.app import build_app
from windlass_hostagent.server.https import bind, make_config, serve
from windlass_hostagent.services.proxier import ServiceProxier
from windlass_hostagent.static.directory import StaticPodDirectory
from windlass_hostagent.static.mirror import MirrorKeeper

Obj = dict[str, Any]
RUNTIME_TIMEOUT_SECONDS = 5.0
START_RETRY_SECONDS = 2.0
SHUTTING_DOWN = "node is shutting down"
log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """What tells one node from another. `tls` is (certificate, key, client CA); None serves nothing (simulation).

    `proxy` makes Services' addresses work here; None where the rights or the tools for it are missing.
    `dns` serves the cluster's DNS where the network driver says that pods reach this node.
    `capacity` is what the node says it has; None measures the machine.
    """

    node_name: str
    node_ip: str
    data_dir: Path
    port: int = 10250
    listen: str = ""
    pod_cidr: str = ""
    cluster_cidrs: Sequence[str] = ()
    service_cidrs: Sequence[str] = ()
    labels: dict[str, str] = field(default_factory=dict)
    max_pods: int = 110
    tls: tuple[Path, Path, Path] | None = None
    dns: bool = False
    proxy: ProxyDriver | None = None
    care: CareSettings = field(default_factory=CareSettings)
    pod_options: PodOptions = field(default_factory=PodOptions)
    volumes: Mapping[str, NodeVolumeDriver] = field(default_factory=dict)
    capacity: NodeCapacity | None = None


class HostAgent:
    """One node. `client` speaks to the API as `system:node:NAME`; the drivers do the work."""

    def __init__(
        self, settings: NodeSettings, *, client: Any, runtime: RuntimeDriver, runtime_name: str,
        network: NetworkDriver | None, clock: Clock,
    ) -> None:  # fmt: skip
        self.settings = settings
        self._client = client
        self._runtime = runtime
        self._network = network
        self._clock = clock
        self._registry = CollectorRegistry()
        self._recorder = EventRecorder(client, "kubelet", clock, host=settings.node_name)
        capacity = settings.capacity or read_capacity(settings.data_dir, settings.max_pods)
        self.context = AgentContext(
            node_name=settings.node_name,
            host_ips=(settings.node_ip,),
            client=client,
            runtime=runtime,
            runtime_name=runtime_name,
            network=network,
            recorder=self._recorder,
            clock=clock,
            capacity=capacity,
            images=ImagePuller(runtime, clock),
            fetch=ObjectFetcher(client),
            allocatable=allocatable(capacity, settings.care.reserved, settings.care.thresholds),
            data_dir=settings.data_dir,
            options=settings.pod_options,
            services=Informer(client, SERVICES, clock=clock) if runtime_name != SIMULATED else None,
            endpoint_slices=Informer(client, ENDPOINTSLICES, clock=clock)
            if (settings.dns and network) or settings.proxy
            else None,
        )
        if settings.volumes:
            self.context.volumes = self._volume_manager(settings.volumes)
        self.pods = PodManager(self.context)
        usage = self.context.volumes.usage if self.context.volumes else no_volumes
        self.care = NodeCare(self.context, settings.care, pods=self.pods.pods, fail=self.pods.fail, volumes=usage)
        workers = Gauge("windlass_hostagent_pods", "Pods with a worker on this node", registry=self._registry)
        workers.set_function(lambda: len(self.pods.pods()))
        probed = Gauge("windlass_hostagent_probed_containers", "Containers with probes", registry=self._registry)
        probed.set_function(lambda: self.pods.probes.statistics()["containers"])

    def _volume_manager(self, drivers: Mapping[str, NodeVolumeDriver]) -> VolumeManager:
        context = self.context
        node = VolumeNode(
            data_dir=context.data_dir,
            host_ips=context.host_ips,
            allocatable=context.allocatable,
            memory_bytes=context.capacity.memory_bytes,
            tell=context.event,
        )
        return VolumeManager(node, drivers, self._client, self._clock)

    async def run(self) -> None:
        """Run until cancelled; leaves every container running."""
        listener = (
            bind(self.settings.listen or self.settings.node_ip, self.settings.port) if self.settings.tls else None
        )
        port = listener.getsockname()[1] if listener else self.settings.port
        try:
            version = await self._start_runtime()
            info = read_node_info(f"{self.context.runtime_name}://{version.version}")
            static = static_status(self.context, port, info)
            wanted = node_object(self.settings.node_name, self.settings.pod_cidr, static, self.settings.labels)
            node = await register_node(self._client, wanted, self._clock)
            self.context.node = node
            log.info("node_registered", node=self.settings.node_name, pod_cidr=pod_cidrs(node))
            await self._run_parts(node, static, listener)
        finally:
            if listener is not None:
                listener.close()
            await self._runtime.close()

    async def _start_runtime(self) -> RuntimeStatus:
        """Start the runtime; asks again until it answers."""
        while True:
            try:
                await self._runtime.start()
                return await self._runtime.status()
            except RuntimeDriverError as error:
                log.warning("runtime_not_started", runtime=self.context.runtime_name, error=str(error))
                await self._clock.sleep(START_RETRY_SECONDS)

    async def _run_parts(self, node: Obj, static: Obj, listener: Any) -> None:
        informer = Informer(
            self._client, PODS, field_selector=f"spec.nodeName={self.settings.node_name}", clock=self._clock
        )
        informer.on_event(self.pods.on_event)
        mirrors = MirrorKeeper(self._client, node, self._clock)
        self.pods.mirrors = mirrors
        async with asyncio.TaskGroup() as group:
            group.create_task(self._recorder.run(), name="events")
            group.create_task(NodeLease(self._client, node, self._clock).run(), name="lease")
            if listener is not None and self.settings.tls is not None:
                app = build_app(
                    self._runtime, self.pods, self._clock, self._registry, self.care.stats, self.context.data_dir
                )
                group.create_task(serve(make_config(app, self.settings.tls), listener), name="server")
            node = await self._join_network(group, node)
            self._start_proxy(group, node)
            await self._start_dns(group, node)
            self.care.start(group)
            if self.settings.care.static_pods is not None:
                await self._start_static_pods(group, self.settings.care.static_pods)
            group.create_task(mirrors.run(), name="mirrors")
            reporter = NodeStatusReporter(self.context, static, self._measure)
            group.create_task(reporter.run(), name="node-status")
            if self.settings.care.shutdown.grace_seconds > 0:
                self._watch_shutdown(group, reporter)
            group.create_task(self.context.images.run(), name="images")
            if self.context.volumes is not None:
                group.create_task(self.context.volumes.run(), name="volumes")
            if self.context.services is not None:
                group.create_task(self.context.services.run(), name="services")
            group.create_task(informer.run(), name="pods")
            group.create_task(self.pods.run(informer.wait_synced), name="workers")

    def _watch_shutdown(self, group: asyncio.TaskGroup, reporter: NodeStatusReporter) -> None:
        """Hold up the machine's shutdown until the pods have ended."""
        from windlass_hostagent.shutdown.guard import ShutdownGuard  # noqa: PLC0415 - D-Bus only where it is wanted

        guard = ShutdownGuard(
            self.settings.care.shutdown,
            self._clock,
            pods=self.pods.pods,
            terminate=self.pods.terminate,
            report=reporter.report,
        )
        self.pods.closed = lambda: guard.shutting_down
        group.create_task(guard.run(), name="shutdown")

    async def _start_static_pods(self, group: asyncio.TaskGroup, directory: Path) -> None:
        """Read the static pods before anything counts as an orphan, then watch their directory."""
        static = StaticPodDirectory(
            directory,
            self.settings.node_name,
            self._clock,
            on_add=self.pods.add_static,
            on_remove=self.pods.remove_static,
        )
        await static.check()
        group.create_task(static.run(), name="static-pods")

    async def _join_network(self, group: asyncio.TaskGroup, node: Obj) -> Obj:
        """Wait for the Node's pod range, make its part of the pod network and the ways to the others; return the Node."""
        network = self._network
        if network is None:
            return node
        informer = Informer(self._client, NODES, clock=self._clock)
        peers = NodePeers(informer, self.settings.node_name, self._clock)
        group.create_task(informer.run(), name="nodes")
        if not pod_cidrs(node):
            node = self.context.node = await peers.own_node()
        await self._setup_network(network, node)
        remember_pod_cidrs(self.settings.data_dir, pod_cidrs(node))
        if isinstance(network, PeerRouting):
            group.create_task(peers.run(network), name="peers")
        return node

    async def _setup_network(self, network: NetworkDriver, node: Obj) -> None:
        """Make the node's part of the pod network; asks again until it works."""
        config = NodeNetworkConfig(
            node_name=self.settings.node_name,
            node_ip=self.settings.node_ip,
            pod_cidrs=pod_cidrs(node),
            cluster_cidrs=self.settings.cluster_cidrs,
            service_cidrs=self.settings.service_cidrs,
            state_dir=str(self.settings.data_dir / "network"),
        )
        while True:
            try:
                await network.setup(config)
            except NetworkDriverError as error:
                log.warning("network_not_ready", error=str(error))
                await self._clock.sleep(START_RETRY_SECONDS)
            else:
                return

    def _start_proxy(self, group: asyncio.TaskGroup, node: Obj) -> None:
        """Follow EndpointSlices for whoever needs them here, and keep Services reachable on this node."""
        context, driver, network = self.context, self.settings.proxy, self._network
        if context.services is None or context.endpoint_slices is None:
            return
        group.create_task(context.endpoint_slices.run(), name="endpoint-slices")
        if driver is None:
            log.info("services_not_forwarded", node=self.settings.node_name)
            return
        config = NodeProxyConfig(
            node_name=self.settings.node_name,
            node_ips=context.host_ips,
            pod_cidrs=[*self.settings.cluster_cidrs, *pod_cidrs(node)],
            service_cidrs=self.settings.service_cidrs,
            source_addresses=network.node_addresses() if isinstance(network, NodeAddressing) else (),
        )
        informers = context.services, context.endpoint_slices
        proxier = ServiceProxier(driver, informers, lambda: config, recorder=self._recorder, clock=self._clock)
        group.create_task(proxier.run(), name="proxier")

    async def _start_dns(self, group: asyncio.TaskGroup, node: Obj) -> None:
        """Serve the cluster's DNS at the driver's addresses of this node, and tell it to the pods that come."""
        context, network = self.context, self._network
        if not self.settings.dns or not isinstance(network, NodeAddressing):
            return
        if context.services is None or context.endpoint_slices is None:
            return
        settings = DnsSettings(
            addresses=network.node_addresses(),
            domain=context.options.dns.domain,
            pod_cidrs=[*self.settings.cluster_cidrs, *pod_cidrs(node)],
            service_cidrs=self.settings.service_cidrs,
            resolv_conf=context.options.resolv_conf,
        )

        def tell_pods() -> None:
            context.options = replace(context.options, dns=ClusterDns(settings.addresses, settings.domain))

        tried = asyncio.Event()
        dns = NodeDns(settings, context.services, context.endpoint_slices, self._clock)
        group.create_task(dns.run(tried, tell_pods), name="dns")
        await tried.wait()

    async def _measure(self) -> NodeHealth:
        """Measure what the Node's conditions say; a runtime that hangs is a problem, not a wait."""
        problems: list[str] = [SHUTTING_DOWN] if self.pods.closed() else []
        try:
            async with asyncio.timeout(RUNTIME_TIMEOUT_SECONDS):
                status = await self._runtime.status()
            if not status.ready:
                problems.append(f"container runtime is not ready: {status.message}")
        except (RuntimeDriverError, TimeoutError) as error:
            problems.append(f"container runtime is down: {str(error) or 'no answer'}")
        if self._network is not None:
            try:
                await self._network.status()
            except NetworkDriverError as error:
                problems.append(f"container runtime network not ready: {error}")
        return NodeHealth(self.care.pressure(), problems)
