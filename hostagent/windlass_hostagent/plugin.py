"""Registration of `windlass hostagent`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from windlass.logs import configure_logging
from windlass.plugin.hookspecs import hookimpl

windlass_hookspec_versions = (1,)
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command("hostagent")
@click.option("--kubeconfig", type=_FILE, help="How to reach the API as system:node:NAME.")
@click.option(
    "--data-dir", type=click.Path(path_type=Path, file_okay=False), required=True, help="Where state is kept."
)
@click.option("--node-name", default="", help="Name of this node; the host name by default.")
@click.option("--runtime", default="auto", show_default=True, help="auto, docker, process, hollow or a plugin's name.")
@click.option("--runtime-endpoint", default="", help="Where the runtime listens, such as unix:///run/docker.sock.")
@click.option("--network", default="bridge", show_default=True, help="Network driver, or none.")
@click.option("--port", default=10250, show_default=True, help="Port of the agent's own HTTPS server; 0 picks one.")
@click.option("--node-ip", default="", help="Address of this node; that of the default route by default.")
@click.option(
    "--pod-cidr", default="", help="Pod addresses, if the Node has none yet; the cluster gives them by default."
)
@click.option("--cluster-cidr", multiple=True, default=("10.244.0.0/16",), show_default=True, help="All pods' range.")
@click.option("--service-cidr", multiple=True, default=("10.96.0.0/12",), show_default=True, help="Services' range.")
@click.option("--tls-cert", type=_FILE, help="Certificate of the agent's server.")
@click.option("--tls-key", type=_FILE, help="Key of the agent's server.")
@click.option("--client-ca", type=_FILE, help="CA of the API server's client certificate.")
@click.option("--config", "config_file", type=_FILE, help="Configuration file.")
@click.option("--node-labels", default="", help="Labels of the Node: key=value,key=value.")
@click.option("--cleanup", is_flag=True, help="Remove this node's pods, links and routes from the machine, and end.")
@click.option(
    "--log-level", default="info", show_default=True, type=click.Choice(["debug", "info", "warning", "error"])
)
@click.option(
    "--eviction-hard", default="", show_default="kubelet's own", help="When to evict: memory.available<100Mi,..."
)
@click.option("--system-reserved", default="", help="Kept for the machine itself: cpu=100m,memory=200Mi.")
@click.option("--kube-reserved", default="", help="Kept for Windlass' own processes, likewise.")
@click.option("--image-gc-high", default=85, show_default=True, help="Percent of disk use above which images go.")
@click.option("--image-gc-low", default=80, show_default=True, help="Percent of disk use down to which images go.")
@click.option(
    "--manifest-dir",
    type=click.Path(path_type=Path, file_okay=False),
    show_default="manifests in the data directory",
    help="Directory of static pods.",
)
@click.option(
    "--shutdown-grace-period",
    default=0.0,
    show_default=True,
    help="Seconds to hold up the machine's shutdown for pods.",
)
@click.option("--shutdown-grace-period-critical-pods", default=0.0, help="Of these, seconds for critical pods alone.")
@click.option("--cluster-dns", multiple=True, help="Address of another cluster DNS, instead of the agent's own.")
@click.option("--dns/--no-dns", default=True, show_default=True, help="Serve the cluster's DNS to this node's pods.")
@click.option(
    "--proxy", default="auto", show_default=True, help="What makes Services work: nftables (auto, where it can), or none."
)
@click.option("--cluster-domain", default="cluster.local", show_default=True, help="Domain of the cluster's names.")
@click.option("--resolv-conf", type=_FILE, help="The node's resolver configuration; found by default.")
@click.option("--allowed-unsafe-sysctls", multiple=True, help="Sysctls that pods may set here; may end with *.")
@click.option("--pod-max-pids", default=0, help="How many processes a pod may have; 0 leaves them unbounded.")
@click.option("--seccomp-default", is_flag=True, help="The runtime's seccomp profile where a pod names none.")
@click.option("--max-pods", default=110, show_default=True, help="How many pods the node takes.")
def hostagent(**options: Any) -> None:
    """Run pods on this machine, as the API wants them."""
    from windlass_hostagent.main import AgentConfig, run_agent, run_cleanup  # noqa: PLC0415 - other commands start faster without

    labels = options.pop("node_labels")
    pairs = [pair.partition("=") for pair in labels.split(",") if pair]
    options["cluster_cidrs"] = options.pop("cluster_cidr")
    options["service_cidrs"] = options.pop("service_cidr")
    configure_logging(options.pop("log_level"))
    cleanup = options.pop("cleanup")
    if options["kubeconfig"] is None and not cleanup:
        raise click.UsageError("--kubeconfig is needed to reach the API")
    config = AgentConfig(**options, labels={key: value for key, _, value in pairs})
    (run_cleanup if cleanup else run_agent)(config)


@hookimpl
def register_commands() -> Sequence[click.Command]:
    """Hand out the command."""
    return [hostagent]
