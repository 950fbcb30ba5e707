"""A pod's volumes on this node: published by drivers, refreshed while the pod runs, shown to containers, removed."""
