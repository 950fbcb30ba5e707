"""What a pod is to be."""

from windlass.apimachinery.schema import Bool, Int, ListOf, MapOf, Nested, Quantity, Str
from windlass.apis.core.v1.affinity import Affinity
from windlass.apis.core.v1.container import Container, EphemeralContainer
from windlass.apis.core.v1.placement import Toleration, TopologySpreadConstraint
from windlass.apis.core.v1.references import LocalObjectReference
from windlass.apis.core.v1.resources import ResourceRequirements
from windlass.apis.core.v1.schema import CoreSchema
from windlass.apis.core.v1.security import PodSecurityContext
from windlass.apis.core.v1.volume import Volume


class HostAlias(CoreSchema):
    """Further names for an address in the pod's hosts file."""

    hostnames = ListOf("The names.", Str("One of them."))
    ip = Str("The address.", required=True)


class PodDNSConfigOption(CoreSchema):
    """An option of the resolver."""

    name = Str("Name of the option.")
    value = Str("Value of the option.")


class PodDNSConfig(CoreSchema):
    """Settings of the resolver beside those of the DNS policy."""

    nameservers = ListOf("Addresses of further name servers.", Str("One of them."))
    options = ListOf("Further options of the resolver.", PodDNSConfigOption)
    searches = ListOf("Further search domains.", Str("One of them."))


class PodOS(CoreSchema):
    """Operating system that a pod is made for."""

    name = Str("Name of the operating system.", required=True, enum=("linux", "windows"))


class PodReadinessGate(CoreSchema):
    """A condition that must be true for the pod to be ready."""

    condition_type = Str("Type of the pod's condition.", required=True)


class PodResourceClaim(CoreSchema):
    """A claim for devices that the pod's containers may use."""

    name = Str("Name of the claim in the pod.", required=True)
    resource_claim_name = Str("ResourceClaim in the namespace to use.")
    resource_claim_template_name = Str("Template from which a ResourceClaim is made for the pod.")


class PodSchedulingGate(CoreSchema):
    """Holds a pod back from scheduling until it is removed."""

    name = Str("Name of the gate.", required=True)


class PodSpec(CoreSchema):
    """Everything that a user asks of a pod."""

    active_deadline_seconds = Int("Seconds after its start when the pod is ended as failed.", bits=64)
    affinity = Nested("Rules on where the pod may and should run.", Affinity)
    automount_service_account_token = Bool("Whether a token of the service account is mounted.")
    containers = ListOf("Containers of the pod; at least one.", Container, required=True, list_type="map",
                        list_map_keys=("name",), patch_strategy="merge", patch_merge_key="name")
    dns_config = Nested("Further settings of the resolver.", PodDNSConfig)
    dns_policy = Str("Where the resolver's settings come from.", default="ClusterFirst",
                     enum=("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"))
    enable_service_links = Bool("Whether Services of the namespace are told to containers by variables.")
    ephemeral_containers = ListOf("Containers added to the running pod for debugging.", EphemeralContainer,
                                  list_type="map", list_map_keys=("name",), patch_strategy="merge",
                                  patch_merge_key="name")
    host_aliases = ListOf("Further lines of the pod's hosts file.", HostAlias, list_type="map", list_map_keys=("ip",),
                          patch_strategy="merge", patch_merge_key="ip")
    host_ipc = Bool("Whether the pod shares the host's IPC namespace.", data_key="hostIPC")
    host_network = Bool("Whether the pod shares the host's network.")
    host_pid = Bool("Whether the pod shares the host's process ids.", data_key="hostPID")
    host_users = Bool("Whether the pod shares the host's user ids; true when absent.")
    hostname = Str("Host name of the pod; its name when absent.")
    image_pull_secrets = ListOf("Secrets with which images are pulled.", LocalObjectReference, list_type="map",
                                list_map_keys=("name",), patch_strategy="merge", patch_merge_key="name")
    init_containers = ListOf("Containers that run one after the other before the others start.", Container,
                             list_type="map", list_map_keys=("name",), patch_strategy="merge", patch_merge_key="name")
    node_name = Str("Node that the pod runs on; set by the scheduler, or by the user to bypass it.")
    node_selector = MapOf("Labels that the node must have.", Str("Value of the key."), map_type="atomic")
    os = Nested("Operating system that the pod is made for.", PodOS)
    overhead = MapOf("Resources that the pod needs beside its containers'; set from the RuntimeClass.",
                     Quantity("Value of the key."))
    preemption_policy = Str("Whether the pod may push out pods of lower priority.",
                            enum=("Never", "PreemptLowerPriority"))
    priority = Int("Priority as a number; set from the priority class.")
    priority_class_name = Str("Name of the priority class.")
    readiness_gates = ListOf("Conditions that must be true for the pod to be ready.", PodReadinessGate)
    resource_claims = ListOf("Claims for devices that containers may use.", PodResourceClaim, list_type="map",
                             list_map_keys=("name",), patch_strategy="merge,retainKeys", patch_merge_key="name")
    resources = Nested("Resources of the pod as a whole.", ResourceRequirements)
    restart_policy = Str("Whether containers that end are started again.", default="Always",
                         enum=("Always", "Never", "OnFailure"))
    runtime_class_name = Str("RuntimeClass to run the pod with.")
    scheduler_name = Str("Scheduler that is to place the pod.", default="default-scheduler")
    scheduling_gates = ListOf("Gates that hold the pod back from scheduling.", PodSchedulingGate, list_type="map",
                              list_map_keys=("name",), patch_strategy="merge", patch_merge_key="name")
    security_context = Nested("Privileges and identity shared by all containers.", PodSecurityContext, default={})
    service_account = Str("Older name of serviceAccountName.")
    service_account_name = Str("Service account that the pod acts as.")
    set_hostname_as_fqdn = Bool("Whether the host name is the full one with its domain.", data_key="setHostnameAsFQDN")
    share_process_namespace = Bool("Whether containers see each other's processes.")
    subdomain = Str("Domain below which the pod's host name is found; a headless Service's name.")
    termination_grace_period_seconds = Int("Seconds that containers get to end before they are killed.", bits=64,
                                           default=30)
    tolerations = ListOf("Taints that the pod tolerates.", Toleration)
    topology_spread_constraints = ListOf("How pods are spread over areas of the cluster.", TopologySpreadConstraint,
                                         list_type="map", list_map_keys=("topologyKey", "whenUnsatisfiable"),
                                         patch_strategy="merge", patch_merge_key="topologyKey")
    volumes = ListOf("Volumes that containers may mount.", Volume, list_type="map", list_map_keys=("name",),
                     patch_strategy="merge,retainKeys", patch_merge_key="name")
