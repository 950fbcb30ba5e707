"""batch/v1: Jobs, and the schedules that make them."""

from windlass.apis.batch.v1 import cronjob, job

KINDS = (*cronjob.KINDS, *job.KINDS)
