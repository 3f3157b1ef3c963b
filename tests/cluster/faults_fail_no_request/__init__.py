"""Promise: pods, gateways, the leader, a node and the API server may go at any moment: no request fails."""
