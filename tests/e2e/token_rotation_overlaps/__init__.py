"""Promise: a rotated token and the one before it both work for the overlap."""
