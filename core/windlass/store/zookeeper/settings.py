"""How the store speaks to an ensemble: what is worth changing, and with which defaults."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ZooKeeperSettings:
    """Deadlines, history and TLS.

    `ca`, `cert`, `key`: files for TLS; empty for plain TCP. `keep_changes`: history to keep. `segment_entries`: change
    entries per log segment.
    """

    session_timeout_seconds: float = 6.0
    commit_timeout_seconds: float = 10.0
    read_timeout_seconds: float = 5.0
    ca: str = ""
    cert: str = ""
    key: str = ""
    keep_changes: int = 20_000
    segment_entries: int = 4096
