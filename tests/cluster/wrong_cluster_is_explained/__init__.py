"""Promise: what is wrong with the cluster or its rights is one clear error, and nothing is half made."""
