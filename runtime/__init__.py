"""What runs: replicas, the gateway, the local host. Never imports pulumi."""
