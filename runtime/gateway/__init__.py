"""The front of a stack's services: auth, routing, limits, retry, hold. Note: docs/designs/gateway.md"""
