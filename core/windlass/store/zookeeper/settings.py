"""Where the ensemble is and how to speak to it, from the store's URL."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from windlass.errors import ConfigError

DEFAULT_ROOT = "/windlass"
_OPTIONS = frozenset({"session_timeout", "credentials_file", "ca", "cert", "key", "keep", "segment"})


@dataclass(frozen=True, slots=True)
class ZookeeperSettings:
    """How to reach an ensemble.

    `credentials`: `user:password` for digest authentication; with it, every znode belongs to that user alone. `ca`,
    `cert`, `key`: files for TLS. `keep_changes`: history to keep; `segment_entries`: change entries per log segment.
    """

    hosts: str
    root: str = DEFAULT_ROOT
    session_timeout_seconds: float = 6.0
    commit_timeout_seconds: float = 10.0
    read_timeout_seconds: float = 5.0
    credentials: str = ""
    ca: str = ""
    cert: str = ""
    key: str = ""
    keep_changes: int = 20_000
    segment_entries: int = 4096


def parse_url(url: str) -> ZookeeperSettings:
    """Read `zookeeper://host:port,host:port/root?session_timeout=6&credentials_file=/path`. Raises ConfigError."""
    parts = urlsplit(url)
    options = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
    unknown = options.keys() - _OPTIONS
    if parts.scheme != "zookeeper" or not parts.netloc or unknown:
        wrong = f"unknown option {min(unknown)!r}" if unknown else "want zookeeper://host:port[,host:port...][/root]"
        raise ConfigError(f"store URL: {wrong}; options are {', '.join(sorted(_OPTIONS))}")
    if "@" in parts.netloc:
        raise ConfigError("store URL: no passwords here, other users can read command lines; use credentials_file")
    try:
        return ZookeeperSettings(
            hosts=parts.netloc,
            root=parts.path.rstrip("/") or DEFAULT_ROOT,
            session_timeout_seconds=float(options.get("session_timeout", 6.0)),
            credentials=_read_credentials(options.get("credentials_file", "")),
            ca=options.get("ca", ""),
            cert=options.get("cert", ""),
            key=options.get("key", ""),
            keep_changes=int(options.get("keep", 20_000)),
            segment_entries=int(options.get("segment", 4096)),
        )
    except ValueError as error:
        raise ConfigError(f"store URL: {error}") from error


def _read_credentials(path: str) -> str:
    if not path:
        return ""
    try:
        credentials = Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigError(f"store URL: credentials_file: {error}") from error
    if ":" not in credentials:
        raise ConfigError(f"store URL: credentials_file {path}: want one line, user:password")
    return credentials
