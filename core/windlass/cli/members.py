"""The host agents of a cluster on this machine: one beside the control plane, or one on each host."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from windlass.cli import host_docker, hosts
from windlass.cli.cluster import Cluster
from windlass.cli.datadir import DataDir
from windlass.cli.hosts import Host
from windlass.cli.processes import ProcessTable
from windlass.cli.ready import admin_context, node_is_alive, wait_until
from windlass.errors import WindlassError

WINDLASS = (sys.executable, "-m", "windlass.cli")
READY_SECONDS = 60
GRACE_SECONDS = 20
CLEANUP_SECONDS = 300
HOST_PORT = 10250


@dataclass(frozen=True, slots=True)
class Member:
    """One agent. `pod_cidr` '' leaves the choice to the cluster; `host` None is this machine itself."""

    name: str
    ip: str
    pod_cidr: str = ""
    host: Host | None = None

    @property
    def process(self) -> str:
        """The name of its process record."""
        return f"hostagent-{self.name}" if self.host else "hostagent"

    def inside(self, command: Sequence[str]) -> list[str]:
        """Return how a command is run where this agent lives."""
        return self.host.enter(command) if self.host else list(command)


def members(cluster: Cluster, data_dir: DataDir) -> list[Member]:
    """Return the cluster's agents, by name."""
    underlay = cluster.underlay_of(hosts.cluster_tag(data_dir))
    if underlay is None:
        return [Member(cluster.node_name, cluster.node_ip, cluster.pod_cidr)]
    return [Member(host.name, host.ip, host=host) for host in underlay.hosts(cluster.nodes)]


def start_agent(cluster: Cluster, data_dir: DataDir, member: Member, processes: ProcessTable) -> None:
    """Start an agent, and what it needs beneath, unless it runs. Raises HostError and NotReadyError."""
    known = processes.get(member.process)
    if known is not None and known.running:
        return
    endpoint = os.environ.get("DOCKER_HOST", "") if cluster.runtime == "docker" else ""
    if member.host is not None:
        hosts.connect(member.host, connected=True)
        if cluster.runtime == "docker":
            endpoint = host_docker.start(data_dir, member.host, processes)
    user = f"node-{member.name}"
    command = [
        *WINDLASS,
        "hostagent",
        "--kubeconfig",
        str(data_dir.kubeconfig(user)),
        *_identity(cluster, data_dir, member),
        "--tls-cert",
        str(data_dir.pki / f"{user}.crt"),
        "--tls-key",
        str(data_dir.pki / f"{user}.key"),
        "--client-ca",
        str(data_dir.pki / "ca.crt"),
        "--port",
        str(HOST_PORT if member.host else 0),
        "--max-pods",
        str(cluster.max_pods),
        *(["--runtime-endpoint", endpoint] if endpoint else []),
    ]
    processes.start(member.process, member.inside(command))


def _identity(cluster: Cluster, data_dir: DataDir, member: Member) -> list[str]:
    """Return what a running agent and its cleanup are told alike."""
    ranges = [part for cidr in cluster.cluster_cidrs for part in ("--cluster-cidr", cidr)]
    return [
        "--node-name",
        member.name,
        "--runtime",
        cluster.runtime,
        "--data-dir",
        str(data_dir.agent(member.name)),
        "--node-ip",
        member.ip,
        *(["--pod-cidr", member.pod_cidr] if member.pod_cidr else []),
        *ranges,
        *(["--config", cluster.config] if cluster.config else []),
    ]


def wait_alive(cluster: Cluster, data_dir: DataDir, member: Member, processes: ProcessTable, since: datetime) -> None:
    """Wait until the Node is Ready and its agent has said so after a moment. Raises NotReadyError."""
    context = admin_context(data_dir)
    wait_until(
        lambda: node_is_alive(cluster.server, member.name, context, since), processes, member.process, READY_SECONDS
    )


def stop_agent(member: Member, processes: ProcessTable) -> None:
    """Stop an agent; its pods run on."""
    processes.stop(member.process, GRACE_SECONDS)


def clean_member(cluster: Cluster, data_dir: DataDir, member: Member, processes: ProcessTable) -> None:
    """Remove the pods and the network of a stopped agent, and its Docker daemon. Raises WindlassError."""
    if member.host is not None and not member.host.exists:
        return
    if member.host is not None and cluster.runtime == "docker":
        host_docker.start(data_dir, member.host, processes)  # only the daemon can remove its containers
    command = member.inside([*WINDLASS, "hostagent", "--cleanup", *_identity(cluster, data_dir, member)])
    result = subprocess.run(  # noqa: S603 - our own command
        command, capture_output=True, text=True, timeout=CLEANUP_SECONDS, check=False
    )
    if member.host is not None and cluster.runtime == "docker":
        host_docker.stop(data_dir, member.host, processes)
    if result.returncode != 0:
        raise WindlassError(
            f"the host agent of {member.name} could not clean up; its processes are stopped. It said:\n"
            f"{result.stderr[-2000:]}"
        )


def remove_members(cluster: Cluster, data_dir: DataDir, processes: ProcessTable) -> list[str]:
    """Clean every stopped member and remove the hosts; return what went wrong, having gone on with the rest."""
    problems: list[str] = []
    for member in members(cluster, data_dir):
        try:
            clean_member(cluster, data_dir, member, processes)
        except (WindlassError, OSError) as error:
            problems.append(str(error))
    underlay = cluster.underlay_of(hosts.cluster_tag(data_dir))
    if underlay is not None:
        problems += hosts.remove_hosts(underlay, underlay.hosts(cluster.nodes))
    return problems
