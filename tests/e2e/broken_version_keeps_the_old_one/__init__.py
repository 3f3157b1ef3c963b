"""Promise: a version that cannot start fails the update with phase and log lines while the old one serves."""
