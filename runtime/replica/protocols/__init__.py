"""The wire: each module turns one protocol's requests into prompts and an engine's steps into answers."""
