"""A Docker daemon of one's own, for tests: own data, sockets and containerd, no bridge and no firewall rules.

    with PrivateDockerd.temporary() as dockerd:
        dockerd.import_busybox()
        driver = build({"endpoint": dockerd.endpoint, "node_name": "n"})

Needs root and `dockerd`. The shared daemon of the machine, if there is one, is never touched.
"""

import io
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

BUSYBOX_PATHS = ("/bin/busybox", "/usr/bin/busybox")
START_SECONDS = 60.0
APPLETS = ("sh", "sleep", "cat", "echo", "httpd", "ls", "true", "false", "wget", "nc", "id", "ip", "ping", "env", "seq")


def busybox_path() -> Path | None:
    """Return the static busybox of this machine (Debian: package busybox-static); None when there is none."""
    return next((Path(p) for p in BUSYBOX_PATHS if Path(p).is_file()), None)


def busybox_layer() -> bytes:
    """Return a tar of a root file system that holds busybox and its usual names. Raises FileNotFoundError."""
    binary = busybox_path()
    if binary is None:
        raise FileNotFoundError("no busybox on this machine: install busybox-static")
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name in ("bin", "etc", "tmp", "proc", "sys", "dev"):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            tar.addfile(folder)
        program = binary.read_bytes()
        info = tarfile.TarInfo("bin/busybox")
        info.size, info.mode = len(program), 0o755
        tar.addfile(info, io.BytesIO(program))
        for applet in APPLETS:
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        passwd = b"root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
        users = tarfile.TarInfo("etc/passwd")
        users.size = len(passwd)
        tar.addfile(users, io.BytesIO(passwd))
    return out.getvalue()


@dataclass(slots=True)
class PrivateDockerd:
    """One daemon under `root`, which should be a short path: socket names are limited to 107 bytes.

    With `separate_containerd` its containerd is a process of its own, as service managers run it: then containers outlive
    the daemon's death, and are there for its next start. Otherwise the daemon starts one that dies with it.
    """

    root: Path
    separate_containerd: bool = False
    process: subprocess.Popen[bytes] | None = field(default=None)
    containerd: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self.root / "docker.sock"

    @property
    def endpoint(self) -> str:
        """Return the address for a client, `unix://...`."""
        return f"unix://{self.socket}"

    @property
    def log(self) -> Path:
        """Where the daemon writes."""
        return self.root / "dockerd.log"

    @classmethod
    @contextmanager
    def temporary(cls, *, separate_containerd: bool = False) -> "Iterator[PrivateDockerd]":
        """Run a daemon for the length of the block and leave nothing behind."""
        root = Path(tempfile.mkdtemp(prefix="wd-"))
        daemon = cls(root, separate_containerd)
        try:
            daemon.start()
            yield daemon
        finally:
            daemon.remove_containers()
            daemon.stop()
            shutil.rmtree(root, ignore_errors=True)

    def start(self) -> None:
        """Start and wait until it answers. Raises RuntimeError with the end of its log."""
        self.root.mkdir(parents=True, exist_ok=True)
        arguments = [
            "dockerd",
            f"--data-root={self.root}/data",
            f"--exec-root={self.root}/exec",
            f"--pidfile={self.root}/docker.pid",
            f"--host={self.endpoint}",
            "--bridge=none",
            "--iptables=false",
            "--ip6tables=false",
            "--ip-forward=false",
        ]
        if self.separate_containerd:
            arguments.append(f"--containerd={self._start_containerd()}")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(arguments, stdout=log, stderr=log, start_new_session=True)  # noqa: S603
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"dockerd did not start: {self.log.read_text()[-2000:]}")
            time.sleep(0.05)

    def _start_containerd(self) -> Path:
        """Start containerd unless it runs; return its socket. Raises RuntimeError."""
        home = self.root / "containerd"
        home.mkdir(exist_ok=True)
        address = home / "containerd.sock"
        if self.containerd is not None and self.containerd.poll() is None:
            return address
        address.unlink(missing_ok=True)
        config = home / "config.toml"
        config.write_text(
            f'version = 2\nroot = "{home}/root"\nstate = "{home}/state"\n'
            f'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\naddress = "{address}"\n'
        )
        with self.log.open("ab") as log:
            command = ["containerd", "--config", str(config)]
            self.containerd = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)  # noqa: S603
        deadline = time.monotonic() + START_SECONDS
        while not address.exists():
            if self.containerd.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"containerd did not start: {self.log.read_text()[-2000:]}")
            time.sleep(0.05)
        return address

    def _docker(self, *arguments: str, stdin: bytes | None = None) -> "subprocess.CompletedProcess[bytes]":
        command = ["docker", "-H", self.endpoint, *arguments]
        return subprocess.run(command, input=stdin, capture_output=True, check=False, timeout=60)  # noqa: S603

    def answers(self) -> bool:
        """Say whether the daemon answers."""
        return self.socket.exists() and self._docker("version").returncode == 0

    def docker(self, *arguments: str) -> str:
        """Run `docker` against this daemon and return what it prints. Raises RuntimeError."""
        done = self._docker(*arguments)
        if done.returncode != 0:
            raise RuntimeError(f"docker {' '.join(arguments)}: {done.stderr.decode()}")
        return done.stdout.decode()

    def import_busybox(self, image: str = "busybox:local") -> None:
        """Make an image of this machine's static busybox. Raises RuntimeError."""
        done = self._docker("import", "--change", 'CMD ["sh"]', "-", image,
                            stdin=busybox_layer())  # fmt: skip
        if done.returncode != 0:
            raise RuntimeError(f"docker import: {done.stderr.decode()}")

    def remove_containers(self) -> None:
        """Remove every container of this daemon, if it still answers."""
        if self.process is None or self.process.poll() is not None or not self.answers():
            return
        ids = self.docker("ps", "-aq").split()
        if ids:
            self._docker("rm", "-f", *ids)

    def kill(self) -> None:
        """Kill the daemon, as a crash does; its containers run on or die as the daemon decides."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def power_off(self) -> None:
        """End everything at once, containers too, and lose what a machine keeps in memory: what a power failure does."""
        self.kill()
        if self.containerd is not None:
            self.containerd.kill()
            self.containerd.wait()
            self.containerd = None
        for shim in _shims(self.root):
            for pid in (*_children(shim), shim):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self._unmount()
        for volatile in ("exec", "containerd/state", "docker.pid"):
            path = self.root / volatile
            path.unlink() if path.is_file() else shutil.rmtree(path, ignore_errors=True)

    def stop(self) -> None:
        """End the daemon and unmount what it left."""
        for process in (self.process, self.containerd):
            if process is not None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
        self.process = self.containerd = None
        self._unmount()

    def _unmount(self) -> None:
        mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
        for mount in sorted((m for m in mounts if m.startswith(f"{self.root}/")), reverse=True):
            subprocess.run(["umount", "-l", mount], check=False, capture_output=True)  # noqa: S603, S607


def _shims(root: Path) -> list[int]:
    """Return the processes that hold the containers of a daemon under `root`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = path.read_bytes().split(b"\0")
            if b"containerd-shim" in words[0] and any(os.fsencode(f"{root}/") in word for word in words):
                found.append(int(path.parent.name))
    return found


def _children(pid: int) -> list[int]:
    with suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []
