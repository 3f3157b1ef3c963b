"""The documents both sides know: infra and components see nothing else of the runtime."""
