"""The process runtime's small parts: logs, cgroup files, identities, frames, translation. No container runs."""

import asyncio
import os
import signal

import pytest

from windlass.errors import RuntimeDriverError
from windlass.plugin.interfaces.runtime import ContainerConfig, ContainerResources, Device, Mount, SandboxConfig
from windlass_runtime.process import cgroups, frames, identity, stats, translate
from windlass_runtime.process.crilog import MAX_PIECE, LogWriter, rotated
from windlass_runtime.process.events import DirectoryWatch
from windlass_runtime.process.images import LocalImage
from windlass_runtime.process.logfile import LogReader, Wanted, read_log

HOST = LocalImage("sha256:1", "host", "/", (), {}, 0)


async def over():
    return True


async def read(path, **wanted):
    return [line async for line in read_log(path, Wanted(**wanted), watch=None, ended=over)]


@pytest.fixture
def log(tmp_path):
    return tmp_path / "container.log"


async def test_a_log_is_read_as_it_was_written(log):
    writer = LogWriter(log)
    writer.feed("stdout", b"one\ntw")
    writer.feed("stderr", b"bad\n")
    writer.feed("stdout", b"o\n\nend")
    writer.flush()
    found = [(line.stream, line.content) for line in await read(log)]
    expected = [
        ("stdout", b"one\n"),
        ("stderr", b"bad\n"),
        ("stdout", b"two\n"),
        ("stdout", b"\n"),
        ("stdout", b"end\n"),
    ]
    assert found == expected
    assert [line.content for line in await read(log, tail=2)] == [b"\n", b"end\n"]
    assert await read(log, since=4e9) == []


async def test_one_endless_line_is_cut_and_rotated(log):
    """N69: however long a line, memory and disk stay bounded, and no byte that is kept is changed."""
    writer = LogWriter(log, rotate_bytes=1 << 18, max_files=3)
    for _ in range(64):
        writer.feed("stdout", b"x" * 65536)
        assert len(writer._partial["stdout"]) <= MAX_PIECE
    parts = [log, *(rotated(log, n) for n in range(1, 5))]
    assert [part.exists() for part in parts] == [True, True, True, False, False]
    assert all(part.stat().st_size <= (1 << 18) + 2 * 65536 for part in parts if part.exists())
    assert all(set(line.content) == {ord("x")} for line in await read(log))


async def test_rotated_parts_are_read_in_order(log):
    writer = LogWriter(log, rotate_bytes=500, max_files=10)
    for number in range(40):
        writer.feed("stdout", f"line {number}\n".encode())
    assert [line.content for line in await read(log)] == [f"line {n}\n".encode() for n in range(40)]
    assert [line.content for line in await read(log, tail=1)] == [b"line 39\n"]


async def test_a_log_that_is_a_symlink_is_neither_read_nor_written(log, tmp_path):
    """N69."""
    secret = tmp_path / "secret"
    secret.write_text("2026-01-01T00:00:00.000000000Z stdout F secret\n")
    log.symlink_to(secret)
    assert await read(log) == []
    writer = LogWriter(log)
    writer.feed("stdout", b"mine\n")
    assert [line.content for line in await read(log)] == [b"mine\n"]
    assert "mine" not in secret.read_text()


async def test_a_log_that_becomes_a_fifo_hangs_nobody(log):
    """N69."""
    writer = LogWriter(log, rotate_bytes=100)
    writer.feed("stdout", b"before\n")
    log.unlink()
    os.mkfifo(log)
    assert await read(log) == []
    for _ in range(5):
        writer.feed("stdout", b"y" * 50 + b"\n")
    assert [line.content[:1] for line in await read(log)][-1:] == [b"y"]


async def test_foreign_and_endless_content_is_skipped(log):
    """N69: binary, and ten megabytes without an end of line."""
    log.write_bytes(
        os.urandom(1 << 16) + b"\n" + b"z" * (10 << 20) + b"\n2026-01-01T00:00:00.000000000Z stdout F good\n"
    )
    reader = LogReader(log)
    assert [line.content for line in reader.read()][-1] == b"good\n"
    reader.close()


async def test_the_last_lines_of_an_endless_file(log):
    """N69: a file of ten gigabytes costs no more than its end."""
    line = b"2026-01-01T00:00:00.000000000Z stdout F "
    with log.open("wb") as file:
        file.truncate(10 << 30)
        file.seek(0, os.SEEK_END)
        file.write(b"".join(b"\n" + line + str(n).encode() for n in range(100)) + b"\n")
    assert [found.content for found in await read(log, tail=2)] == [b"98\n", b"99\n"]


async def test_following_ends_with_the_container(log):
    writer, watch, state = LogWriter(log), DirectoryWatch(), {"ended": False}

    async def ended():
        return state["ended"]

    async def follow():
        return [line.content async for line in read_log(log, Wanted(), watch=watch, ended=ended)]

    writer.feed("stdout", b"one\n")
    following = asyncio.ensure_future(follow())
    async with asyncio.timeout(20):
        await asyncio.sleep(0)
        writer.feed("stdout", b"two\n")
        await asyncio.sleep(0.01)
        state["ended"] = True
        (log.parent / "exit.json").write_text("{}")
        assert await following == [b"one\n", b"two\n"]
    watch.close()


async def test_a_full_disk_loses_output_and_nothing_else(log, monkeypatch):
    """N71: the shim lives on."""
    writer = LogWriter(log)

    def full(*_args):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("windlass_runtime.process.crilog.os.write", full)
        writer.feed("stdout", b"lost\n")
    writer.feed("stdout", b"kept\n")
    assert [line.content for line in await read(log)] == [b"kept\n"]


RESOURCES = {"cpu_request_millis": 500, "cpu_limit_millis": 1500, "memory_limit_bytes": 1 << 26, "pids_limit": 42}


def test_limits_of_both_versions():
    one = cgroups.limits_v1(RESOURCES)
    assert one["cpu"] == {"cpu.shares": "512", "cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "150000"}
    assert one["pids"] == {"pids.max": "42"}
    two = cgroups.limits_v2(RESOURCES)
    assert two["cpu.max"] == "150000 100000"
    assert two["memory.max"] == str(1 << 26)
    assert two["pids.max"] == "42"
    assert cgroups.limits_v2({}) == {}


@pytest.fixture
def unified(tmp_path):
    root = tmp_path / "cgroup"
    root.mkdir()
    (root / "cgroup.controllers").write_text("cpu memory pids")
    return root


def test_a_group_of_version_2(unified):
    group = cgroups.group_of("/kubepods/burstable/pod1", "c1")
    cgroups.create(group, RESOURCES, None, unified)
    made = unified / "kubepods/burstable/pod1/c1"
    assert (made / "pids.max").read_text() == "42"
    assert not (made / "memory.swap.max").exists(), "the kernel of this machine accounts no swap"
    assert (unified / "kubepods/burstable/cgroup.subtree_control").read_text() == "+cpu +memory +pids"
    cgroups.join(group, 123, unified)
    assert (made / "cgroup.procs").read_text() == "123"
    (made / "memory.events").write_text("low 0\noom 2\noom_kill 1\n")
    assert cgroups.oom_kills(group, unified) == 1


def test_a_group_of_version_1(tmp_path):
    for controller in ("cpu", "memory", "pids"):
        (tmp_path / controller).mkdir()
    cgroups.create("windlass/c1", RESOURCES, None, tmp_path)
    assert (tmp_path / "memory/windlass/c1/memory.limit_in_bytes").read_text() == str(1 << 26)
    (tmp_path / "pids").rename(tmp_path / "gone")
    with pytest.raises(OSError, match="no cgroup controller pids"):
        cgroups.create("windlass/c2", RESOURCES, None, tmp_path)


@pytest.mark.parametrize("parent", ["../escape", "a/../../b", "./a"])
def test_a_parent_that_leads_elsewhere(parent):
    with pytest.raises(ValueError, match="plain path"):
        cgroups.group_of(parent, "c")


def test_usage_of_version_2(unified):
    group = unified / "windlass/c1"
    group.mkdir(parents=True)
    (group / "cpu.stat").write_text("usage_usec 1500\nuser_usec 1000\n")
    (group / "memory.current").write_text("1000\n")
    (group / "memory.stat").write_text("anon 300\ninactive_file 400\n")
    (group / "pids.current").write_text("3\n")
    assert stats.group_usage("windlass/c1", unified) == stats.Usage(1_500_000, 1000, 600, 300, 3)
    assert stats.group_usage("windlass/none", unified) == stats.Usage()


def test_disk_usage_counts_hard_links_once(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * 8192)
    before = stats.disk_usage(tmp_path)
    os.link(tmp_path / "a", tmp_path / "b")
    assert stats.disk_usage(tmp_path) == before >= 8192


def test_usage_without_groups_is_the_sessions():
    assert stats.session_usage(os.getsid(0)).pids >= 1


@pytest.fixture
def etc(tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text(
        "root:x:0:0::/root:/bin/sh\nweb:x:33:34::/var/www:/bin/sh\nbroken\nbad:x:y:z::/:\n"
    )
    (tmp_path / "etc/group").write_text("root:x:0:\nwww:x:34:\nextra:x:50:web,other\n")
    return tmp_path


def test_users_by_name_and_number(etc):
    web = identity.Identity(33, 34, (34, 50), "/var/www")
    assert identity.resolve("web", [], etc) == web
    assert identity.resolve("33", [], etc) == web
    assert identity.resolve("web:extra", [], etc).gid == 50
    assert identity.resolve("1234:99", [7], etc) == identity.Identity(1234, 99, (7, 99), "/")
    assert identity.resolve("", [2000], etc) == identity.Identity(0, 0, (0, 2000), "/root")


@pytest.mark.parametrize("user", ["nobody-here", "web:no-group", "bad"])
def test_unknown_users_are_named(etc, user):
    with pytest.raises(OSError, match="no matching entries"):
        identity.resolve(user, [], etc)


def test_an_image_without_users(tmp_path):
    assert identity.resolve("7:8", [], tmp_path) == identity.Identity(7, 8, (8,), "/")
    (tmp_path / "etc").mkdir()
    os.mkfifo(tmp_path / "etc/passwd")
    assert identity.resolve("7:8", [], tmp_path).uid == 7


def test_frames_are_cut_wherever_they_come_apart():
    sent = frames.frame(frames.STDOUT, b"hello") + frames.frame(frames.EXIT, frames.CODE.pack(-3))
    reader = frames.FrameReader()
    got = [message for at in range(len(sent)) for message in reader.feed(sent[at : at + 1])]
    assert got == [(frames.STDOUT, b"hello"), (frames.EXIT, frames.CODE.pack(-3))]
    with pytest.raises(ValueError, match="a message of"):
        list(frames.FrameReader().feed(frames.HEADER.pack(0, 1 << 30)))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("SIGTERM", 15),
        ("QUIT", 3),
        ("9", 9),
        ("sigint", 2),
        ("SIGRTMIN+3", signal.SIGRTMIN + 3),
        ("", 15),
        ("DANCE", 15),
        ("999", 15),
    ],
)
def test_stop_signals(text, number):
    assert translate.stop_signal(text) == number


def sandbox(**options):
    return SandboxConfig("web", "default", "u", **options)


def test_sysctls_need_a_namespace_of_the_pods_own():
    translate.sandbox_record(sandbox(sysctls={"net.core.somaxconn": "1", "kernel.shmmax": "2"}), isolated=True)
    for options in (
        {"sysctls": {"kernel.panic": "1"}},
        {"sysctls": {"net.core.somaxconn": "1"}, "host_network": True},
        {"sysctls": {"kernel.shmmax": "1"}, "host_ipc": True},
        {"sysctls": {"net.../../kernel.panic": "1"}},
    ):
        with pytest.raises(RuntimeDriverError) as caught:
            translate.sandbox_record(sandbox(**options), isolated=True)
        assert caught.value.reason == "SysctlForbidden"


def container(**options):
    chosen = {"command": ["run"], **options}
    return ContainerConfig("main", 0, "host", **chosen)


def record(isolated=True, **options):
    return translate.container_record(container(**options), HOST, {}, translate.Settings(isolated=isolated))


def test_a_commands_words_come_from_the_image_unless_given():
    image = {"Entrypoint": ["e"], "Cmd": ["c"]}
    assert translate.command_line(container(command=None), image) == ["e", "c"]
    assert translate.command_line(container(command=None, args=["a"]), image) == ["e", "a"]
    assert translate.command_line(container(command=["x"]), image) == ["x"]
    with pytest.raises(RuntimeDriverError, match="no command specified"):
        record(command=None)


def test_what_the_node_cannot_give_is_named():
    for options, message in (
        ({"add_capabilities": ["DANCE"]}, "CAP_DANCE"),
        ({"devices": [Device("/dev/no-such", "/dev/x")]}, "no-such"),
        ({"apparmor_profile": "localhost/mine"}, "AppArmor"),
    ):
        with pytest.raises(RuntimeDriverError, match=message) as caught:
            record(**options)
        assert caught.value.reason == "CreateContainerError"


def test_plain_processes_refuse_what_needs_root():
    assert record(isolated=False, mounts=[Mount("/tmp/x", "/dev/termination-log")])["namespaces"] is False
    with pytest.raises(RuntimeDriverError, match="volumes need root"):
        record(isolated=False, mounts=[Mount("/tmp", "/data")])


def test_a_default_pids_bound():
    """N72."""
    settings = translate.Settings(pids_limit=99)
    assert translate.container_record(container(), HOST, {}, settings)["resources"]["pids_limit"] == 99
    mine = container(resources=ContainerResources(pids_limit=7))
    assert translate.container_record(mine, HOST, {}, settings)["resources"]["pids_limit"] == 7
