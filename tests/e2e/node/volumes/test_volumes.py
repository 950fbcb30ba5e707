"""Volumes in real containers: emptyDir, ConfigMap, Secret, downward API, projected, hostPath, subPath. Docker and process."""

import base64
import json
import os
from pathlib import Path

import pytest

from windlass.apimachinery.quantity import int_value

pytestmark = [pytest.mark.docker, pytest.mark.root]

FOLLOW = """
old=
while :; do
  new=$(cd /v && for f in $(busybox find . -follow -type f ! -path '*/..*' | busybox sort); do echo -n "$f=$(busybox cat $f);"; done)
  [ "$new" = "$old" ] || echo "now $new"
  old=$new
  busybox sleep 0.1
done
"""


def encoded(text):
    return base64.b64encode(text.encode()).decode()


CONFIG = {"data": {"key": "value", "other": "more"}, "binaryData": {"bin": base64.b64encode(b"\x00\xff\n").decode()}}


def test_configmap_files(box):
    """C323, C325, C331: data and binaryData byte for byte, mode 0644, in two volumes at once."""
    box.apply("ConfigMap", "config", **CONFIG)
    script = "show /v/key /w/other; busybox od -An -tx1 /v/bin; busybox ls /v"
    assert box.output("pod", script, {"configMap": {"name": "config"}}, {"configMap": {"name": "config"}}) == [
        "/v/key=value:644:0", "/w/other=more:644:0", " 00 ff 0a", "bin", "key", "other",
    ]  # fmt: skip


def test_configmap_items_modes_and_other_users(box):
    """C326, C328, C329: mapped paths, one mode of its own, a container of uid 1000."""
    box.apply("ConfigMap", "config", **CONFIG)
    items = [{"key": "key", "path": "a/b"}, {"key": "other", "path": "c", "mode": 0o400}]
    source = {"configMap": {"name": "config", "items": items}}
    assert box.output("root", "show /v/a/b /v/c; busybox ls /v", source) == [
        "/v/a/b=value:644:0",
        "/v/c=more:400:0",
        "a",
        "c",
    ]
    found = box.output(
        "user",
        "busybox id -u; show /v/a/b; busybox cat /v/c 2>/dev/null || echo no",
        source,
        pod={"securityContext": {"runAsUser": 1000}},
    )
    assert (found[0], found[1], found[-1]) == ("1000", "/v/a/b=value:644:0", "no")


def test_secret_files(box):
    """C394, C397, C398: decoded, mapped, with a mode of their own, in memory; C361 beside a ConfigMap."""
    box.apply("Secret", "secret", data={"key": encoded("s3cret"), "other": encoded("more")})
    box.apply("ConfigMap", "config", **CONFIG)
    items = [{"key": "key", "path": "mapped"}, {"key": "other", "path": "own", "mode": 0o400}]
    sources = (
        {"secret": {"secretName": "secret"}},
        {"configMap": {"name": "config"}},
        {"secret": {"secretName": "secret", "items": items}},
    )
    script = "show /v/key /w/key /x/mapped /x/own; busybox stat -fc %T /v; (echo > /v/key) 2>/dev/null || echo readonly"
    assert box.output("pod", script, *sources)[:5] == [
        "/v/key=s3cret:644:0", "/w/key=value:644:0", "/x/mapped=s3cret:644:0", "/x/own=more:400:0", "tmpfs",
    ]  # fmt: skip
    assert "readonly" in box.pods.logs("pod")


def test_secret_for_a_group(box):
    """C395: defaultMode 0440, fsGroup 1001, uid 1000."""
    box.apply("Secret", "secret", data={"key": encoded("s3cret")})
    source = {"secret": {"secretName": "secret", "defaultMode": 0o440}}
    security = {"runAsUser": 1000, "runAsGroup": 1001, "fsGroup": 1001}
    assert box.output("pod", "show /v/key", source, pod={"securityContext": security}) == ["/v/key=s3cret:440:1001"]


def resource(bound, **more):
    return {"resourceFieldRef": {"containerName": "main", "resource": bound, **more}}


DOWNWARD = [
    {"path": "podname", "fieldRef": {"fieldPath": "metadata.name"}},
    {"path": "cpu_limit", **resource("limits.cpu", divisor="1m")},
    {"path": "cpu_request", **resource("requests.cpu", divisor="1m")},
    {"path": "memory_limit", **resource("limits.memory")},
    {"path": "memory_request", **resource("requests.memory", divisor="1Mi")},
]
RESOURCES = {"limits": {"cpu": "500m", "memory": "64Mi"}, "requests": {"cpu": "250m", "memory": "32Mi"}}


@pytest.mark.parametrize("projected", [False, True], ids=["downwardAPI", "projected"])
def test_pod_fields_as_files(box, projected):
    """C334, C335, C337, C340, C341; C374, C376, C377, C380, C382."""
    items = [*DOWNWARD, {"path": "own", "fieldRef": {"fieldPath": "metadata.name"}, "mode": 0o400}]
    inner = {"downwardAPI": {"items": items}}
    source = (
        {"projected": {"sources": [inner]}} if projected else {"downwardAPI": {"items": items, "defaultMode": 0o440}}
    )
    script = "cd /v; show podname cpu_limit cpu_request memory_limit memory_request own"
    mode = "644" if projected else "440"
    values = {
        "podname": "pod",
        "cpu_limit": "500",
        "cpu_request": "250",
        "memory_limit": str(64 << 20),
        "memory_request": "32",
    }
    wanted = [f"{key}={value}:{mode}:0" for key, value in values.items()]
    assert box.output("pod", script, source, resources=RESOURCES) == [*wanted, "own=pod:400:0"]


def test_limits_without_a_value_are_the_nodes(box):
    """C338, C379."""
    items = [{"path": "cpu", **resource("limits.cpu")}, {"path": "memory", **resource("limits.memory")}]
    sources = {"downwardAPI": {"items": items}}, {"projected": {"sources": [{"downwardAPI": {"items": items}}]}}
    found = box.output("pod", "for f in /v/cpu /v/memory /w/cpu /w/memory; do busybox cat $f; echo; done", *sources)
    node = box.pods.cluster.get("node", "node1")["status"]["allocatable"]
    assert [int(line) for line in found] == [int_value(node["cpu"]), int_value(node["memory"])] * 2


@pytest.mark.parametrize("projected", [False, True], ids=["downwardAPI", "projected"])
def test_labels_and_annotations_follow_the_pod(box, projected):
    """C343, C344, C383."""
    items = [{"path": name, "fieldRef": {"fieldPath": f"metadata.{name}"}} for name in ("annotations", "labels")]
    inner = {"downwardAPI": {"items": items}}
    box.start("pod", FOLLOW, {"projected": {"sources": [inner]}} if projected else inner)
    box.shows("pod", 'now ./annotations=;./labels=app="pod";')
    box.pods.kubectl("label", "pod", "pod", "tier=a-b")
    box.shows("pod", 'now ./annotations=;./labels=app="pod"')
    box.shows("pod", 'tier="a-b";')
    box.pods.kubectl("annotate", "pod", "pod", 'said="yes"')
    box.shows("pod", 'now ./annotations=said="\\"yes\\"";./labels=app="pod"')


@pytest.mark.parametrize("mode", ["0644", "0666", "0777"])
@pytest.mark.parametrize(("medium", "user"), [("", 0), ("", 1000), ("Memory", 0), ("Memory", 1000)])
def test_emptydir_files(box, medium, user, mode):
    """C346, C347, C349, C350, C352, C353, C355, C356, C358, C359: a directory for everybody, on disk or in memory."""
    script = f"echo -n text > /v/f; busybox chmod {mode} /v/f; busybox stat -c %a /v /v/f; busybox cat /v/f; echo; busybox stat -fc %T /v"
    found = box.output("pod", script, {"emptyDir": {"medium": medium}}, pod={"securityContext": {"runAsUser": user}})
    assert found[:3] == ["777", mode.lstrip("0"), "text"]
    assert (found[3] == "tmpfs") is (medium == "Memory")


def test_emptydir_in_memory_is_bounded_and_shared_by_a_pods_containers(box):
    source = {"name": "v", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}
    mount = {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    fill = box.container("busybox dd if=/dev/zero of=/v/big bs=64k count=64 2>/dev/null || echo full", "fill", **mount)
    look = box.container("busybox stat -c %s /v/big", **mount)
    box.pods.create("pod", look, initContainers=[fill], volumes=[source], restartPolicy="Never")
    box.pods.until_phase("pod", "Succeeded")
    assert box.pods.logs("pod", "-c", "fill").splitlines() == ["full"]
    assert box.pods.logs("pod", "-c", "main").splitlines() == [str(1 << 20)]


def test_emptydir_for_a_group(box):
    security = {"runAsUser": 1000, "runAsGroup": 1000, "fsGroup": 2000, "supplementalGroups": [2000]}
    found = box.output(
        "pod",
        "busybox stat -c %a:%g /v; : > /v/f; busybox stat -c %g /v/f",
        {"emptyDir": {}},
        pod={"securityContext": security},
    )
    assert found == ["2777:2000", "2000"]


PROJECTED = [
    {"secret": {"name": "secret", "items": [{"key": "key", "path": "in/secret"}]}},
    {"configMap": {"name": "config", "items": [{"key": "key", "path": "config", "mode": 0o400}]}},
    {"downwardAPI": {"items": DOWNWARD}},
]


def test_projected_sources_share_a_directory(box):
    """C364, C370, C389, C391: secret, configMap and downwardAPI in one volume, and in a second one too."""
    box.apply("Secret", "secret", data={"key": encoded("s3cret")})
    box.apply("ConfigMap", "config", **CONFIG)
    source = {"projected": {"sources": PROJECTED}}
    script = "cd /v; show in/secret config podname memory_limit; show /w/in/secret"
    assert box.output("pod", script, source, source, resources=RESOURCES) == [
        "in/secret=s3cret:644:0", "config=value:400:0", "podname=pod:644:0", f"memory_limit={64 << 20}:644:0", "/w/in/secret=s3cret:644:0",
    ]  # fmt: skip


def test_projected_modes(box):
    """C367, C368, C371, C386, C388."""
    box.apply("Secret", "secret", data={"key": encoded("s3cret")})
    box.apply("ConfigMap", "config", **CONFIG)
    mapped = {"configMap": {"name": "config", "items": [{"key": "key", "path": "at/mapped"}]}}
    open_, closed = (
        {
            "projected": {
                "sources": [
                    {"secret": {"name": "secret", "items": [{"key": "key", "path": "s"}]}},
                    {"configMap": {"name": "config"}},
                    mapped,
                ],
                **more,
            }
        }
        for more in ({}, {"defaultMode": 0o400})
    )
    assert box.output("root", "show /v/s /v/key /w/s /w/key", open_, closed) == [
        "/v/s=s3cret:644:0", "/v/key=value:644:0", "/w/s=s3cret:400:0", "/w/key=value:400:0",
    ]  # fmt: skip
    user = box.output("user", "show /v/key /v/at/mapped", open_, pod={"securityContext": {"runAsUser": 1000}})
    assert user == ["/v/key=value:644:0", "/v/at/mapped=value:644:0"]


def sources_of(kind):
    """An optional volume of a kind: plain, then projected."""
    named = {"configMap": "ConfigMap", "secret": "Secret"}[kind]
    plain = {kind: {"secretName" if kind == "secret" else "name": "data", "optional": True}}
    return named, plain, {"projected": {"sources": [{kind: {"name": "data", "optional": True}}]}}


@pytest.mark.parametrize("kind", ["configMap", "secret"])
@pytest.mark.parametrize("projected", [False, True], ids=["plain", "projected"])
def test_optional_sources_appear_change_and_vanish(box, kind, projected):
    """C365, C373, C385, C392."""
    named, plain, wrapped = sources_of(kind)

    def put(value):
        box.apply(named, "data", data={"key": encoded(value) if kind == "secret" else value})

    box.start("pod", "echo begun; " + FOLLOW, wrapped if projected else plain)
    box.shows("pod", "begun")
    put("value-1")
    box.shows("pod", "now ./key=value-1;")
    put("value-2")
    box.shows("pod", "now ./key=value-2;")
    box.pods.kubectl("delete", named, "data")
    box.shows("pod", "now ")


def test_a_token_of_the_service_account(box):
    """C154: made by a TokenRequest, for the audience asked for, bound to the pod."""
    box.apply("ServiceAccount", "app")
    token = {"serviceAccountToken": {"path": "token", "expirationSeconds": 600, "audience": "vault"}}
    box.start(
        "pod",
        "busybox cat /v/token; echo; busybox sleep 1000",
        {"projected": {"sources": [token]}},
        pod={"serviceAccountName": "app"},
    )
    box.pods.until_ready("pod")
    token = box.pods.until(lambda: box.pods.logs("pod").strip())
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "metadata": {}}

    def worth(audience):
        body = json.dumps({**review, "spec": {"token": token, "audiences": [audience]}})
        return json.loads(box.pods.kubectl("create", "-f", "-", "-o", "json", text=body))["status"]

    found = worth("vault")
    assert found["user"]["username"] == f"system:serviceaccount:{box.pods.namespace}:app"
    assert found["user"]["extra"]["authentication.kubernetes.io/pod-name"] == ["pod"]
    assert not worth("other").get("authenticated")
    box.pods.kubectl("delete", "pod", "pod")
    box.pods.until(lambda: not worth("vault").get("authenticated"))


def test_subpaths_of_files(box):
    """C403, C404, C406: over an existing file, of a downwardAPI volume, of a Secret."""
    box.apply("ConfigMap", "config", data={"passwd": "mine"})
    box.apply("Secret", "secret", data={"key": encoded("s3cret")})
    sources = (
        {"configMap": {"name": "config"}},
        {"downwardAPI": {"items": [{"path": "in/name", "fieldRef": {"fieldPath": "metadata.name"}}]}},
        {"secret": {"secretName": "secret"}},
    )
    mounts = [
        {"name": "vol0", "mountPath": "/etc/passwd", "subPath": "passwd"},
        {"name": "vol1", "mountPath": "/name", "subPath": "in/name"},
        {"name": "vol2", "mountPath": "/key", "subPath": "key"},
    ]
    script = "for f in /etc/passwd /name /key; do busybox cat $f; echo; done"
    assert box.output("pod", script, *sources, volumeMounts=mounts) == ["mine", "pod", "s3cret"]


def test_subpaths_are_made_and_shared(box):
    """A directory that is absent is made as the volume is; `subPathExpr` takes the container's variables."""
    env = [{"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]
    mounts = [
        {"name": "vol0", "mountPath": "/one", "subPathExpr": "logs/$(POD)"},
        {"name": "vol0", "mountPath": "/all"},
        {"name": "vol0", "mountPath": "/ro", "subPath": "logs", "readOnly": True},
    ]
    script = "echo hi > /one/f; busybox cat /all/logs/pod/f /ro/pod/f; busybox stat -c %a /all/logs/pod; (echo > /ro/x) 2>/dev/null || echo readonly"
    found = box.output(
        "pod", script, {"emptyDir": {}}, volumeMounts=mounts, env=env, pod={"securityContext": {"runAsUser": 1000}}
    )
    assert (found[:3], "readonly" in found) == (["hi", "hi", "777"], True)


@pytest.mark.parametrize("value", ["/tmp", "..", "a/../../b", "`x`"])
def test_a_subpath_expression_that_leads_away_never_starts(box, value):
    """C304, C305."""
    mounts = [{"name": "vol0", "mountPath": "/one", "subPathExpr": "$(WHERE)"}]
    box.start("pod", "echo begun", {"emptyDir": {}}, volumeMounts=mounts, env=[{"name": "WHERE", "value": value}])
    box.pods.until(
        lambda: box.pods.main("pod")["state"].get("waiting", {}).get("reason") == "CreateContainerConfigError"
    )
    assert "begun" not in box.pods.logs("pod")


def test_a_corrected_subpath_expression_starts(box):
    """C307."""
    env = [{"name": "WHERE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.annotations['where']"}}}]
    mounts = [{"name": "vol0", "mountPath": "/one", "subPathExpr": "$(WHERE)"}, {"name": "vol0", "mountPath": "/all"}]
    volumes = [{"name": "vol0", "emptyDir": {}}]
    body = {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod", "annotations": {"where": "/bad"}},
        "spec": {"restartPolicy": "Never", "volumes": volumes, "containers": [box.container("busybox ls /all", env=env, volumeMounts=mounts)]},
    }  # fmt: skip
    box.pods.kubectl("create", "-f", "-", text=json.dumps(body))
    box.pods.until(
        lambda: box.pods.main("pod")["state"].get("waiting", {}).get("reason") == "CreateContainerConfigError"
    )
    box.pods.kubectl("annotate", "pod", "pod", "where=good", "--overwrite")
    box.pods.until_phase("pod", "Succeeded")
    assert box.pods.logs("pod").split() == ["good"]


def test_what_is_missing_is_waited_for_by_its_own_pod_only(box):
    """Bad input: the event that users know, a pod that waits, another that runs; then it comes."""
    box.start("pod", "show /v/key", {"configMap": {"name": "late"}})
    box.start("keyless", "show /v/k", {"configMap": {"name": "config", "items": [{"key": "nokey", "path": "k"}]}})
    box.apply("ConfigMap", "config", **CONFIG)
    box.waits_for("pod", 'MountVolume.SetUp failed for volume "vol0" : configmap "late" not found')
    box.waits_for("keyless", "references non-existent config key: nokey")
    assert box.output("other", "show /v/key", {"configMap": {"name": "config"}}) == ["/v/key=value:644:0"]
    box.apply("ConfigMap", "late", data={"key": "here"})
    box.pods.until_phase("pod", "Succeeded")
    assert box.pods.logs("pod").splitlines() == ["/v/key=here:644:0"]


def test_volumes_that_nobody_serves_are_named(box):
    box.start("pod", "echo begun", {"iscsi": {"targetPortal": "192.0.2.1", "iqn": "iqn.2001-04.example:x", "lun": 0}})
    box.waits_for("pod", "no volume plugin matched", "iscsi")


def test_hostpath_types(box, tmp_path):
    (tmp_path / "file").write_text("host")
    ok = (
        {"hostPath": {"path": str(tmp_path / "file"), "type": "File"}},
        {"hostPath": {"path": str(tmp_path / "new"), "type": "DirectoryOrCreate"}},
        {"hostPath": {"path": "/dev/null", "type": "CharDevice"}},
    )
    assert box.output("pod", "busybox cat /v; echo; echo there > /w/f; busybox stat -c %F /x", *ok)[0] == "host"
    assert (tmp_path / "new/f").read_text() == "there\n"
    box.start("wrong", "echo begun", {"hostPath": {"path": str(tmp_path / "file"), "type": "Directory"}})
    box.waits_for("wrong", f"hostPath type check failed: {tmp_path / 'file'} is not a directory")
    assert (tmp_path / "file").read_text() == "host"


SWAP = """
busybox mkdir -p /v/real/host; busybox ln -s / /v/link; echo mine > /v/real/host/canary
while :; do
  busybox mv /v/real /v/sub 2>/dev/null; busybox mv /v/sub /v/real 2>/dev/null
  busybox ln -sfn / /v/sub 2>/dev/null; busybox rm -f /v/sub
done
"""


def test_n67_a_container_that_swaps_directories_and_symlinks_never_sees_the_host(box):
    """N67: its neighbour mounts the swapped path by subPath, again and again."""
    canary = Path("/host")
    assert not canary.exists()
    named = {"name": "vol0", "emptyDir": {}}
    swap = box.container(SWAP, "swap", volumeMounts=[{"name": "vol0", "mountPath": "/v"}])
    look = [
        box.container(
            "busybox ls /x | busybox tr '\\n' ' '; echo; exit 1",
            f"look{i}",
            volumeMounts=[{"name": "vol0", "mountPath": "/x", "subPath": "sub"}],
        )
        for i in range(8)
    ]
    box.pods.create("pod", swap, *look, volumes=[named])

    def tried():
        found = box.pods.status("pod").get("containerStatuses") or []
        return sum(s["restartCount"] + bool(s["state"].get("waiting")) for s in found if s["name"] != "swap") >= 8

    box.pods.until(tried, timeout=120)
    for i in range(8):
        for more in ((), ("--previous",)):
            shown = box.pods.logs("pod", "-c", f"look{i}", *more)
            assert not {"bin", "etc", "proc", "root"} & set(shown.split()), shown


def test_a_killed_agent_finds_its_volumes_again(box):
    """Recovery: mounts stay, content is refreshed afterwards, nothing leaks (checked by the fixture)."""
    box.apply("ConfigMap", "config", data={"key": "one"})
    box.apply("Secret", "secret", data={"key": encoded("x")})
    box.start(
        "pod",
        FOLLOW,
        {"configMap": {"name": "config"}},
        {"secret": {"secretName": "secret"}},
        {"emptyDir": {"medium": "Memory"}},
    )
    box.shows("pod", "now ./key=one;")
    cluster = box.pods.cluster
    os.kill(cluster.process("hostagent"), 9)
    box.apply("ConfigMap", "config", data={"key": "two"})
    cluster.up()
    box.shows("pod", "now ./key=two;")
    assert box.pods.main("pod")["restartCount"] == 0


def test_pods_that_went_while_the_agent_was_away_leave_nothing(box):
    """Orphans: mounts and directories of a pod that was deleted meanwhile are removed (checked by the fixture)."""
    box.apply("Secret", "secret", data={"key": encoded("x")})
    box.start("pod", "busybox sleep 1000", {"secret": {"secretName": "secret"}}, {"emptyDir": {"medium": "Memory"}})
    box.pods.until_ready("pod")
    cluster = box.pods.cluster
    os.kill(cluster.process("hostagent"), 9)
    box.pods.kubectl("delete", "pod", "pod", "--force", "--grace-period=0")
    cluster.up()
    (uid,) = box.pods.uids
    box.pods.until(lambda: not (cluster.data_dir / "agent/node1/pods" / uid).exists())
