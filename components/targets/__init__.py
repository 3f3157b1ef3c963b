"""One module per target: how a component is realised there."""
