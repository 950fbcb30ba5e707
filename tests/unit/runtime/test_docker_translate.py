"""Between CRI's words and Docker's."""

import platform
import struct

import pytest

from windlass.plugin.interfaces.runtime import ContainerConfig, ContainerResources, ContainerState, SandboxConfig
from windlass_runtime import pause
from windlass_runtime.docker import logs, translate
from windlass_runtime.docker.translate import Place


def attrs(**state):
    return {
        "Id": "abc",
        "Created": "2026-01-01T00:00:00.5Z",
        "Image": "sha256:1",
        "Config": {"Image": "app:1", "Labels": {translate.NAME: "main", translate.ATTEMPT: "2", "x": "y"}},
        "HostConfig": {"NetworkMode": "none"},
        "State": {
            "Status": "exited",
            "StartedAt": "2026-01-01T00:00:01Z",
            "FinishedAt": "2026-01-01T00:00:02Z",
            **state,
        },
    }


def test_limits_become_cgroup_values():
    resources = ContainerResources(cpu_request_millis=250, cpu_limit_millis=500, memory_limit_bytes=1 << 26)
    host = translate.host_config(ContainerConfig("c", 0, "i", resources=resources), Place("n", sandbox_id="sb"))
    assert (host["CpuShares"], host["CpuQuota"], host["CpuPeriod"]) == (256, 50_000, 100_000)
    assert host["Memory"] == host["MemorySwap"] == 1 << 26
    assert host["NetworkMode"] == "container:sb"


def test_no_limits_set_none():
    host = translate.host_config(ContainerConfig("c", 0, "i"), Place("n", 0, sandbox_id="sb"))
    assert not {"Memory", "CpuQuota", "PidsLimit"} & host.keys()


def test_command_and_args_replace_the_images():
    """C233, C235, C236."""
    plain = translate.container_body(ContainerConfig("c", 0, "i"), Place("n", 0, sandbox_id="sb"))
    assert not {"Entrypoint", "Cmd"} & plain.keys()
    args = translate.container_body(ContainerConfig("c", 0, "i", args=["a"]), Place("n", 0, sandbox_id="sb"))
    assert args["Cmd"] == ["a"]
    assert "Entrypoint" not in args
    command = translate.container_body(ContainerConfig("c", 0, "i", command=["c"]), Place("n", 0, sandbox_id="sb"))
    assert command["Entrypoint"] == ["c"]


def test_host_network_sandboxes_have_no_namespace():
    body = translate.sandbox_body(SandboxConfig("p", "d", "u", hostname="h", host_network=True), Place("n", 0))
    assert body["HostConfig"]["NetworkMode"] == "host"
    assert "Hostname" not in body


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({"Running": True, "Status": "running"}, (ContainerState.RUNNING, 0, "")),
        ({"ExitCode": 0}, (ContainerState.EXITED, 0, "Completed")),
        ({"ExitCode": 3}, (ContainerState.EXITED, 3, "Error")),
        ({"ExitCode": 137, "OOMKilled": True}, (ContainerState.EXITED, 137, "OOMKilled")),
        ({"Status": "created"}, (ContainerState.CREATED, 0, "")),
        ({"Status": "created", "ExitCode": 127, "Error": "no such file"}, (ContainerState.EXITED, 127, "StartError")),
    ],
)
def test_states(state, expected):
    status = translate.container_status(attrs(**state))
    assert (status.state, status.exit_code, status.reason) == expected
    assert (status.name, status.attempt, status.labels["x"]) == ("main", 2, "y")


def test_times():
    assert translate.parse_time("0001-01-01T00:00:00Z") == 0
    assert translate.parse_time("1970-01-01T00:00:01.500000000Z") == 1.5


def test_log_frames_may_be_cut_anywhere():
    entry = b"2026-01-01T00:00:00.000000000Z hello\n"
    raw = struct.pack(">BxxxI", 2, len(entry)) + entry
    parser = logs.FrameParser()
    found = [frame for byte in raw for frame in parser.feed(bytes([byte]))]
    assert found == [("stderr", entry)]
    line = logs.parse_line(*found[0])
    assert (line.timestamp, line.content) == ("2026-01-01T00:00:00.000000000Z", b"hello\n")


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_pause_program_is_a_small_static_elf(machine):
    program = pause.pause_program(machine)
    assert program.startswith(b"\x7fELF")
    assert len(program) < 200
    assert pause.pause_layer(machine) == pause.pause_layer(machine)
    assert platform.machine()
