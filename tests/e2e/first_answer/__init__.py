"""Promise: the embedded default model answers through the real CLI, and a plain client can call it."""
