"""Promise: a stopped service answers 503 at once and keeps its token; start brings it back."""
