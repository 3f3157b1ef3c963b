"""Promise: `target.gateway.expose` gives the gateway a way in from outside, of a kind that the cluster must know."""
