"""The host's file system, for volume drivers and the host agent: mounts, and paths that no symlink leads astray."""
