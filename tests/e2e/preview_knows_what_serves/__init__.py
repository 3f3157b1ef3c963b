"""A preview reads what the last run left serving, and leaves no trace of having asked."""
