"""apps/v1: controllers of pods."""

from windlass.apis.apps.v1 import controllerrevision, daemonset, deployment, replicaset

KINDS = (*controllerrevision.KINDS, *daemonset.KINDS, *deployment.KINDS, *replicaset.KINDS)
