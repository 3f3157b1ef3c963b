"""The chat page at a service's URL: one self-contained document, no build step, nothing from elsewhere."""
