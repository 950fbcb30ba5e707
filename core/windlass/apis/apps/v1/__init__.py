"""apps/v1: controllers of pods."""

from windlass.apis.apps.v1 import controllerrevision, deployment, replicaset

KINDS = (*controllerrevision.KINDS, *deployment.KINDS, *replicaset.KINDS)
