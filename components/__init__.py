"""Pulumi components that realise a plan."""
