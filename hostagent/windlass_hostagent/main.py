"""`windlass hostagent`: builds the agent from its configuration and runs it until a signal."""

import asyncio
import os
import shutil
import signal
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from windlass.client.client import Client
from windlass.client.kubeconfig import load_kubeconfig
from windlass.clock import SystemClock
from windlass.config import load_config
from windlass.errors import ConfigError
from windlass.logs import get_logger
from windlass.plugin.interfaces.network import NetworkDriver, NodeNetworkConfig
from windlass.plugin.interfaces.proxy import ProxyDriver
from windlass.plugin.interfaces.runtime import RuntimeDriver
from windlass.plugin.interfaces.volume import NodeVolumeDriver
from windlass.plugin.manager import PluginManager
from windlass_hostagent.agent import HostAgent, NodeSettings
from windlass_hostagent.cleanup import clean_up
from windlass_hostagent.eviction.thresholds import DEFAULT_HARD, parse_thresholds
from windlass_hostagent.failpoints import arm_from_environment
from windlass_hostagent.node.care import CareSettings
from windlass_hostagent.node.image_gc import ImageGcPolicy
from windlass_hostagent.node.peers import remembered_pod_cidrs
from windlass_hostagent.node.reserved import parse_reserved
from windlass_hostagent.pods.options import pod_options
from windlass_hostagent.shutdown.plan import ShutdownPolicy

DEFAULT_MANIFESTS = "manifests"
DOCKER_SOCKETS = ("/var/run/docker.sock", "/run/docker.sock", "/run/podman/podman.sock")
log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """Everything that `windlass hostagent` can be told. Empty strings mean: find out."""

    kubeconfig: Path | None
    data_dir: Path
    node_name: str = ""
    runtime: str = "auto"
    runtime_endpoint: str = ""
    network: str = "bridge"
    port: int = 10250
    node_ip: str = ""
    pod_cidr: str = ""
    cluster_cidrs: Sequence[str] = ("10.244.0.0/16",)
    service_cidrs: Sequence[str] = ("10.96.0.0/12",)
    tls_cert: Path | None = None
    tls_key: Path | None = None
    client_ca: Path | None = None
    config_file: Path | None = None
    labels: dict[str, str] = field(default_factory=dict)
    max_pods: int = 110
    eviction_hard: str = ""
    system_reserved: str = ""
    kube_reserved: str = ""
    image_gc_high: int = 85
    image_gc_low: int = 80
    manifest_dir: Path | None = None
    cluster_dns: Sequence[str] = ()
    cluster_domain: str = "cluster.local"
    proxy: str = "auto"
    dns: bool = True
    resolv_conf: Path | None = None
    allowed_unsafe_sysctls: Sequence[str] = ()
    pod_max_pids: int = 0
    seccomp_default: bool = False
    shutdown_grace_period: float = 0.0
    shutdown_grace_period_critical_pods: float = 0.0


def choose_runtime(name: str) -> str:
    """Resolve `auto`: Docker where its socket answers the file system, else plain processes."""
    if name != "auto":
        return name
    endpoint = os.environ.get("DOCKER_HOST", "")
    found = endpoint or any(Path(path).is_socket() for path in DOCKER_SOCKETS)
    return "docker" if found else "process"


def default_node_ip() -> str:
    """Return the address of this machine that its default route uses; the loopback address when there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # a documentation address: nothing is sent
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def remembered_endpoint(config: AgentConfig) -> str:
    """Return the runtime's endpoint: as told now, else as an earlier run of this node was told (for --cleanup)."""
    memory = config.data_dir / "runtime-endpoint"
    if config.runtime_endpoint:
        memory.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        memory.write_text(config.runtime_endpoint)
    return config.runtime_endpoint or (memory.read_text() if memory.exists() else "")


def build_drivers(config: AgentConfig, node_name: str) -> tuple[str, RuntimeDriver, NetworkDriver | None]:
    """Build the runtime (with its name) and the network. Raises ConfigError and PluginError."""
    manager = PluginManager(load_config(config.config_file).plugins)
    manager.load()
    manager.check()
    runtime_name = choose_runtime(config.runtime)
    state_dir = config.data_dir / runtime_name
    driver_config: dict[str, Any] = {"state_dir": str(state_dir), "node_name": node_name}
    endpoint = remembered_endpoint(config)
    if endpoint:
        driver_config["endpoint"] = endpoint
    runtime: RuntimeDriver = manager.driver("register_runtimes", runtime_name, driver_config)
    network: NetworkDriver | None = None
    if config.network != "none" and runtime_name != "hollow" and os.geteuid() == 0:
        network = manager.driver("register_network_drivers", config.network, {"node_name": node_name})
    return runtime_name, runtime, network


def build_proxy(config: AgentConfig) -> ProxyDriver | None:
    """Build the Services' proxy; None where it is not wanted, or, by default, cannot work. Raises ConfigError, PluginError."""
    name = config.proxy
    if name == "auto":
        able = os.geteuid() == 0 and shutil.which("nft") and config.network != "none"
        name = "nftables" if able and choose_runtime(config.runtime) != "hollow" else "none"
    if name == "none":
        return None
    manager = PluginManager(load_config(config.config_file).plugins)
    manager.load()
    manager.check()
    proxy: ProxyDriver = manager.driver("register_service_proxies", name, {})
    return proxy


def build_volume_drivers(config: AgentConfig, node_name: str) -> dict[str, NodeVolumeDriver]:
    """Build every installed volume driver; none where containers are not real. Raises ConfigError and PluginError."""
    if choose_runtime(config.runtime) == "hollow":
        return {}
    manager = PluginManager(load_config(config.config_file).plugins)
    manager.load()
    manager.check()
    hook = "register_volume_drivers"
    state_dir = config.data_dir / "volumes"
    drivers = {
        name: manager.driver(hook, name, {"node_name": node_name, "state_dir": str(state_dir / name)})
        for name in manager.drivers(hook)
    }
    return {name: driver for name, driver in drivers.items() if driver is not None}


def care_settings(config: AgentConfig) -> CareSettings:
    """Read how the node cares for itself. Raises ConfigError naming the option's part that is wrong."""
    if not 0 < config.image_gc_low < config.image_gc_high <= 100:
        raise ConfigError(
            f"--image-gc-low {config.image_gc_low} must be above 0 and below --image-gc-high {config.image_gc_high}, "
            "which may be 100 at most"
        )
    whole, critical = config.shutdown_grace_period, config.shutdown_grace_period_critical_pods
    if not 0 <= critical <= whole:
        raise ConfigError(
            f"--shutdown-grace-period-critical-pods {critical:g} must lie between 0 and --shutdown-grace-period {whole:g}"
        )
    return CareSettings(
        thresholds=parse_thresholds(config.eviction_hard or DEFAULT_HARD),
        reserved=(parse_reserved(config.system_reserved), parse_reserved(config.kube_reserved)),
        image_gc=ImageGcPolicy(config.image_gc_high, config.image_gc_low),
        static_pods=config.manifest_dir or config.data_dir / DEFAULT_MANIFESTS,
        shutdown=ShutdownPolicy(whole, critical),
    )


def build_agent(config: AgentConfig, client: Any) -> HostAgent:
    """Build the agent and its drivers. Raises ConfigError and PluginError."""
    tls = (config.tls_cert, config.tls_key, config.client_ca)
    if any(tls) and not all(tls):
        raise ConfigError("--tls-cert, --tls-key and --client-ca belong together: give all three or none")
    node_name = config.node_name or socket.gethostname().lower()
    config.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    if config.manifest_dir is None:
        (config.data_dir / DEFAULT_MANIFESTS).mkdir(exist_ok=True, mode=0o700)
    runtime_name, runtime, network = build_drivers(config, node_name)
    settings = NodeSettings(
        node_name=node_name,
        node_ip=config.node_ip or default_node_ip(),
        data_dir=config.data_dir,
        port=config.port,
        pod_cidr=config.pod_cidr,
        cluster_cidrs=config.cluster_cidrs,
        service_cidrs=config.service_cidrs,
        labels=config.labels,
        max_pods=config.max_pods,
        care=care_settings(config),
        pod_options=pod_options(
            data_dir=config.data_dir,
            cluster_dns=config.cluster_dns,
            cluster_domain=config.cluster_domain,
            resolv_conf=config.resolv_conf,
            allowed_unsafe_sysctls=config.allowed_unsafe_sysctls,
            pod_max_pids=config.pod_max_pids,
            seccomp_default=config.seccomp_default,
        ),
        proxy=build_proxy(config),
        dns=config.dns and not config.cluster_dns,
        volumes=build_volume_drivers(config, node_name),
        tls=(config.tls_cert, config.tls_key, config.client_ca)
        if config.tls_cert and config.tls_key and config.client_ca
        else None,
    )
    return HostAgent(
        settings, client=client, runtime=runtime, runtime_name=runtime_name, network=network, clock=SystemClock()
    )


def run_cleanup(config: AgentConfig) -> None:
    """Remove everything that this node's pods left on the machine. Raises ConfigError naming what stays."""
    node_name = config.node_name or socket.gethostname().lower()
    _, runtime, network = build_drivers(config, node_name)
    node = NodeNetworkConfig(
        node_name=node_name,
        node_ip=config.node_ip,
        pod_cidrs=[config.pod_cidr] if config.pod_cidr else remembered_pod_cidrs(config.data_dir),
        cluster_cidrs=config.cluster_cidrs,
        service_cidrs=config.service_cidrs,
        state_dir=str(config.data_dir / "network"),
    )
    problems = asyncio.run(clean_up(runtime, network, node, config.data_dir, build_proxy(config)))
    if problems:
        raise ConfigError(f"node {node_name} is not clean: {'; '.join(problems)}")


async def run_until_signal(config: AgentConfig) -> None:
    """Run the agent until TERM or INT; every container stays."""
    if config.kubeconfig is None:
        raise ConfigError("--kubeconfig is needed to reach the API")
    transport = load_kubeconfig(config.kubeconfig)
    client = Client(transport, user_agent="windlass-hostagent")
    agent = build_agent(config, client)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    running = asyncio.ensure_future(agent.run())
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        running.cancel()
        await asyncio.gather(running, stopping, return_exceptions=True)
        await transport.close()
    if not running.cancelled():
        running.result()
    log.info("hostagent_stopped", node=agent.settings.node_name)


def run_agent(config: AgentConfig) -> None:
    """Run the agent in this process until a signal. Raises ConfigError when it cannot start."""
    arm_from_environment()
    asyncio.run(run_until_signal(config))
