"""`windlass images import|list`: saved images on the nodes, without a registry."""

import json
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from windlass.cli.cluster import Cluster
from windlass.cli.datadir import DataDir
from windlass.cli.options import data_dir_option
from windlass.cli.ready import admin_context, fetch
from windlass.errors import ConfigError, WindlassError

AT_ONCE = 4
IDLE_SECONDS = 120.0
MAX_ANSWER_LINE = 1 << 20
UNITS = ("B", "kB", "MB", "GB")

node_option = click.option("--node", "nodes", multiple=True, metavar="NAME", help="Only this node; may be repeated.")


class ImagesError(WindlassError):
    """The API server or a node refused."""


@click.group()
def images() -> None:
    """Put saved images on nodes, and show what they have."""


def _connect(data_dir: DataDir) -> tuple[str, ssl.SSLContext]:
    cluster = Cluster.load(data_dir)
    if cluster is None:
        raise ConfigError(f"no cluster in {data_dir.root}; start one with `windlass up`")
    return cluster.server, admin_context(data_dir)


def why(code: int, body: bytes) -> str:
    """Return what an answer says is wrong: the message of a Status, or the text itself."""
    try:
        message = json.loads(body)["message"]
    except (ValueError, KeyError, TypeError):
        message = body.decode(errors="replace").strip() or f"status {code}"
    return str(message)


def _chosen_nodes(server: str, context: ssl.SSLContext, nodes: Sequence[str]) -> list[str]:
    """Return the nodes asked for, or all. Raises ImagesError for one that is not there, and when there is none."""
    code, body = fetch(server, "/api/v1/nodes", context, timeout=30)
    if code != 200:
        raise ImagesError(f"the API server does not list the nodes: {why(code, body)}")
    known = [item["metadata"]["name"] for item in json.loads(body)["items"]]
    missing = [name for name in nodes if name not in known]
    if missing:
        raise ImagesError(f'no node "{missing[0]}"; there are: {", ".join(known) or "none"}')
    if not known:
        raise ImagesError("the cluster has no nodes")
    return list(dict.fromkeys(nodes)) or known


def read_answer(lines: Callable[[int], bytes]) -> list[str]:
    """Read the node's answer, line by line; return the images' names. Raises ImagesError with what the node says."""
    while line := lines(MAX_ANSWER_LINE):
        told = json.loads(line)
        if "error" in told:
            raise ImagesError(str(told["error"]))
        if "images" in told:
            return [str(name) for name in told["images"]]
    raise ImagesError("the connection ended before the import did")


def send_archive(server: str, context: ssl.SSLContext, node: str, archive: Path) -> list[str]:
    """Send an archive to one node and return the names of its images. Raises ImagesError."""
    url = f"{server}/api/v1/nodes/{quote(node, safe='')}/proxy/images/import"
    headers = {"Content-Type": "application/x-tar", "Content-Length": str(archive.stat().st_size)}
    try:
        with archive.open("rb") as file:
            request = urllib.request.Request(url, data=file, headers=headers, method="POST")  # noqa: S310 - https, ours
            with urllib.request.urlopen(request, timeout=IDLE_SECONDS, context=context) as answer:  # noqa: S310 - the same
                return read_answer(answer.readline)
    except urllib.error.HTTPError as error:
        raise ImagesError(why(error.code, error.read())) from error
    except (OSError, ValueError) as error:
        raise ImagesError(f"cannot send the archive: {error}") from error


@images.command("import")
@click.argument("archive", type=click.Path(path_type=Path, exists=True, dir_okay=False, readable=True))
@node_option
@data_dir_option
def import_archive(archive: Path, nodes: Sequence[str], data_dir: DataDir) -> None:
    """Import FILE.tar (from `docker save`, or an OCI layout) on every node; exit 1 when one of them cannot."""
    server, context = _connect(data_dir)
    chosen = _chosen_nodes(server, context, nodes)

    def one(node: str) -> str | ImagesError:
        try:
            return ", ".join(send_archive(server, context, node, archive))
        except ImagesError as error:
            return error

    failed = False
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for node, outcome in zip(chosen, pool.map(one, chosen), strict=True):
            failed = failed or isinstance(outcome, ImagesError)
            click.echo(f"{node}: {outcome}", err=isinstance(outcome, ImagesError))
    sys.exit(1 if failed else 0)


def human_size(size: int) -> str:
    """Return a size as people read it, in powers of 1000 as Docker shows it."""
    value, unit = float(size), UNITS[0]
    for unit in UNITS:  # noqa: B007 - the unit that the loop ends with is meant
        if value < 1000:
            break
        value /= 1000
    return f"{value:.3g}{unit}"


def rows_of(node: str, items: Sequence[dict[str, Any]]) -> list[tuple[str, str, str, str]]:
    """Return one row per name of each image."""
    return [
        (node, name, str(item["id"]).removeprefix("sha256:")[:12], human_size(item["sizeBytes"]))
        for item in items
        for name in item["names"] or ["<none>"]
    ]


@images.command("list")
@node_option
@data_dir_option
def list_images(nodes: Sequence[str], data_dir: DataDir) -> None:
    """List the images of every node; exit 1 when one does not answer."""
    server, context = _connect(data_dir)
    rows = [("NODE", "IMAGE", "ID", "SIZE")]
    failed = False
    for node in _chosen_nodes(server, context, nodes):
        code, body = fetch(server, f"/api/v1/nodes/{quote(node, safe='')}/proxy/images", context, timeout=30)
        if code != 200:
            failed = True
            click.echo(f"{node}: {why(code, body)}", err=True)
            continue
        rows += rows_of(node, json.loads(body)["items"])
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        click.echo("  ".join([*(cell.ljust(width) for cell, width in zip(row[:3], widths, strict=True)), row[3]]))
    sys.exit(1 if failed else 0)
