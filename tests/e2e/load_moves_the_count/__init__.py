"""Promise: load moves the live count within its bounds, from zero and back, and never appears in a diff."""
