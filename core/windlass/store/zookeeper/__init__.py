"""The store of a cluster: ZooKeeper.

ZooKeeper keeps no history, and a watch event carries neither data nor zxid. So each commit is one `multi()`: the
object's own operation, a sequential *change entry* (type, key, value), and a `check` that the log segment is unsealed.
A follower reads the entries in sequence, with pipelined reads and one `exists` watch on the next entry.

Layout under the root (the URL's path):

    objects/<hash shard 00..ff>/<percent-encoded key>      header line, value
    log/<segment>/<sequence number>                        header line, value
    blobs/<commit id>                                      a value too large to stand twice in one request

Five decisions that are not obvious:

- **Sealing is the fence.** A segment is sealed by raising its version, which every commit checks. A commit whose answer
  was lost is settled by sealing its segment: from then on it can no longer happen, and a scan of the sealed segment
  tells for certain whether it did.
- **Tombstones.** ZooKeeper checks versions, not zxids, and a recreated znode starts at version 0 again: a stale writer
  could meet an accidental match. So a delete leaves a tombstone, a create writes over it, and the version grows on.
  Tombstones go when their change entry is trimmed, and a remembered version is trusted only within a shorter span.
- **kazoo's own asynchronous results are not used.** They hop over a callback thread per answer, and they lose the zxid
  of the reply, which is a commit's revision. `connection` hands kazoo a reply object of its own.
- **kazoo's thread works in batches.** One request at a time, it fights the event loop for the interpreter's lock a dozen
  times for a commit. `wire` sends what is queued in one piece and reads what has come in one piece.
- **Own commits are not read back.** A committer knows the entry it made, where it stands and its revision, and offers it
  to the followers of its process; they take it when it is next. What others wrote is read.
"""

from windlass.store.zookeeper.ensemble import ZooKeeperStore

__all__ = ["ZooKeeperStore"]
