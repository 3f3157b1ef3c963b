"""Engines: what generates tokens. `base` is the interface, one module per engine."""
