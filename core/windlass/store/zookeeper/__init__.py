"""The replicated store: ZooKeeper, through kazoo.

Why this design. ZooKeeper keeps no history, its watches carry neither data nor zxid, and kazoo has no persistent ones. So
every commit is one `multi()`: a check of the log segment's version, the guard's check, the object's operation, and a
sequential *change entry*. The entries in order are the history that watches need; their zxid (that of the whole multi) is
the revision. A segment is sealed by bumping its version and appending a SEAL entry in the multi that makes the next one,
so a late writer fails its check and moves on, and a follower learns from the entry itself where to go on. Old segments
are removed whole; who needed them gets CompactedError.

A commit's zxid comes back with the multi: every object operation ends in (or begins with) a `set`, whose result is a stat.

Rejected: one watch per object (thousands of reads at each reconnect), znode watches as the source of events (a change
between event and re-read is invisible), `kazoo.recipe.lock` for leaders (still "acquired" after the session is lost).
"""

from windlass.store.zookeeper.store import ZooKeeperStore

__all__ = ["ZooKeeperStore"]
