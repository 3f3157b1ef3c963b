"""The autoscaler: keeps the live count of versions between their bounds. Note: docs/designs/autoscaling.md."""
