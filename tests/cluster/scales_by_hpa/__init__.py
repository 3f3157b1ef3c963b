"""Promise: with `autoscaler: hpa` the cluster's own autoscaler follows the stack file's metric; no diff shows it."""
