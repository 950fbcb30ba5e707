"""What one API server remembers of the quotas that it charges."""

import asyncio
from dataclasses import dataclass, field

from windlass.apimachinery.scheme import Obj


@dataclass(slots=True)
class QuotaLedger:
    """Whose turn it is in each namespace, and quotas as they were written here, until the cache shows them."""

    turns: dict[str, asyncio.Lock] = field(default_factory=dict)
    written: dict[tuple[str, str], tuple[Obj, int, bytes]] = field(default_factory=dict)
