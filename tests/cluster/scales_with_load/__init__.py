"""Promise: load scales 1 to 4 to 1 and wakes from zero, and an unchanged file previews empty at every point."""
