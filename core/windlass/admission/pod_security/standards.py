"""The Pod Security Standards as pure checks of a pod's spec: what `baseline` and `restricted` refuse, and in which words.

Source: kubernetes.io/docs/concepts/security/pod-security-standards (policy of 1.32, for Linux and Windows pods alike).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

Spec: TypeAlias = Mapping[str, Any]
Check: TypeAlias = Callable[[Spec, Mapping[str, str]], str]

LEVELS = ("privileged", "baseline", "restricted")
DEFAULT_CAPABILITIES = frozenset({
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP", "SETGID",
    "SETPCAP", "SETUID", "SYS_CHROOT",
})  # fmt: skip
SAFE_SYSCTLS = frozenset({
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ping_group_range", "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_syncookies",
})  # fmt: skip
SELINUX_TYPES = frozenset({"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"})
RESTRICTED_VOLUMES = frozenset({
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret",
})  # fmt: skip
APPARMOR_ANNOTATION = "container.apparmor.security.beta.kubernetes.io/"


@dataclass(frozen=True, slots=True)
class Rule:
    """One control. `check` returns what a pod does against it, '' when nothing; a rule may stand in for a laxer one."""

    name: str
    level: str
    check: Check
    instead_of: str = ""


def violations(spec: Spec, annotations: Mapping[str, str], level: str) -> list[str]:
    """Return what a pod does against a level, `baseline` before `restricted`, each in the order of the rules' names."""
    rank = LEVELS.index(level)
    rules = [rule for rule in RULES if LEVELS.index(rule.level) <= rank]
    replaced = {rule.instead_of for rule in rules}
    chosen = sorted((r for r in rules if r.name not in replaced), key=lambda r: (LEVELS.index(r.level), r.name))
    return [found for rule in chosen if (found := rule.check(spec, annotations))]


def containers(spec: Spec) -> Iterator[Mapping[str, Any]]:
    """Yield every container of a pod, of all three sorts."""
    for field in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(field) or ()


def _context(of: Mapping[str, Any]) -> Mapping[str, Any]:
    context: Mapping[str, Any] = of.get("securityContext") or {}
    return context


def _named(noun: str, names: Sequence[str]) -> str:
    quoted = ", ".join(f'"{name}"' for name in names)
    return f"{noun}{'s' if len(names) > 1 else ''} {quoted}"


def _offenders(spec: Spec, offends: Callable[[Mapping[str, Any]], bool]) -> list[str]:
    return [container["name"] for container in containers(spec) if offends(container)]


def _pod_and(spec: Spec, offends: Callable[[Mapping[str, Any]], bool]) -> str:
    """Name who offends among the pod and its containers; '' for nobody."""
    who = ["pod"] if offends(spec) else []
    names = _offenders(spec, offends)
    return " and ".join([*who, *([_named("container", names)] if names else [])])


def _host_process(spec: Spec, _: Mapping[str, str]) -> str:
    who = _pod_and(spec, lambda of: bool((_context(of).get("windowsOptions") or {}).get("hostProcess")))
    return f"hostProcess ({who} must not set securityContext.windowsOptions.hostProcess=true)" if who else ""


def _host_namespaces(spec: Spec, _: Mapping[str, str]) -> str:
    shared = [f"{field}=true" for field in ("hostNetwork", "hostPID", "hostIPC") if spec.get(field)]
    return f"host namespaces ({', '.join(shared)})" if shared else ""


def _privileged(spec: Spec, _: Mapping[str, str]) -> str:
    names = _offenders(spec, lambda c: bool(_context(c).get("privileged")))
    return f"privileged ({_named('container', names)} must not set securityContext.privileged=true)" if names else ""


def _added(spec: Spec, allowed: frozenset[str]) -> str:
    """Say which containers add capabilities that are not allowed, '' for none."""
    names, extra = [], set()
    for container in containers(spec):
        beyond = set((_context(container).get("capabilities") or {}).get("add") or ()) - allowed
        if beyond:
            names.append(container["name"])
            extra |= beyond
    if not names:
        return ""
    listed = ", ".join(f'"{capability}"' for capability in sorted(extra))
    return f"{_named('container', names)} must not include {listed} in securityContext.capabilities.add"


def _capabilities_baseline(spec: Spec, _: Mapping[str, str]) -> str:
    added = _added(spec, DEFAULT_CAPABILITIES)
    return f"non-default capabilities ({added})" if added else ""


def _capabilities_restricted(spec: Spec, _: Mapping[str, str]) -> str:
    keep = _offenders(spec, lambda c: "ALL" not in ((_context(c).get("capabilities") or {}).get("drop") or ()))
    must = f'{_named("container", keep)} must set securityContext.capabilities.drop=["ALL"]' if keep else ""
    wrongs = [wrong for wrong in (must, _added(spec, frozenset({"NET_BIND_SERVICE"}))) if wrong]
    return f"unrestricted capabilities ({'; '.join(wrongs)})" if wrongs else ""


def _volume_source(volume: Mapping[str, Any]) -> str:
    return next((field for field in volume if field != "name" and volume[field] is not None), "emptyDir")


def _host_path(spec: Spec, _: Mapping[str, str]) -> str:
    names = [volume["name"] for volume in spec.get("volumes") or () if _volume_source(volume) == "hostPath"]
    return f"hostPath volumes ({_named('volume', names)})" if names else ""


def _restricted_volumes(spec: Spec, _: Mapping[str, str]) -> str:
    sources = {v["name"]: _volume_source(v) for v in spec.get("volumes") or ()}
    wrong = {name: source for name, source in sources.items() if source not in RESTRICTED_VOLUMES}
    if not wrong:
        return ""
    verb = "use" if len(wrong) > 1 else "uses"
    listed = ", ".join(f'"{source}"' for source in sorted(set(wrong.values())))
    noun = "types" if len(set(wrong.values())) > 1 else "type"
    return f"restricted volume types ({_named('volume', list(wrong))} {verb} restricted volume {noun} {listed})"


def _host_ports(spec: Spec, _: Mapping[str, str]) -> str:
    ports = {c["name"]: [p["hostPort"] for p in c.get("ports") or () if p.get("hostPort")] for c in containers(spec)}
    names = [name for name, used in ports.items() if used]
    if not names:
        return ""
    used = sorted({port for found in ports.values() for port in found})
    verb, noun = ("use" if len(names) > 1 else "uses"), ("hostPorts" if len(used) > 1 else "hostPort")
    return f"hostPort ({_named('container', names)} {verb} {noun} {', '.join(map(str, used))})"


def _apparmor(spec: Spec, annotations: Mapping[str, str]) -> str:
    forbidden = {
        f'{key}="{value}"'
        for key, value in annotations.items()
        if key.startswith(APPARMOR_ANNOTATION) and value != "runtime/default" and not value.startswith("localhost/")
    }
    who = _pod_and(spec, lambda of: (_context(of).get("appArmorProfile") or {}).get("type") == "Unconfined")
    wrongs = [f'{who} must not set AppArmor profile type to "Unconfined"'] if who else []
    if forbidden:
        wrongs.append(f"{'annotations' if len(forbidden) > 1 else 'annotation'} {', '.join(sorted(forbidden))}")
    noun = "profiles" if len(wrongs) > 1 or len(forbidden) > 1 else "profile"
    return f"forbidden AppArmor {noun} ({'; '.join(wrongs)})" if wrongs else ""


def _selinux(spec: Spec, _: Mapping[str, str]) -> str:
    def options(of: Mapping[str, Any]) -> Mapping[str, Any]:
        found: Mapping[str, Any] = _context(of).get("seLinuxOptions") or {}
        return found

    def offends(of: Mapping[str, Any]) -> bool:
        chosen = options(of)
        return chosen.get("type", "") not in SELINUX_TYPES or bool(chosen.get("user")) or bool(chosen.get("role"))

    who = _pod_and(spec, offends)
    if not who:
        return ""
    chosen = [options(of) for of in (spec, *containers(spec))]
    types = sorted({found["type"] for found in chosen if found.get("type", "") not in SELINUX_TYPES})
    wrongs = [f"type{'s' if len(types) > 1 else ''} " + ", ".join(f'"{t}"' for t in types)] if types else []
    wrongs += [f"{field} may not be set" for field in ("user", "role") if any(found.get(field) for found in chosen)]
    return f"seLinuxOptions ({who} set forbidden securityContext.seLinuxOptions: {'; '.join(wrongs)})"


def _proc_mount(spec: Spec, _: Mapping[str, str]) -> str:
    names = _offenders(spec, lambda c: _context(c).get("procMount", "Default") != "Default")
    if not names:
        return ""
    return f'procMount ({_named("container", names)} must not set securityContext.procMount to "Unmasked")'


def _seccomp_type(of: Mapping[str, Any]) -> str:
    return str((_context(of).get("seccompProfile") or {}).get("type", ""))


def _seccomp_baseline(spec: Spec, _: Mapping[str, str]) -> str:
    who = _pod_and(spec, lambda of: _seccomp_type(of) == "Unconfined")
    return f'seccompProfile ({who} must not set securityContext.seccompProfile.type to "Unconfined")' if who else ""


def _seccomp_restricted(spec: Spec, annotations: Mapping[str, str]) -> str:
    unconfined = _seccomp_baseline(spec, annotations)
    if unconfined or _seccomp_type(spec):
        return unconfined
    names = _offenders(spec, lambda c: not _seccomp_type(c))
    wanted = 'securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
    return f"seccompProfile (pod or {_named('container', names)} must set {wanted})" if names else ""


def _sysctls(spec: Spec, _: Mapping[str, str]) -> str:
    names = sorted({sysctl["name"] for sysctl in _context(spec).get("sysctls") or ()} - SAFE_SYSCTLS)
    return f"forbidden sysctls ({', '.join(names)})" if names else ""


def _escalation(spec: Spec, _: Mapping[str, str]) -> str:
    names = _offenders(spec, lambda c: _context(c).get("allowPrivilegeEscalation") is not False)
    must = "must set securityContext.allowPrivilegeEscalation=false"
    return f"allowPrivilegeEscalation != false ({_named('container', names)} {must})" if names else ""


def _non_root(spec: Spec, _: Mapping[str, str]) -> str:
    explicit = _pod_and(spec, lambda of: _context(of).get("runAsNonRoot") is False)
    if explicit:
        return f"runAsNonRoot != true ({explicit} must not set securityContext.runAsNonRoot=false)"
    if _context(spec).get("runAsNonRoot"):
        return ""
    names = _offenders(spec, lambda c: not _context(c).get("runAsNonRoot"))
    must = "must set securityContext.runAsNonRoot=true"
    return f"runAsNonRoot != true (pod or {_named('container', names)} {must})" if names else ""


def _root_user(spec: Spec, _: Mapping[str, str]) -> str:
    who = _pod_and(spec, lambda of: _context(of).get("runAsUser") == 0)
    return f"runAsUser=0 ({who} must not set runAsUser=0)" if who else ""


RULES = (
    Rule("appArmorProfile", "baseline", _apparmor),
    Rule("capabilities_baseline", "baseline", _capabilities_baseline),
    Rule("hostNamespaces", "baseline", _host_namespaces),
    Rule("hostPathVolumes", "baseline", _host_path),
    Rule("hostPorts", "baseline", _host_ports),
    Rule("privileged", "baseline", _privileged),
    Rule("procMount", "baseline", _proc_mount),
    Rule("seLinuxOptions", "baseline", _selinux),
    Rule("seccompProfile_baseline", "baseline", _seccomp_baseline),
    Rule("sysctls", "baseline", _sysctls),
    Rule("windowsHostProcess", "baseline", _host_process),
    Rule("allowPrivilegeEscalation", "restricted", _escalation),
    Rule("capabilities_restricted", "restricted", _capabilities_restricted, "capabilities_baseline"),
    Rule("restrictedVolumes", "restricted", _restricted_volumes, "hostPathVolumes"),
    Rule("runAsNonRoot", "restricted", _non_root),
    Rule("runAsUser", "restricted", _root_user),
    Rule("seccompProfile_restricted", "restricted", _seccomp_restricted, "seccompProfile_baseline"),
)
