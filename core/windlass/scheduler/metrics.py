"""What the scheduler counts, under kube-scheduler's names where it has them."""

from prometheus_client import Counter, Gauge, Histogram

SCHEDULE_ATTEMPTS = Counter(
    "scheduler_schedule_attempts",
    "Attempts to schedule a pod, by result: scheduled, unschedulable or error.",
    ["result"],
)
PLUGIN_FAILURES = Counter(
    "scheduler_plugin_failures",
    "Calls of a scheduler plugin that raised or broke its contract.",
    ["plugin", "extension_point"],
)
PENDING_PODS = Gauge(
    "scheduler_pending_pods", "Pods that wait, by queue: active, backoff, unschedulable, gated.", ["queue"]
)
BATCH_SECONDS = Histogram(
    "scheduler_batch_duration_seconds",
    "Time to decide on one batch of equal pods.",
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0),
)
