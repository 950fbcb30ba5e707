"""Pods started per second by the `process` runtime, beside a bare loop of `runc run` of the same container.

    python bench/process_runtime.py [--pods 100] [--at-once 4]

A pod is a sandbox with its own network namespace and one container of busybox from an image; it counts when its
container runs. runc gets a bundle whose specification is its own default (`runc spec`) and does the same work: network,
mount, pid, ipc and uts namespaces, a cgroup, a seccomp filter of its own when the specification has one. Both are also
run one at a time. Afterwards: what a running pod costs, in memory of its shim, and commands per second.
"""

import argparse
import asyncio
import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
import time
from pathlib import Path

from windlass.plugin.interfaces.runtime import ContainerConfig, SandboxConfig
from windlass.testing.dockerd import busybox_layer
from windlass_runtime.process.driver import build

COMMAND = ["sleep", "1000"]


async def start_pod(driver, number):
    sandbox = await driver.run_pod_sandbox(SandboxConfig(f"p{number}", "bench", f"uid-{number}", hostname=f"p{number}"))
    container = await driver.create_container(sandbox, ContainerConfig("main", 0, "busybox:bench", command=COMMAND))
    await driver.start_container(container)
    return sandbox, container


async def many(driver, first, count, at_once):
    gate = asyncio.Semaphore(at_once)

    async def one(number):
        async with gate:
            return await start_pod(driver, number)

    began = time.perf_counter()
    pods = await asyncio.gather(*(one(first + n) for n in range(count)))
    return count / (time.perf_counter() - began), pods


def private_kilobytes(pid):
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    fields = dict(line.split(":", 1) for line in text.splitlines()[1:])
    return sum(int(fields[name].split()[0]) for name in ("Private_Clean", "Private_Dirty")), int(
        fields["Pss"].split()[0]
    )


async def windlass(root, count, at_once):
    driver = build({"state_dir": str(root)})
    await driver.start()
    rootfs = root / "images" / "busybox%3Abench" / "rootfs"
    rootfs.mkdir(parents=True)
    with tarfile.open(fileobj=io.BytesIO(busybox_layer())) as tar:
        tar.extractall(rootfs, filter="fully_trusted")
    pods = []
    try:
        await many(driver, 0, 1, 1)
        one_rate, started = await many(driver, 1000, count, 1)
        pods += started
        many_rate, started = await many(driver, 2000, count, at_once)
        pods += started
        shims = [json.loads((root / "containers" / c / "run.json").read_text())["shim"] for _, c in pods]
        sizes = [private_kilobytes(pid) for pid in shims]
        began = time.perf_counter()
        for _ in range(100):
            await driver.exec_sync(pods[0][1], ["true"], timeout_seconds=10)
        execs = 100 / (time.perf_counter() - began)
        began = time.perf_counter()
        await driver.container_stats()
        stats = time.perf_counter() - began
    finally:
        began = time.perf_counter()
        found = await driver.list_pod_sandboxes()
        await asyncio.gather(*(driver.remove_pod_sandbox(s.id) for s in found))
        removal = len(found) / (time.perf_counter() - began)
        await driver.close()
    private = sum(p for p, _ in sizes) / len(sizes)
    pss = sum(p for _, p in sizes) / len(sizes)
    print(f"process   one at a time  {one_rate:6.1f} pods/s")
    print(f"process   {at_once} at a time    {many_rate:6.1f} pods/s")
    print(f"process   removal        {removal:6.1f} pods/s")
    print(f"process   exec_sync      {execs:6.1f} commands/s, one at a time")
    print(
        f"process   stats of {len(pods)} containers in {stats * 1000:.0f} ms; shim {private:.0f} kB private, {pss:.0f} kB in proportion"
    )


def runc(root, count, at_once):
    if shutil.which("runc") is None:
        print("runc      not on this machine")
        return
    bundle = root / "bundle"
    rootfs = bundle / "rootfs"
    rootfs.mkdir(parents=True)
    with tarfile.open(fileobj=io.BytesIO(busybox_layer())) as tar:
        tar.extractall(rootfs, filter="fully_trusted")
    subprocess.run(["runc", "spec"], cwd=bundle, check=True)
    spec = json.loads((bundle / "config.json").read_text())
    spec["process"] |= {"args": COMMAND, "terminal": False}
    (bundle / "config.json").write_text(json.dumps(spec))
    names = []

    def run(first, number, width):
        began = time.perf_counter()
        running = []
        for n in range(number):
            name = f"windlass-bench-{os.getpid()}-{first + n}"
            names.append(name)
            command = ["runc", "--root", str(root / "state"), "run", "-d", "--bundle", str(bundle), name]
            running.append(
                subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
                )
            )
            if len(running) >= width:
                assert running.pop(0).wait() == 0
        assert all(process.wait() == 0 for process in running)
        return number / (time.perf_counter() - began)

    try:
        print(f"runc run  one at a time  {run(0, count, 1):6.1f} containers/s")
        print(f"runc run  {at_once} at a time    {run(10_000, count, at_once):6.1f} containers/s")
    finally:
        for name in names:
            subprocess.run(
                ["runc", "--root", str(root / "state"), "delete", "--force", name], check=False, capture_output=True
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pods", type=int, default=100)
    parser.add_argument("--at-once", type=int, default=4)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(windlass(Path(folder) / "w", options.pods, options.at_once))
        runc(Path(folder), options.pods, options.at_once)


if __name__ == "__main__":
    main()
