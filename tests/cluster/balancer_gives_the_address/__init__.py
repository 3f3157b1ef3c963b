"""Promise: with `gateway.expose: loadBalancer`, the endpoint is the address that the cluster gives."""
