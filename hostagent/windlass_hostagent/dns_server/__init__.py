"""The cluster's DNS on each node: names of Services, their endpoints and pods; everything else goes upstream.

`resolver` decides (pure), `view` is what it knows of the cluster, `wire` speaks the format, `upstream` asks others,
`server` listens, `node_dns` puts them together. Names follow the Kubernetes DNS specification 1.1.0.
"""
