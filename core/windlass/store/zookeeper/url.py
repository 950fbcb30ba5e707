"""Where an ensemble is and with which credentials: `zookeeper://[user:password@]host:port[,host:port...][/chroot]`."""

import os
import re
import secrets
from pathlib import Path

from windlass.errors import ConfigError

PATTERN = re.compile(r"zookeeper://(?:([^:@/]+:[^@/]+)@)?([^/@]+)(/[A-Za-z0-9_./-]*)?")
ENVIRONMENT = "WINDLASS_ZOOKEEPER_CREDENTIALS"


def parse_url(url: str, data_dir: Path) -> tuple[str, str]:
    """Return kazoo's hosts string and the digest credentials.

    Credentials come from the URL, else from the environment, else from DATA_DIR/zookeeper.credentials, which is made at
    the first start: a tree is never open to everybody. Raises ConfigError.
    """
    match = PATTERN.fullmatch(url)
    if match is None:
        raise ConfigError(f"store {url.rsplit('@', maxsplit=1)[-1]!r}: want zookeeper://[user:password@]host:port[,host:port...][/chroot]")
    credentials = match.group(1) or os.environ.get(ENVIRONMENT) or _own_credentials(data_dir)
    return match.group(2) + (match.group(3) or "/windlass").rstrip("/"), credentials


def _own_credentials(data_dir: Path) -> str:
    path = data_dir / "zookeeper.credentials"
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(f"windlass:{secrets.token_urlsafe(24)}")
    return path.read_text().strip()
