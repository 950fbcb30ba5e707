"""Privileges and identity that pods and containers run with."""

from windlass.apimachinery.schema import Bool, Int, ListOf, Nested, Str
from windlass.apis.core.v1.schema import CoreSchema


class AppArmorProfile(CoreSchema):
    """Chooses an AppArmor profile."""

    localhost_profile = Str("Name of a profile loaded on the node; only with type Localhost.")
    type = Str("Kind of profile.", required=True, enum=("Localhost", "RuntimeDefault", "Unconfined"))


class Capabilities(CoreSchema):
    """Linux capabilities given to or taken from a container."""

    add = ListOf("Capabilities to give.", Str("One of them."))
    drop = ListOf("Capabilities to take away.", Str("One of them."))


class SELinuxOptions(CoreSchema):
    """SELinux labels that a container runs under."""

    level = Str("SELinux level.")
    role = Str("SELinux role.")
    type = Str("SELinux type.")
    user = Str("SELinux user.")


class SeccompProfile(CoreSchema):
    """Chooses a filter of system calls."""

    localhost_profile = Str("File of the profile below the agent's seccomp folder; only with type Localhost.")
    type = Str("Kind of profile.", required=True, enum=("Localhost", "RuntimeDefault", "Unconfined"))


class WindowsSecurityContextOptions(CoreSchema):
    """Settings that only Windows nodes use."""

    gmsa_credential_spec = Str("Text of the group managed service account's credentials.")
    gmsa_credential_spec_name = Str("Name of the group managed service account's credentials.")
    host_process = Bool("Whether the container runs in the host's own process space.")
    run_as_user_name = Str("User that the entry point runs as.")


class SecurityContext(CoreSchema):
    """Privileges of one container; beats the pod's settings."""

    allow_privilege_escalation = Bool("Whether a process may gain more privileges than its parent.")
    app_armor_profile = Nested("AppArmor profile of the container.", AppArmorProfile)
    capabilities = Nested("Linux capabilities of the container.", Capabilities)
    privileged = Bool("Whether the container has nearly all of the host's privileges.")
    proc_mount = Str("How /proc is mounted.", enum=("Default", "Unmasked"))
    read_only_root_filesystem = Bool("Whether the container's root file system is read-only.")
    run_as_group = Int("Group id of the entry point.", bits=64)
    run_as_non_root = Bool("Whether to refuse to run as user id 0.")
    run_as_user = Int("User id of the entry point; the image's when absent.", bits=64)
    se_linux_options = Nested("SELinux labels of the container.", SELinuxOptions)
    seccomp_profile = Nested("Filter of system calls of the container.", SeccompProfile)
    windows_options = Nested("Settings for Windows nodes.", WindowsSecurityContextOptions)


class Sysctl(CoreSchema):
    """A kernel parameter set for a pod."""

    name = Str("Name of the parameter.", required=True)
    value = Str("Value of the parameter.", required=True)


class PodSecurityContext(CoreSchema):
    """Privileges and identity shared by all containers of a pod."""

    app_armor_profile = Nested("AppArmor profile of the containers.", AppArmorProfile)
    fs_group = Int("Group id that owns the pod's volumes.", bits=64)
    fs_group_change_policy = Str("When the volumes' ownership is changed.", enum=("Always", "OnRootMismatch"))
    run_as_group = Int("Group id of the entry points.", bits=64)
    run_as_non_root = Bool("Whether to refuse to run as user id 0.")
    run_as_user = Int("User id of the entry points.", bits=64)
    se_linux_change_policy = Str("How volumes get their SELinux label.", enum=("MountOption", "Recursive"))
    se_linux_options = Nested("SELinux labels of the containers.", SELinuxOptions)
    seccomp_profile = Nested("Filter of system calls of the containers.", SeccompProfile)
    supplemental_groups = ListOf("Further group ids of the first process of each container.",
                                 Int("One of them.", bits=64))
    supplemental_groups_policy = Str("Whether the image's own groups count too.", enum=("Merge", "Strict"))
    sysctls = ListOf("Kernel parameters set in the pod's namespaces.", Sysctl)
    windows_options = Nested("Settings for Windows nodes.", WindowsSecurityContextOptions)
