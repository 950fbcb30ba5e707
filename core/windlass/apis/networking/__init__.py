"""networking.k8s.io: what comes in from outside, and who may speak to whom."""
