"""Promise: the live count has another owner; it never appears in a diff."""
