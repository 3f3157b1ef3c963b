"""How the next logits are computed: base.py is the interface, one file per way."""
