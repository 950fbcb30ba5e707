"""apps/v1: controllers of pods."""

from windlass.apis.apps.v1 import controllerrevision, daemonset, deployment, replicaset, statefulset

KINDS = (*controllerrevision.KINDS, *daemonset.KINDS, *deployment.KINDS, *replicaset.KINDS, *statefulset.KINDS)
