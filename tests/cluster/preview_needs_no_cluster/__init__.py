"""Promise: a preview shows the whole diff with no cluster, and with read rights alone."""
