"""Promise: more replicas is an update in place; nothing restarts, no request fails."""
